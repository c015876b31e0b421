from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailapp.html_text import HtmlText
from mailapp.render import width


def text_of(*chunks: str) -> str:
    html = HtmlText()
    return "".join([*(html.feed(chunk) for chunk in chunks), html.close()])


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>one</p><p>two</p>", "one\n\ntwo\n"),
        ("a<br>b<br/>c", "a\nb\nc\n"),
        ("a   b\n\tc", "a b c\n"),
        ("<b>bo</b>ld &amp; &lt;i&gt; &uuml;", "bold & <i> ü\n"),
        ("<ul><li>one<li>two</ul>", "- one\n- two\n"),
        (
            "<a href='https://x.example/?a=1&amp;b'>here</a>.",
            "here [1].\n\nLinks:\n[1] https://x.example/?a=1&b\n",
        ),
        ("<a href=javascript:x>here</a>", "here\n"),
        ("<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>", "1  2\n3\n"),
        ("<pre>\n a\n  b\n</pre>c", " a\n  b\n\nc\n"),
        ("<title>t</title><style>p{}</style><script>x<y</script >z", "z\n"),
        ("a<!-- > <b> -->b", "ab\n"),
        ("a<!-- never closed", "a\n"),
        ('<img alt="a > b">c', "(picture: a > b)c\n"),
        ("1 < 2 <3", "1 < 2 <3\n"),
        ("<p", ""),
        ("", ""),
        ("&#27;[2J", "[2J\n"),
    ],
)
def test_examples(source: str, text: str) -> None:
    assert text_of(source) == text
    assert text_of(*source) == text


@pytest.mark.parametrize(
    "style",
    [
        *("style='display:none'", "hidden", 'STYLE="color:red; DISPLAY : None !important"'),
        *("style=visibility:hidden", "style='font-size:0'", "style='font-size: 0.0px'"),
        *("style='display:/**/none'", "style='font:0/0 a'", "style='display&#58;none'"),
    ],
)
def test_hidden_text_is_dropped(style: str) -> None:
    source = f"<div>a<div {style}>x<br><p>y<a href=http://z>z</a></p><div>x</div></div>b</div>"
    assert text_of(source) == "a\nb\n"
    assert text_of(*source) == "a\nb\n"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<div style='font-size:0px'>x<p style='font-size:13px'>a</p></div>", "a\n"),
        ("<div style='font-size:0'><p style='font-size:100%'>x</p></div>a", "a\n"),
        ("<div style='visibility:hidden'>x<b style='visibility:visible'>a</b>x</div>", "a\n"),
        ("<div style='display:none'><b style='display:block'>x</b></div>a", "a\n"),
        ("<div style='font-size:10px;display:block'>a</div>", "a\n"),
        ("<p hidden>x<p>a", "a\n"),
        ("<p hidden>x<ul><li hidden>y<ul><li>z</ul><li>a</ul>", "- a\n"),
        ("<table><tr hidden><td>x<tr><td hidden>y<td>a</table>b", "a\n\nb\n"),
        ("<table><tr><td hidden></div>x</td><td>a</td></tr></table>", "a\n"),
        ("<br hidden>a<span hidden>x</b></span>b", "\nab\n"),
        ("<a hidden href=http://x>x</a>a", "a\n"),
        ('<i title="hidden">a</i>', "a\n"),
        ("<i hidden" + ">x<i" * 300 + ">x" + "</i>" * 500 + "a", "a\n"),
    ],
)
def test_what_is_hidden_and_what_not(source: str, text: str) -> None:
    assert text_of(source).lstrip("\n") == text.lstrip("\n")


@pytest.mark.parametrize(
    ("source", "listed"),
    [
        ("<a href='http://x'>a</a> <a href='http://x'>b</a>", "[1] http://x"),
        ('<a title=" href=http://good" href="http://evil">a</a>', "[1] http://evil"),
        ("<a href=' ht\ntp://x\t/y '>a</a>", "[1] http://x/y"),
        ("<a href=http://bank.example@evil/>a</a>", "[1] http://bank.example@evil/"),
        (
            "<a href=http://evil.example/>https://www.bank.example/login</a>",
            "[1] http://evil.example/  (its text shows www.bank.example!)",
        ),
        ("<a href=http://www.bank.example/x><b>bank.example</b>", "[1] http://www.bank.example/x"),
        ("<a href='http://[x'>bank.example</a>", "[1] http://[x  (its text shows bank.example!)"),
        ("<a href=mailto:b@x.example>b@x.example</a>", "[1] mailto:b@x.example"),
    ],
)
def test_where_links_lead(source: str, listed: str) -> None:
    assert text_of(source).partition("\n\nLinks:\n")[2] == listed + "\n"


def test_so_many_links_are_listed() -> None:
    text = text_of(*(f"<a href=http://x/{n}>a</a> " for n in range(1002)))
    assert "\n[1000] http://x/999\n" in text
    assert "[1001]" not in text
    assert "<http://x/1001>" in text


def test_long_lines_are_wrapped() -> None:
    lines = text_of("<p>" + "wörter " * 100).splitlines()
    assert len(lines) > 5
    assert max(map(width, lines)) <= 78


PIECES = ["<", ">", "p", "<p>", "</a>", '<a href="x">', "<!--", "-->", "&amp;", "&", " ", "\n", '"']
PIECES += ["<script>", "</script>", "<pre>", "word", "漢字", "<td hidden>", "</td>", "<table>"]


@given(st.lists(st.sampled_from(PIECES)))
def test_any_html_is_read(pieces: list[str]) -> None:
    text_of("".join(pieces))
    text_of(*pieces)


@pytest.mark.parametrize(
    "unit", ["<a ", "<!-- ", '<a href="', "<a '", "&#", "<", "<script>", "</", "xx", "<p hidden>"]
)
def test_time_is_linear(unit: str) -> None:
    quarter, whole = seconds_for(unit, 4), seconds_for(unit, 16)
    assert whole < 8 * quarter + 0.1  # 4 times as long; 16 times if it were quadratic


def seconds_for(unit: str, pieces: int) -> float:
    """To read so many times 64 KiB of this."""
    started = time.process_time()
    html = HtmlText()
    for _ in range(pieces):
        html.feed(unit * (65_536 // len(unit)))
    html.close()
    return time.process_time() - started

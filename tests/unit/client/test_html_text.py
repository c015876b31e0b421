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
        ("<a href='https://x.example/?a=1&amp;b'>here</a>.", "here <https://x.example/?a=1&b>.\n"),
        ("<a href=javascript:x>here</a>", "here\n"),
        ("<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>", "1  2\n3\n"),
        ("<pre>\n a\n  b\n</pre>c", " a\n  b\n\nc\n"),
        ("<title>t</title><style>p{}</style><script>x<y</script >z", "z\n"),
        ("a<!-- > <b> -->b", "ab\n"),
        ("a<!-- never closed", "a\n"),
        ('<img alt="a > b">c', "c\n"),
        ("1 < 2 <3", "1 < 2 <3\n"),
        ("<p", ""),
        ("", ""),
        ("&#27;[2J", "[2J\n"),
    ],
)
def test_examples(source: str, text: str) -> None:
    assert text_of(source) == text
    assert text_of(*source) == text


def test_long_lines_are_wrapped() -> None:
    lines = text_of("<p>" + "wörter " * 100).splitlines()
    assert len(lines) > 5
    assert max(map(width, lines)) <= 78


PIECES = ["<", ">", "p", "<p>", "</a>", '<a href="x">', "<!--", "-->", "&amp;", "&", " ", "\n", '"']
PIECES += ["<script>", "</script>", "<pre>", "word", "漢字"]


@given(st.lists(st.sampled_from(PIECES)))
def test_any_html_is_read(pieces: list[str]) -> None:
    text_of("".join(pieces))
    text_of(*pieces)


@pytest.mark.parametrize(
    "unit", ["<a ", "<!-- ", '<a href="', "<a '", "&#", "<", "<script>", "</", "xx"]
)
def test_time_is_linear(unit: str) -> None:
    started = time.monotonic()
    html = HtmlText()
    for _ in range(64):
        html.feed(unit * (65_536 // len(unit)))
    html.close()
    assert time.monotonic() - started < 5

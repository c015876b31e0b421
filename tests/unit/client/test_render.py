from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailapp.render import counted, cut, octets, pad, rows, visible, visible_line, width

DANGEROUS = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def every_character() -> st.SearchStrategy[str]:
    return st.text(st.characters(codec=None, exclude_categories=()))


@given(every_character())
def test_nothing_is_left_that_drives_a_terminal(text: str) -> None:
    left = visible(text).replace("\n", "")
    assert not [c for c in left if unicodedata.category(c) in DANGEROUS]


@given(every_character())
def test_visible_twice_is_visible_once(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@given(every_character())
def test_the_line_has_no_newline(text: str) -> None:
    assert "\n" not in visible_line(text)


@given(
    st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"], exclude_characters="\u034f"))
)
def test_plain_text_stays_as_it_is(text: str) -> None:
    blank = {"\u115f", "\u1160", "\u17b4", "\u17b5", "\u2800", "\u3164", "\uffa0"}
    if not blank & set(text):
        assert visible(text) == text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[2J", "^[[2J"),
        ("\x1b]52;c;aGk=\x07", "^[]52;c;aGk=^G"),
        ("\x00\r\x7f", "^@^M^?"),
        ("\x9b31m\x9d0;x\x9c", "<U+009B>31m<U+009D>0;x<U+009C>"),
        ("\u202egpj.exe", "<U+202E>gpj.exe"),
        ("\u2066\u2069\u200e\u200f\u061c", "<U+2066><U+2069><U+200E><U+200F><U+061C>"),
        ("a\u200bb\u2060\ufeff", "a<U+200B>b<U+2060><U+FEFF>"),
        ("a\u2028b\u2029", "a<U+2028>b<U+2029>"),
        ("\udc9b", "<U+DC9B>"),
        ("\ue000\U000e0041\u0378", "<U+E000><U+E0041><U+0378>"),
        ("a\tb", "a       b"),
        ("a\nb", "a\nb"),
        ("Grüße 漢字 🙂", "Grüße 漢字 🙂"),
    ],
)
def test_examples(raw: str, shown: str) -> None:
    assert visible(raw) == shown


def test_every_single_control_and_format_character_is_shown() -> None:
    for code in range(0x110000):
        if unicodedata.category(chr(code)) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and code not in (
            9,
            10,
        ):
            assert visible(chr(code)).isprintable(), hex(code)


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("漢字", 4), ("e\u0301", 1), ("한글", 4), ("\u1112\u1161\u11ab", 2), ("…", 1)],
)
def test_width(text: str, columns: int) -> None:
    assert width(text) == columns


@given(st.text(st.characters(categories=["L", "N", "Mn"])), st.integers(1, 30))
def test_cut_and_pad_keep_columns_aligned(text: str, columns: int) -> None:
    shown = cut(text, columns)
    assert width(shown) <= columns
    assert width(pad(shown, columns)) == columns
    if width(text) <= columns:
        assert shown == text


def test_cut_says_that_it_cut() -> None:
    assert cut("subject", 5) == "subj…"
    assert cut("漢字漢字", 4) == "漢…"


@given(st.text(st.characters(categories=["L", "N", "Mn"])), st.integers(2, 30))
def test_rows_lose_nothing_and_fit(text: str, columns: int) -> None:
    pieces = rows(text, columns)
    assert "".join(pieces) == text
    assert all(width(piece) <= columns for piece in pieces)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (999_949, "999.9 KB"), (999_950, "1.0 MB")],
)
def test_octets(count: int, text: str) -> None:
    assert octets(count) == text


def test_counted() -> None:
    assert counted(1, "message") == "1 message"
    assert counted(1200, "message") == "1,200 messages"

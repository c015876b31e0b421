from __future__ import annotations

import pytest

from mailapp import listing
from mailapp.render import width
from mailapp.summary import ANSWERED, NEW, OLD, READ, Summary

LAB = Summary(
    12, "Bob\x1b the Builder", "2026-11-23 : 14 : 05", "Lab 3 results are here", size=1234
)


@pytest.mark.parametrize(
    ("status", "has_attachment", "is_marked", "text"),
    [
        (NEW, False, False, "N   "),
        (OLD, True, False, "O @ "),
        (READ, False, True, " D  "),
        (ANSWERED, True, True, "rD@ "),
    ],
)
def test_marks(status: str, has_attachment: bool, is_marked: bool, text: str) -> None:
    one = Summary(1, "", "", "", status=status, has_attachment=has_attachment)
    assert listing.marks(one, is_marked) == text


def test_a_doubtful_sender_is_marked() -> None:
    assert listing.marks(Summary(1, "", "", "", warnings=("x",)), False) == "N  !"


def test_a_line_of_72_columns() -> None:
    text = listing.line(LAB, False, 72)
    assert text == "   12 N    2026-11-23 : 14 : 05 Bob^[ the Buil…  1.2K Lab 3 results are…"
    assert width(text) == 72
    head = listing.heading()
    for name, found in (("Received", "2026"), ("From", "Bob"), ("Subject", "Lab")):
        assert head.index(name) == text.index(found)


def test_nothing_is_cut_off_for_programs() -> None:
    text = listing.line(LAB, True)
    assert text == "   12 ND   2026-11-23 : 14 : 05 Bob^[ the Builder  1.2K Lab 3 results are here"


@pytest.mark.parametrize("columns", [40, 72, 79, 120, 200])
def test_no_line_is_wider_than_it_may_be(columns: int) -> None:
    wide = Summary(99_999, "漢" * 60, "", "字" * 200, size=10**12)
    assert width(listing.line(wide, True, columns, depth=50)) <= columns


def test_a_reply_is_indented() -> None:
    assert listing.line(LAB, False, None, 2).endswith("  1.2K  `-Lab 3 results are here")


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        *((0, "0"), (999, "999"), (1000, "1.0K"), (9949, "9.9K"), (9950, "10K")),
        *((999_499, "999K"), (999_500, "1.0M"), (50_000_000, "50M"), (10**15, "1000T")),
    ],
)
def test_short_octets(octets: int, text: str) -> None:
    assert listing.short_octets(octets) == text

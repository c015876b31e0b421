from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailapp.query import NoQuery, parse
from mailapp.summary import NEW, OLD, READ, Summary

MAIL = [
    Summary(1, "Bob", "2026-11-23 : 14 : 05", "Lab 3", "bob@x", "Class <lab@x>", size=2000),
    Summary(2, "Eve", "2026-10-01 : 09 : 00", "to bob: hi", "eve@y", status=OLD),
    Summary(3, "Shop", "", "Ärger", "s@z", has_attachment=True, status=READ, size=3_000_000),
]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [1, 2, 3]),
        ("bob", [1, 2]),
        ("from:bob", [1]),
        ("from:bob@x", [1]),
        ("to:LAB@x", [1]),
        ('subject:"lab 3"', [1]),
        ("subject:ärg", [3]),
        ("is:new", [1]),
        ("is:unread", [1, 2]),
        ("-is:read", [1, 2]),
        ("is:deleted", [2]),
        ("has:attachment", [3]),
        ("is:attachment", [3]),
        ("date:2026-11", [1]),
        ("size:>1k -has:attachment", [1]),
        ("size:<1k", [2]),
        ("from:bob is:read", []),
        ("bob: hi", [2]),
    ],
)
def test_what_matches(query: str, numbers: list[int]) -> None:
    match = parse(query)
    assert [one.number for one in MAIL if match(one, one.number == 2)] == numbers


@pytest.mark.parametrize("query", ["is:odd", "has:wings", "size:5", "size:>x"])
def test_what_is_no_query_is_explained(query: str) -> None:
    with pytest.raises(NoQuery, match=r"there is|a size is written"):
        parse(query)


@given(st.text(max_size=40))
def test_any_text_is_a_query_or_none(text: str) -> None:
    try:
        match = parse(text)
    except NoQuery:
        return
    assert isinstance(match(Summary(1, "a", "", "b", status=NEW), False), bool)

"""Whose mailbox an address stands for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.delivery.addressing import AddressBook, Addresses, Member, loop_in
from mailserver.wire.address import Mailbox

NAMES = "abcde"
aliases = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(tuple)
)


class Everybody:
    """Accounts in which every one-letter name but "e" is a user's."""

    def find(self, local_part: str) -> str | None:
        return local_part if local_part in "abcd" and len(local_part) == 1 else None

    def check(self, user: str, password: str) -> str | None:
        return None


def book(**rules: object) -> AddressBook:
    return AddressBook(Addresses(("Here.example", "mailserver"), **rules), Everybody())  # type: ignore[arg-type]


def users(local_part: str, **rules: object) -> tuple[str, ...]:
    return book(**rules).users(Mailbox(local_part, "mailserver"))


@pytest.mark.parametrize(
    ("domain", "local"),
    [
        ("here.EXAMPLE", True),
        ("mailserver", True),
        ("", True),
        ("mailserver.", False),
        ("x", False),
    ],
)
def test_local_domains(domain: str, local: bool) -> None:
    assert book().is_local(Mailbox("a", domain)) is local


def test_members_come_in_their_order_once() -> None:
    rules = {"x": ("c", "y", "a"), "y": ("b", "c", "e")}
    assert users("x", aliases=rules) == ("c", "b", "a")


def test_an_alias_in_itself_is_the_user() -> None:
    assert users("a", aliases={"a": ("a", "b")}) == ("a", "b")
    assert users("e", aliases={"e": ("e",)}) == ()


def test_members_elsewhere() -> None:
    rules = {"x": ("a", "Bob@other.test", "B@MAILSERVER", "x2"), "x2": ("Bob@other.test", "x")}
    found = book(aliases=rules).members(Mailbox("x", "mailserver"))
    assert found == (Member("a"), Member(Mailbox("Bob", "other.test")), Member("b"))
    assert users("x", aliases=rules) == ("a", "b")


def test_a_list_has_an_owner() -> None:
    """RFC 5321 3.9.2: an alias or a user; the inner list's counts for its members."""
    rules = {"x": ("a", "y"), "y": ("b",), "z": ("c",), "owner-y": ("z",), "owner-z": ("e",)}
    found = book(aliases=rules).members(Mailbox("X", "mailserver"))
    assert found == (Member("a"), Member("b", "owner-y"))
    assert book(aliases=rules).members(Mailbox("y+more", "mailserver")) == ()
    listed = book(aliases=rules, plus_addresses=True).members(Mailbox("y+more", "mailserver"))
    assert listed == (Member("b", "owner-y"),)


def test_plus_comes_before_catch_all() -> None:
    assert users("a+x", plus_addresses=True, catch_all="b") == ("a",)
    assert users("e+x", plus_addresses=True, catch_all="b") == ("b",)
    assert users("a+x", catch_all="b") == ("b",)


def test_a_catch_all_that_is_gone_is_nobody() -> None:
    assert users("zoe", catch_all="e") == ()


@given(aliases)
def test_every_loop_is_found(rules: dict[str, tuple[str, ...]]) -> None:
    """Compared with the plainest way to look: who can be reached from whom."""
    others = {name: set(members) - {name} for name, members in rules.items()}
    reached = {name: set(members) for name, members in others.items()}
    for _ in NAMES:
        for name in rules:
            for member in list(reached[name]):
                reached[name] |= reached.get(member, set())
    found = loop_in(rules)
    assert bool(found) is any(name in reached[name] for name in rules)
    if found:
        assert found[0] == found[-1]
        assert all(b in others[a] for a, b in pairwise(found))


def test_long_chains_are_no_loops() -> None:
    chain = {str(n): (str(n + 1),) * 2 for n in range(50_000)}
    assert loop_in(chain) == []
    assert loop_in(chain | {"50000": ("0",)})[0] in chain


@given(aliases, st.sampled_from(NAMES))
def test_any_aliases_lead_to_an_end(rules: dict[str, tuple[str, ...]], name: str) -> None:
    found = users(name, aliases=rules)
    assert len(set(found)) == len(found)
    assert set(found) <= set("abcd")

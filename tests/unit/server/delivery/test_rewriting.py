"""Addresses here that lead back to senders elsewhere."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.delivery.rewriting import Rewriting, secrets_in
from mailserver.wire import address
from mailserver.wire.address import Mailbox
from mailserver.wire.cursor import Cursor

NOW = 1_795_442_709.0
DAY = 86_400.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def rewriting(domain: str = "a.test", *secrets: bytes, clock: Clock | None = None) -> Rewriting:
    return Rewriting(secrets or (b"secret",), domain, 21, clock or Clock())


def mailbox(text: str) -> Mailbox:
    return address.mailbox(Cursor(text))


def test_there_and_back() -> None:
    made = rewriting().forward(mailbox("Alice@b.test"))
    assert str(made) == "SRS0=I35C6W=JM=b.test=Alice@a.test"
    assert rewriting().back(made) == Mailbox("Alice", "b.test")


@pytest.mark.parametrize(
    "text",
    ["a=b=c@b.test", '"a b"@b.test', '"@"@b.test', "büro@bücher.test", "=@b.test", "+@b.test"],
)
def test_any_local_part(text: str) -> None:
    made = rewriting().forward(mailbox(text))
    assert mailbox(str(made)) == made
    found = rewriting().back(made)
    assert found is not None
    assert found.local_part == mailbox(text).local_part


def test_letters_that_change_their_case() -> None:
    made = rewriting().forward(Mailbox("Alice", "B.test"))
    for changed in (made.local_part.lower(), made.local_part.upper()):
        found = rewriting().back(Mailbox(changed, "a.test"))
        assert found is not None
        assert str(found).lower() == "alice@b.test"


def test_the_way_back_is_closed_after_a_time() -> None:
    clock = Clock()
    srs = rewriting(clock=clock)
    made = srs.forward(mailbox("alice@b.test"))
    for days, is_open in ((0, True), (20, True), (21, True), (22, False), (500, False)):
        clock.now = NOW + days * DAY
        assert (srs.back(made) is not None) is is_open
    clock.now = NOW - DAY  # made in the future
    assert srs.back(made) is None


def test_days_are_counted_round() -> None:
    clock = Clock()
    clock.now = (1024 * 20 - 1) * DAY
    made = rewriting(clock=clock).forward(mailbox("alice@b.test"))
    clock.now += 5 * DAY
    assert rewriting(clock=clock).back(made) is not None


def test_two_forwarders_in_a_row() -> None:
    """And a third: the name does not grow with each of them."""
    first, second, third = (rewriting(f"{name}.test", name.encode()) for name in "abc")
    once = first.forward(mailbox("alice@d.test"))
    twice = second.forward(once)
    again = third.forward(twice)
    assert twice.domain == "b.test"
    assert twice.local_part.startswith("SRS1=")
    assert twice.local_part.endswith(f"=a.test={once.local_part[4:]}")
    assert again.local_part[12:] == twice.local_part[12:]
    for srs, made in ((second, twice), (third, again)):
        assert srs.back(made) == once  # the one between is left out
    assert first.back(once) == Mailbox("alice", "d.test")


@pytest.mark.parametrize("separator", "=+-")
def test_addresses_of_other_programs(separator: str) -> None:
    made = rewriting().forward(mailbox(f"SRS0{separator}HHH=TT=d.test=alice@b.test"))
    assert made.local_part.endswith(f"=b.test={separator}HHH=TT=d.test=alice")
    assert str(rewriting().back(made)) == f"SRS0{separator}HHH=TT=d.test=alice@b.test"
    again = rewriting().forward(
        mailbox(f"srs1{separator}XYZ=b.test={separator}HHH=TT=d.test=x@c.test")
    )
    assert str(rewriting().back(again)) == f"SRS0{separator}HHH=TT=d.test=x@b.test"


def test_what_would_be_too_long_stays() -> None:
    """RFC 5321 4.5.3.1.1: 64 octets, or others, and we, would not take it."""
    fits = Mailbox("x" * 42, "b.test")
    assert len(rewriting().forward(fits).local_part) == 64
    long = Mailbox("x" * 43, "b.test")
    assert rewriting().forward(long) == long
    quoted = Mailbox("x " * 21, "b.test")
    assert rewriting().forward(quoted) == quoted


def test_an_address_literal_stays() -> None:
    assert rewriting().forward(mailbox("alice@[192.0.2.1]")) == mailbox("alice@[192.0.2.1]")


def test_an_old_secret_is_believed() -> None:
    made = rewriting("a.test", b"old").forward(mailbox("alice@b.test"))
    assert rewriting("a.test", b"new", b"old").back(made) is not None
    assert rewriting("a.test", b"new").back(made) is None


@given(st.data())
def test_nobody_else_makes_one(data: st.DataObject) -> None:
    """Any character changed, but for its case: nobody."""
    local = rewriting().forward(mailbox("alice@b.test")).local_part
    at = data.draw(st.integers(5, len(local) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c.lower() != local[at].lower()))
    assert rewriting().back(Mailbox(local[:at] + other + local[at + 1 :], "a.test")) is None


@given(st.text(), st.sampled_from(["SRS0=", "SRS1=", "srs0=ABCDEF=AB=", "SRS1=ABCDEF=b.test=="]))
def test_any_text(text: str, before: str) -> None:
    assert rewriting().back(Mailbox(before + text, "a.test")) is None
    assert rewriting().is_ours(Mailbox(before + text, "a.test"))


def test_the_secret_is_made_once(tmp_path: Path) -> None:
    first = secrets_in(tmp_path, lambda: b"one")
    assert first == secrets_in(tmp_path, lambda: b"two") == (b"one",)
    path = tmp_path / ".mailserver/rewriting.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_bytes(b"new\none\n")
    assert secrets_in(tmp_path, lambda: b"two") == (b"new", b"one")

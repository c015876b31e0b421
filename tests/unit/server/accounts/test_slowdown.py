"""Failed logins: whom they slow down, whom they do not, and how much is remembered."""

from __future__ import annotations

import pytest

from mailserver.accounts import table
from mailserver.accounts.slowdown import Failures, SlowDown

HERE, THERE = "192.0.2.1", "198.51.100.7"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slow(clock: Clock) -> SlowDown:
    return SlowDown(Failures(of_account=3, of_address=5, seconds=30.0), clock)


def fail(slow: SlowDown, user: str, peer: str, times: int) -> None:
    for _ in range(times):
        assert slow.wait(user, peer) == 0.0
        slow.note(user, peer, right=False)


def test_failures_make_wait_and_time_lets_go(slow: SlowDown, clock: Clock) -> None:
    fail(slow, "alice", HERE, 3)
    assert slow.wait("alice", HERE) == pytest.approx(10.0)
    clock.now += 9.9
    assert slow.wait("alice", HERE) == pytest.approx(0.1)
    clock.now += 0.2
    fail(slow, "alice", HERE, 1)
    assert slow.wait("ALICE", HERE) > 9.0
    clock.now += 1000
    fail(slow, "alice", HERE, 3)


def test_the_owner_comes_in_from_another_address(slow: SlowDown) -> None:
    fail(slow, "alice", HERE, 3)
    assert slow.wait("alice", HERE) > 0
    assert slow.wait("alice", THERE) == 0.0


def test_an_address_that_tries_many_accounts(slow: SlowDown) -> None:
    for name in "abcde":
        fail(slow, name, HERE, 1)
    assert slow.wait("f", HERE) == pytest.approx(6.0)
    assert slow.wait("f", THERE) == 0.0


def test_who_logged_in_before_does_not_pay_for_the_neighbours(slow: SlowDown) -> None:
    """Behind a gateway all have one address."""
    slow.note("bob", HERE, right=True)
    for name in "abcde":
        fail(slow, name, HERE, 1)
    assert slow.wait("bob", HERE) == 0.0
    assert slow.wait("alice", HERE) > 0
    fail(slow, "bob", HERE, 3)
    assert slow.wait("bob", HERE) > 0


def test_the_right_password_wipes_the_slate(slow: SlowDown) -> None:
    fail(slow, "alice", HERE, 2)
    slow.note("alice", HERE, right=True)
    fail(slow, "alice", HERE, 3)


def test_memory_is_bounded(slow: SlowDown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "ROWS", 100)
    for number in range(1000):
        slow.note(f"user{number}", f"10.0.{number // 250}.{number % 250}", right=number % 2 == 0)
    tables = (slow._known, slow._of_account._empty_at, slow._of_address._empty_at)
    assert [len(table) for table in tables] == [100, 100, 100]
    slow.note("user999", "10.0.3.249", right=False)
    slow.note("user999", "10.0.3.249", right=False)
    assert slow.wait("user999", "10.0.3.249") > 0  # the newest is not forgotten

"""So many messages a minute; the clock is told."""

from __future__ import annotations

from mailserver.delivery import throttle
from mailserver.delivery.throttle import Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def count(limited: Throttle, sender: str = "a") -> int:
    """How many are admitted at once."""
    found = 0
    while found < 1000 and limited.admits(sender):
        found += 1
    return found


def test_so_many_and_no_more() -> None:
    clock = Clock()
    for a_minute in (1, 2, 3, 7, 60, 600):
        limited = Throttle(a_minute, clock)
        assert count(limited) == a_minute
        assert count(limited, "b") == a_minute
        clock.now += 59.9 / a_minute
        assert count(limited) <= 1
        clock.now += 61
        assert count(limited) == a_minute


def test_no_limit() -> None:
    assert count(Throttle(None, Clock())) == 1000


def test_a_clock_set_back_locks_nobody_out_for_long() -> None:
    clock = Clock()
    limited = Throttle(2, clock)
    assert count(limited) == 2
    clock.now -= 500
    assert count(limited) == 0
    limited = Throttle(2, clock)
    clock.now += 500
    assert count(limited) == 2


def test_the_table_is_bounded() -> None:
    limited = Throttle(1, Clock())
    for number in range(throttle.TABLE_LIMIT + 5):
        assert limited.admits(str(number))
    assert len(limited._empty_at) == throttle.TABLE_LIMIT
    assert not limited.admits("10004")
    assert limited.admits("0")  # forgotten

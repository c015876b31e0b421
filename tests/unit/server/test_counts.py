"""What all workers count together; the clock is told."""

from __future__ import annotations

import os

import pytest

from mailserver.counts import CELLS, Presence, Rate


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def count(limited: Rate, name: str = "a") -> int:
    """How many are admitted at once."""
    found = 0
    while found < 1000 and limited.admits(name):
        found += 1
    return found


def in_another_process(work: object) -> None:
    """Forked from this one, as workers are."""
    assert callable(work)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("a_minute", [1, 2, 3, 7, 60, 600])
def test_so_many_and_no_more(a_minute: int) -> None:
    clock = Clock()
    limited = Rate(a_minute, clock)
    assert count(limited) == a_minute
    assert count(limited, "b") == a_minute
    clock.now += 59.9 / a_minute
    assert count(limited) <= 1
    clock.now += 61
    assert count(limited) == a_minute


def test_a_clock_set_back_locks_nobody_out() -> None:
    clock = Clock()
    limited = Rate(2, clock)
    assert count(limited) == 2
    clock.now -= 500
    assert count(limited) == 2
    assert count(limited) == 0
    clock.now += 500
    assert count(limited) == 2


def test_a_worker_counts_what_another_one_admitted() -> None:
    limited = Rate(10, Clock())

    def admit() -> None:
        assert [limited.admits("a") for _ in range(4)] == [True] * 4

    in_another_process(admit)
    in_another_process(admit)
    assert count(limited) == 2


def test_a_crowd_of_others_changes_hardly_anything() -> None:
    """Thousands came, once each; and some hundreds are at their limit."""
    limited = Rate(10, Clock())
    for number in range(5000):
        limited.admits(f"other {number}")
    for number in range(300):
        count(limited, f"full {number}")
    names = [f"one {number}" for number in range(2000)]
    assert sum(count(limited, name) >= 9 for name in names) > 1950
    assert sum(limited.admits(name) for name in names) == 0  # nobody is forgotten


def test_who_is_there() -> None:
    there = Presence(3)
    there.change("a", 1, 0)
    there.change("a", 1, 2)
    there.change("b", 1, 1)
    assert [there.count(name) for name in "abc"] == [2, 1, 0]
    there.change("a", -1, 2)
    assert [there.count(name) for name in "abc"] == [1, 1, 0]


def test_who_is_in_another_worker() -> None:
    there = Presence(2)
    in_another_process(lambda: there.change("a", 3, 1))
    there.change("a", 1, 0)
    assert there.count("a") == 4


def test_nobody_is_left_when_all_have_gone() -> None:
    there = Presence(2)
    names = [f"name {number}" for number in range(CELLS)]
    for by in (1, -1):
        for place, name in enumerate(names):
            there.change(name, by, place % 2)
    assert not any(map(there.count, names))

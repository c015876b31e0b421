"""How many may come in."""

from __future__ import annotations

import pytest

from mailserver.counts import Presence, Rate
from mailserver.net.door import Door


def test_in_all() -> None:
    door = Door(2)
    assert [door.enter() for _ in range(3)] == [True, True, False]
    door.leave()
    assert not door.enter()  # the one who was refused counts until he has left
    door.leave()
    door.leave()
    assert door.enter()


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("172.17.0.1", "172.17.0.1", True),  # a gateway is one address like any other
        ("127.0.0.1", "127.0.0.1", False),  # this very machine has no limit
        ("::1", "::1", False),
        ("", "", True),
    ],
)
def test_from_one_address(first: str, second: str, same: bool) -> None:
    door = Door(10, 1)
    assert door.enter_from(first)
    assert door.enter_from(second) is not same
    door.leave_from(first)
    assert door.enter_from(first)


def test_from_one_address_to_two_workers() -> None:
    inside = Presence(2)
    one, other = (Door(10, 3, from_one=inside, worker=number) for number in range(2))
    doors = (one, other, one, other, one)
    assert [door.enter_from("192.0.2.1") for door in doors] == [True, True, True, False, False]
    assert other.enter_from("192.0.2.2")
    one.leave_from("192.0.2.1")
    assert other.enter_from("192.0.2.1")
    assert not one.enter_from("192.0.2.1")


def test_new_ones_in_a_minute() -> None:
    rate = Rate(2, lambda: 1000.0)
    one, other = Door(10, rate=rate), Door(10, rate=rate)
    assert one.is_slow_enough("2001:db8::1")
    assert other.is_slow_enough("2001:db8::2")
    assert not one.is_slow_enough("2001:db8::3")
    assert one.is_slow_enough("2001:db8:0:1::3")
    assert all(one.is_slow_enough("127.0.0.1") for _ in range(10))

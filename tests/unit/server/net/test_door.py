"""How many may come in."""

from __future__ import annotations

import pytest

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


def test_only_those_inside_take_memory() -> None:
    door = Door(10, 2)
    for number in range(1000):
        assert door.enter_from(f"192.0.2.{number}")
        door.leave_from(f"192.0.2.{number}")
    assert door._from == {}

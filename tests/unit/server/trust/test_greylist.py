"""Greylisting: who waits, for how long, and what is remembered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailserver.message.envelope import Client, Envelope
from mailserver.shared_rows import ROWS, SharedFile, open_in
from mailserver.trust.greylist import (
    BUCKETS,
    COME_AGAIN_SECONDS,
    KNOWN_SECONDS,
    TABLES,
    Greylist,
)
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath

SECONDS = 300.0
HERE, NEAR, THERE = "198.51.100.7", "198.51.100.250", "203.0.113.9"


class Clock:
    now = 1_795_491_402.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def open_list(data: Path, clock: Clock, buckets: int = BUCKETS) -> Greylist:
    """As a worker does, or one that is started later."""
    return Greylist(SECONDS, clock, open_in(data, "greylist", TABLES, buckets))


@pytest.fixture
def grey(tmp_path: Path, clock: Clock) -> Greylist:
    return open_list(tmp_path, clock)


def wait(grey: Greylist, address: str, sender: str = "bob@b.test", to: str = "alice@a.test") -> int:
    mailbox = Mailbox(*sender.split("@")) if sender else None
    envelope = Envelope(Client(address), ReversePath(mailbox))
    return round(grey.wait(envelope, ForwardPath(Mailbox(*to.split("@")))))


def make_known(grey: Greylist, clock: Clock, address: str = HERE) -> None:
    assert wait(grey, address) == SECONDS
    clock.now += SECONDS
    assert wait(grey, address) == 0


def test_the_second_try_has_to_wait(grey: Greylist, clock: Clock) -> None:
    assert wait(grey, HERE) == 300
    clock.now += 100
    assert wait(grey, HERE) == 200
    clock.now += 199
    assert wait(grey, HERE) == 1
    clock.now += 1
    assert wait(grey, HERE) == 0
    assert wait(grey, HERE) == 0


@pytest.mark.parametrize(
    ("address", "sender", "to"),
    [
        (THERE, "bob@b.test", "alice@a.test"),
        (HERE, "eve@b.test", "alice@a.test"),
        (HERE, "", "alice@a.test"),
        (HERE, "bob@b.test", "carol@a.test"),
    ],
)
def test_each_triplet_waits_for_itself(
    grey: Greylist, clock: Clock, address: str, sender: str, to: str
) -> None:
    assert wait(grey, HERE) == 300
    clock.now += 299
    assert wait(grey, address, sender, to) == 300


def test_letters_have_no_case(grey: Greylist, clock: Clock) -> None:
    assert wait(grey, HERE, "Bob@B.test", "Alice@A.test") == 300
    clock.now += SECONDS
    assert wait(grey, HERE, "bob@b.TEST", "alice@a.TEST") == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (HERE, NEAR, True),
        (HERE, "198.51.101.7", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_servers_that_try_for_one_another(
    grey: Greylist, clock: Clock, one: str, other: str, same: bool
) -> None:
    """RFC 6647 5: a /24, a /64."""
    assert wait(grey, one) == 300
    clock.now += SECONDS
    assert (wait(grey, other) == 0) is same


def test_whoever_came_again_is_known_for_the_domain(grey: Greylist, clock: Clock) -> None:
    make_known(grey, clock)
    assert wait(grey, HERE, "someone.else@b.test", "carol@a.test") == 0
    assert wait(grey, NEAR, "bounce+123@b.test") == 0
    assert wait(grey, HERE, "bob@c.test") == 300
    assert wait(grey, THERE) == 300


def test_reports_wait_only_where_nobody_came_again(grey: Greylist, clock: Clock) -> None:
    assert wait(grey, HERE, "", "carol@a.test") == 300
    make_known(grey, clock)
    assert wait(grey, HERE, "") == 0
    assert wait(grey, THERE, "") == 300


def test_known_until_weeks_after_the_last_mail(grey: Greylist, clock: Clock) -> None:
    make_known(grey, clock)
    for _ in range(3):
        clock.now += KNOWN_SECONDS - 1
        assert wait(grey, HERE) == 0
    clock.now += KNOWN_SECONDS
    assert wait(grey, HERE) == 300


def test_a_second_try_that_comes_too_late_is_a_first_one(grey: Greylist, clock: Clock) -> None:
    assert wait(grey, HERE) == 300
    clock.now += COME_AGAIN_SECONDS
    assert wait(grey, HERE) == 300
    clock.now += SECONDS
    assert wait(grey, HERE) == 0


def test_a_clock_that_is_set_back_makes_nobody_wait_longer(grey: Greylist, clock: Clock) -> None:
    assert wait(grey, HERE) == 300
    clock.now -= 3600
    assert wait(grey, HERE) == 300
    clock.now += SECONDS
    assert wait(grey, HERE) == 0


def test_workers_and_those_started_later_know_the_same(tmp_path: Path, clock: Clock) -> None:
    assert wait(open_list(tmp_path, clock), HERE) == 300
    clock.now += SECONDS
    assert wait(open_list(tmp_path, clock), HERE) == 0
    assert wait(open_list(tmp_path, clock), HERE, "eve@b.test") == 0
    assert b"b.test" not in (tmp_path / ".mailserver/greylist").read_bytes()


def test_one_network_pushes_out_its_own_triplets_and_hardly_others(
    tmp_path: Path, clock: Clock
) -> None:
    """In a table of 8,192 rows, of which 512 are for each network, 12,000 come from one."""
    grey = open_list(tmp_path, clock, buckets=1024)
    others = [f"198.51.{number}.1" for number in range(100)]
    for address in others:
        wait(grey, address)
    for number in range(12_000):
        clock.now += 0.001
        wait(grey, THERE, f"{number}@spam.test")
    assert sum(wait(grey, address) == 288 for address in others) >= 80
    assert wait(grey, THERE, "0@spam.test") == 300  # that one had to go
    clock.now += 1
    assert wait(grey, THERE, "11999@spam.test") == 299
    assert (tmp_path / ".mailserver/greylist").stat().st_size <= TABLES * 1024 * ROWS * 16


def test_a_disk_that_fails_lets_everybody_pass(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    file = SharedFile("greylist", fd, TABLES, b"secret", BUCKETS)
    os.close(fd)
    full = os.open("/dev/full", os.O_RDWR)
    os.dup2(full, file.descriptor)
    os.close(full)
    grey = Greylist(SECONDS, clock, file)
    assert wait(grey, HERE) == 0
    assert "cannot be counted" in caplog.text

"""Failed logins: whom they slow down, whom they do not, and how much is remembered."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailserver.accounts.slowdown import TABLES, Failures, SlowDown
from mailserver.shared_rows import BUCKETS, ROWS, SharedFile

HERE, THERE = "192.0.2.1", "198.51.100.7"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


ALLOWED = Failures(of_account=3, of_address=5, seconds=30.0)


def open_file(folder: Path, buckets: int = BUCKETS) -> SharedFile:
    fd = os.open(folder, os.O_RDONLY)
    try:
        return SharedFile("failures", fd, TABLES, b"secret", buckets)
    finally:
        os.close(fd)


@pytest.fixture
def slow(clock: Clock, tmp_path: Path) -> SlowDown:
    return SlowDown(ALLOWED, clock, open_file(tmp_path))


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


def test_space_is_bounded(slow: SlowDown, tmp_path: Path) -> None:
    for number in range(20_000):
        slow.note(f"user{number}", f"10.{number // 250}.0.{number % 250}", right=number % 2 == 0)
    assert (tmp_path / "failures").stat().st_size <= TABLES * 8192 * 16
    for _ in range(3):
        slow.note("user19999", "10.79.0.249", right=False)
    assert slow.wait("user19999", "10.79.0.249") > 0  # the newest is not forgotten


def test_the_row_with_the_smallest_number_makes_room(tmp_path: Path) -> None:
    file = open_file(tmp_path, buckets=1)
    rows = file.tables[1]
    keys = [file.key(str(number)) for number in range(ROWS + 1)]
    for number, key in enumerate(keys[:-1]):
        assert rows.get(key) is None
        rows.change(key, lambda _, number=number: float(100 - number))
    rows.change(keys[-1], lambda before: 50.0 if before is None else 0.0)
    assert [rows.get(key) for key in keys] == [100, 99, 98, 97, 96, 95, 94, None, 50]
    assert file.tables[0].get(keys[0]) is file.tables[2].get(keys[0]) is None


def test_all_who_have_the_file_count_together(clock: Clock, tmp_path: Path) -> None:
    """The two servers, their workers, and those that are started later."""
    for _ in range(3):
        fail(SlowDown(ALLOWED, clock, open_file(tmp_path)), "alice", HERE, 1)
    assert SlowDown(ALLOWED, clock, open_file(tmp_path)).wait("alice", HERE) == pytest.approx(10.0)
    assert b"alice" not in (tmp_path / "failures").read_bytes()


def test_a_clock_that_began_anew_locks_nobody_out(slow: SlowDown, clock: Clock) -> None:
    """Such as after the machine was started again."""
    fail(slow, "alice", HERE, 3)
    clock.now = 1.0
    fail(slow, "alice", HERE, 3)
    assert slow.wait("alice", HERE) == pytest.approx(10.0)


def test_more_failures_than_allowed_make_wait_longer_but_not_for_ever(
    slow: SlowDown, clock: Clock
) -> None:
    """Those that were under way at once in several processes."""
    for _ in range(1000):
        slow.note("alice", HERE, right=False)
    assert slow.wait("alice", HERE) == pytest.approx(40.0)


COUNT_UP = """
import os, sys
from mailserver.shared_rows import SharedFile
file = SharedFile("failures", os.open(sys.argv[1], os.O_RDONLY), 3, b"secret")
for _ in range(500):
    file.tables[0].change(file.key("one"), lambda before: (before or 0.0) + 1.0)
"""


def test_no_count_is_lost_between_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COUNT_UP, str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    file = open_file(tmp_path)
    assert file.tables[0].get(file.key("one")) == 1500.0


def test_a_file_that_is_emptied_meanwhile(slow: SlowDown, tmp_path: Path) -> None:
    fail(slow, "alice", HERE, 3)
    os.truncate(tmp_path / "failures", 0)
    fail(slow, "alice", HERE, 3)
    assert slow.wait("alice", HERE) > 0


def test_a_disk_that_fails_keeps_nobody_out(
    slow: SlowDown, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    fail(slow, "alice", HERE, 10)
    assert "cannot be counted: No space left on device" in caplog.text

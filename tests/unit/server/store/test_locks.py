"""Locks between processes, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailserver.store.locks import FileLock

_HOLD = """
import os, sys
from mailserver import durable
from mailserver.store.locks import FileLock
lock = FileLock(".write", durable.open_folder(sys.argv[1]))
assert lock.try_acquire()
print("held", flush=True)
sys.stdin.readline()
lock.release()
print("released", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def lock(folder: int) -> Iterator[FileLock]:
    lock = FileLock(".write", folder)
    yield lock
    lock.close()


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    path = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_another_process_sees_it_held(holder: subprocess.Popen[str], lock: FileLock) -> None:
    assert not lock.try_acquire()
    assert not lock.acquire(0.02)


def test_it_is_free_when_released(holder: subprocess.Popen[str], lock: FileLock) -> None:
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "released\n"
    assert lock.try_acquire()


def test_it_is_free_when_the_holder_is_killed(
    holder: subprocess.Popen[str], lock: FileLock
) -> None:
    holder.send_signal(signal.SIGKILL)
    assert holder.wait() == -signal.SIGKILL
    assert lock.try_acquire()


def test_waiting_ends_when_the_holder_dies(holder: subprocess.Popen[str], lock: FileLock) -> None:
    holder.send_signal(signal.SIGKILL)
    assert lock.acquire(10.0)


def test_two_locks_on_one_file_exclude_each_other_in_one_process(
    lock: FileLock, folder: int
) -> None:
    other = FileLock(".write", folder)
    assert lock.try_acquire()
    assert not other.try_acquire()
    lock.release()
    assert other.try_acquire()
    assert not lock.try_acquire()
    other.close()
    assert lock.try_acquire()


def test_it_can_be_taken_again(lock: FileLock) -> None:
    for _ in range(3):
        assert lock.try_acquire()
        lock.release()


def test_a_link_is_no_lock(tmp_path: Path, folder: int) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / ".session").symlink_to("elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        FileLock(".session", folder)

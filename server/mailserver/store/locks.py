"""Locks between processes: flock on files of their own, freed by the kernel when a process dies.

Never on the mailbox file itself: it is replaced, and a lock on the old file protects nothing.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable

from mailserver import durable
from mailserver.store.reach import TO_THE_DISK, Reach

_POLL_SECONDS = 0.0002
_LONGEST_POLL_SECONDS = 0.005


def wait_for(attempt: Callable[[], bool], timeout: float) -> bool:
    """Try until it goes well, for at most `timeout` seconds; once at least."""
    give_up, pause = time.monotonic() + timeout, _POLL_SECONDS
    while not attempt():
        if time.monotonic() > give_up:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
    return True


class FileLock:
    """An exclusive lock on one file in a folder."""

    def __init__(self, name: str, folder: int, reach: Reach = TO_THE_DISK) -> None:
        self._fd = reach.open_file(name, folder, os.O_RDWR | os.O_CREAT)

    def try_acquire(self) -> bool:
        """Take it if it is free."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def acquire(self, timeout: float) -> bool:
        """Take it, waiting at most `timeout` seconds."""
        return wait_for(self.try_acquire, timeout)

    @property
    def inode(self) -> int:
        """Of the lock's file."""
        return os.fstat(self._fd).st_ino

    def say(self, who: bytes) -> None:
        """Write into the file who has the lock."""
        durable.write_at(self._fd, who, 0)
        os.ftruncate(self._fd, len(who))

    def noted(self) -> int:
        """The last time that was left here, in seconds since the epoch; 0: none."""
        text = os.pread(self._fd, 20, 0)
        return int(text) if text.strip().isdigit() else 0

    def note(self, when: int) -> None:
        """Leave a time at the lock, for whoever has it next."""
        durable.write_at(self._fd, b"%d\n" % when, 0)

    def release(self) -> None:
        """Free it; it can be taken again."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Free it for good."""
        os.close(self._fd)

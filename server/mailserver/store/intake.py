"""The intake journal of one process: a batch of messages, whatever mailboxes it is for, is on
stable storage after one sync. The mailbox files follow when they can.

There are two files (`journal`), used in turn. When one is full the other goes on, and all mailbox
files that were written meanwhile are synced in the background; only then is it used anew. What it
holds is written again (`recovery`) by whoever starts after a crash.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple

from mailserver import durable
from mailserver.store import journal, syncs
from mailserver.store.journal import Put
from mailserver.store.syncs import Syncs

FOLDER = "journal"
_RECOVERY_LOCK = "lock"

JOURNAL_OCTETS = 16 * 1024 * 1024
"""Of each of the two files."""
JOURNAL_SECONDS = 5.0
"""How long one is written to. What another program takes out of a mailbox may come back at a start
after a crash, if a journal still promises it."""
GROWTH = 16 * 1024, 1024 * 1024
"""Octets by which one grows, at least and at most. To overwrite blocks that are there syncs in half
the time that it takes to add some, and does not wait for what others add (docs/storage.md)."""
DIRTY_LIMIT = 1000
"""Mailbox files that wait for a sync; each is a descriptor."""


class _File:
    """One of the two."""

    def __init__(self, name: str, folder: int, octets: int, opened: ExitStack) -> None:
        self._most = octets
        self.fd = durable.open_file(name, folder, os.O_RDWR | os.O_CREAT)
        opened.callback(os.close, self.fd)
        self.dirty: dict[int, int] = {}  # descriptors of mailbox files, by inode
        self.syncs: list[Future[None]] = []  # of these, under way
        self.size = 0  # octets of the file, zeros behind the last batch
        self.restart()

    def restart(self) -> None:
        """From its beginning; what it holds is not needed any more."""
        self.epoch = secrets.randbits(64)
        self.end = 0
        self.begun = 0.0  # when it was written to first
        self.batches = 0

    def append(self, octets: bytes) -> None:
        """One batch more; on stable storage after this, or OSError."""
        if not self.end:
            self.begun = time.monotonic()
        end = durable.write_at(self.fd, octets, self.end)
        self._grow(end)
        durable.sync_data(self.fd)
        self.end = end
        self.batches += 1

    def _grow(self, end: int) -> None:
        """Have zeros behind this end, for the next batches to overwrite; not on a full disk."""
        if end <= self.size:
            return
        self.size = end
        least, most = GROWTH
        room = min(max(end, least), most, self._most - end)
        try:
            self.size = durable.write_at(self.fd, bytes(room), end)
        except OSError as error:
            if not durable.is_full(error):
                raise

    def close(self) -> None:
        for fd in (*self.dirty.values(), self.fd):
            os.close(fd)


class Intake:
    """For one thread at a time."""

    def __init__(
        self,
        folder: int,
        redo: Callable[[int], None],
        octets: int = JOURNAL_OCTETS,
        dirty: int = DIRTY_LIMIT,
        seconds: float = JOURNAL_SECONDS,
        background: Executor | None = None,
    ) -> None:
        """Takes the first journal that is nobody's, in `folder`; whoever calls has recovered it.
        `redo` writes again, durably, all that a journal file has, given its descriptor.
        `background` syncs mailbox files; None: that is waited for. Raises OSError."""
        self._active, self._other, self._syncs = _take(folder, octets)
        try:
            durable.sync_directory(folder)
        except BaseException:
            self.close()
            raise
        self._redo = redo
        self.limit = octets - 2 * journal.BLOCK
        """Octets of the biggest batch."""
        self._dirty = dirty
        self._seconds = seconds
        self._background = background
        self._spoilt = False

    def make_room(self, octets: int) -> None:
        """For a batch of this size at most. Raises OSError when mailbox files cannot be synced:
        then nothing may be promised any more."""
        if self._spoilt:
            self.settle()
            self._spoilt = False
        file = self._active
        is_old = file.end > 0 and time.monotonic() - file.begun > self._seconds
        if file.end + octets <= self.limit and len(file.dirty) < self._dirty and not is_old:
            return
        self._settle(self._other)
        self._other.restart()
        self._begin_to_settle(file)
        self._active, self._other = self._other, file

    def will_write(self, inode: int, reopened: Callable[[], int]) -> None:
        """A mailbox file will be written behind the next batch; `reopened` gives a descriptor that
        is this one's alone, and so told if a sync fails, whoever else was. Raises OSError."""
        dirty = self._active.dirty
        if inode not in dirty:
            dirty[inode] = reopened()

    def append(self, puts: Sequence[Put], bodies: Sequence[Sequence[bytes]]) -> None:
        """They are on stable storage after this, or OSError: then it is not known."""
        file = self._active
        try:
            file.append(journal.pack(file.epoch, file.batches, puts, bodies))
        except OSError:
            self.begin_anew()
            raise

    def begin_anew(self) -> None:
        """Settle before the next batch: this file failed, or room is short, and the mailbox files
        that wait for a sync may be replaced ones, whose room is free once they are closed."""
        self._spoilt = True

    def settle(self) -> None:
        """All mailbox files are on stable storage, and the journal is empty and takes no space.
        Raises OSError."""
        for file in (self._other, self._active):
            self._begin_to_settle(file)
            self._settle(file)
            if not is_empty(file.fd):
                empty(file.fd)
                file.size = 0
            file.restart()

    def close(self) -> None:
        """Close all descriptors; the journal is anybody's then."""
        for file in (self._active, self._other):
            for sync in file.syncs:
                sync.exception()
            file.close()
        self._syncs.close()

    def _begin_to_settle(self, file: _File) -> None:
        submit = self._background.submit if self._background else _at_once
        file.syncs += [submit(self._syncs.run, inode, fd) for inode, fd in file.dirty.items()]

    def _settle(self, file: _File) -> None:
        failed = [sync for sync in file.syncs if sync.exception() is not None]
        if failed:
            # A failed sync has lost data, and a second one says nothing: write it all again.
            self._redo(file.fd)
            self._syncs.forget()
        file.syncs.clear()
        for fd in file.dirty.values():
            os.close(fd)
        file.dirty.clear()


def _take(folder: int, octets: int) -> tuple[_File, _File, Syncs]:
    for number in itertools.count():
        with ExitStack() as opened:
            first = _File(f"{number}a", folder, octets, opened)
            second = _File(f"{number}b", folder, octets, opened)
            # its process may have ended since whoever calls has looked
            if lock(first.fd) and is_empty(first.fd) and is_empty(second.fd):
                notes = Syncs(number, folder)
                opened.pop_all()
                return first, second, notes
    raise AssertionError


def _at_once(call: Callable[[int, int], None], inode: int, fd: int) -> Future[None]:
    done: Future[None] = Future()
    try:
        call(inode, fd)
        done.set_result(None)
    except OSError as error:
        done.set_exception(error)
    return done


def empty(fd: int) -> None:
    """Let a journal file promise nothing, durably; raises OSError."""
    os.ftruncate(fd, 0)
    durable.sync_data(fd)


def lock(fd: int) -> bool:
    """The first of a journal's files is ours, for as long as it is open; False: its process lives,
    or somebody else looks after it. Raises OSError."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def folder_of(data_folder: int) -> AbstractContextManager[int]:
    """The folder with the journals of all processes."""
    return durable.own_folder(FOLDER, data_folder)


@contextmanager
def alone(folder: int) -> Iterator[None]:
    """No other process recovers or takes a journal meanwhile."""
    lock = durable.open_file(_RECOVERY_LOCK, folder, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


# -- reading ---------------------------------------------------------------------------------------


class Promise(NamedTuple):
    """A put, and the journal file that has it."""

    put: Put
    journal: int
    body: tuple[int, int]

    def record(self) -> bytes:
        """Its octets; raises OSError."""
        at, length = self.body
        return b"%b%b\n" % (self.put.beginning, os.pread(self.journal, length, at))


def promises(journals: Iterable[int]) -> dict[str, list[Promise]]:
    """All that these journal files promise, by user. Raises OSError."""
    found: dict[str, list[Promise]] = {}
    for fd in journals:
        for batch in journal.batches(octets_of(fd)):
            for put, body in batch.puts:
                found.setdefault(put.user, []).append(Promise(put, fd, body))
    return found


def is_doubtful(data_folder: int, inode: int) -> bool:
    """A mailbox file may be in memory only, whatever a sync says now. Raises OSError."""
    with folder_of(data_folder) as folder:
        return inode in syncs.doubtful(folder)


def is_empty(fd: int) -> bool:
    """The journal file promises nothing; raises OSError."""
    return os.pread(fd, len(journal.MAGIC), 0) != journal.MAGIC


def octets_of(fd: int) -> bytes:
    """All that a journal file holds; raises OSError."""
    if is_empty(fd):
        return b""
    chunks, offset = [], 0
    while chunk := os.pread(fd, 1 << 24, offset):
        offset += len(chunk)
        chunks.append(chunk)
    return b"".join(chunks)

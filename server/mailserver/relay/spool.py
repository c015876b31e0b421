"""The queue on disk: a file a message under DATA/.mailserver/queue/. All calls may block.

    coming/ID        being written; nobody was told that it is stored, and a crash forgets it
    messages/ID      entry, content, notes (see `entry`)
    orders/WORD-ID   empty: what the server that owns the queue is to look at
    owner            locked by that server, all its processes together

A message is in the queue from the moment its name is in messages/ and the folder is synced
(`Held.release`). It leaves when its file is unlinked, and that only after everything that follows
from it (reports) is stable somewhere else.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from mailserver import durable
from mailserver.durable import OWN_FOLDER
from mailserver.relay.entry import (
    BadLine,
    Entry,
    Note,
    QueuedMessage,
    Record,
    lasts,
    line_of,
    read_entry,
    read_note,
)

QUEUE = "queue"
_MESSAGES, _COMING, _ORDERS, _OWNER = "messages", "coming", "orders", "owner"
NEW = "new"
"""The order that says: this message has just come."""
DELETE = "delete"
"""The order that takes a message out of the queue, and nobody is told."""

LOOK_SECONDS = 0.25
"""How often the owner looks for what other processes left: messages, orders."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")
_ENTRY_LIMIT = 16 * 1024 * 1024
"""Octets of an entry: a million recipients' addresses are no message."""
_CHUNK = 256 * 1024
SMALL = 32 * 1024
"""Octets of a file that are read at once: for most messages that is all of it."""


class Unreadable(Exception):
    """The file of a message is not what was written. Says what and why."""


class Held:
    """A message that is on stable storage and not yet in the queue."""

    def __init__(self, spool: Spool, message_id: str) -> None:
        self._spool = spool
        self._id = message_id

    def release(self) -> None:
        """It is in the queue, durably, after this; raises OSError."""
        self._spool.release(self._id)

    def discard(self) -> None:
        """Forget it."""
        self._spool.discard(self._id)


class Spool:
    """Of one data folder; any number of processes may have one. Those that a process has made since
    are, with it, one owner."""

    def __init__(self, data: Path) -> None:
        """Raises OSError when the folders cannot be made."""
        folder = durable.open_folder(str(data))
        try:
            own = durable.open_folder(OWN_FOLDER, folder, create=True)
            try:
                self._queue = durable.open_folder(QUEUE, own, create=True)
            finally:
                os.close(own)
        finally:
            os.close(folder)
        durable.make_folders((_MESSAGES, _COMING, _ORDERS), self._queue)
        self._messages = durable.open_folder(_MESSAGES, self._queue)
        self._coming = durable.open_folder(_COMING, self._queue)
        self._orders = durable.open_folder(_ORDERS, self._queue)
        self._owner = durable.open_file(_OWNER, self._queue, os.O_RDWR | os.O_CREAT)
        self._owned = False

    def close(self) -> None:
        """Close every descriptor; the queue has no owner after this, if it was this one alone."""
        for fd in (self._owner, self._orders, self._coming, self._messages, self._queue):
            os.close(fd)

    # -- putting in --------------------------------------------------------------------------------

    def hold(self, entry: Entry, content: Iterable[bytes]) -> Held:
        """Write it, synced, where nobody delivers it yet; raises OSError, and nothing is left."""
        fd = durable.open_file(
            _checked(entry.id), self._coming, os.O_WRONLY | os.O_CREAT | os.O_EXCL
        )
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)  # while it is locked, it is being written
            end = durable.write_at(fd, line_of(entry), 0)
            begin = end
            for chunk in content:
                end = durable.write_at(fd, chunk, end)
            assert end - begin == entry.octets, "the entry says how long the content is"
            durable.sync_data(fd)
        except BaseException:
            self.discard(entry.id)
            raise
        finally:
            os.close(fd)
        return Held(self, entry.id)

    def release(self, message_id: str) -> None:
        """See Held."""
        name = _checked(message_id)
        os.rename(name, name, src_dir_fd=self._coming, dst_dir_fd=self._messages)
        try:
            durable.sync_directory(self._messages)
            self.order(NEW, message_id)
        except OSError:  # the client is told to send it again, so it must not leave
            durable.remove(name, self._messages)
            raise

    def discard(self, message_id: str) -> None:
        """See Held."""
        durable.remove(_checked(message_id), self._coming)

    # -- orders ------------------------------------------------------------------------------------

    def order(self, word: str, message_id: str) -> None:
        """Leave word for the owner."""
        os.close(durable.open_file(f"{word}-{message_id}", self._orders, os.O_WRONLY | os.O_CREAT))

    def orders(self) -> list[tuple[str, str]]:
        """Words and ids that wait for the owner."""
        found = (name.partition("-") for name in _names(self._orders))
        return [(word, message_id) for word, _, message_id in found if _ID.fullmatch(message_id)]

    def obeyed(self, word: str, message_id: str) -> None:
        """It was done."""
        durable.remove(f"{word}-{message_id}", self._orders)

    # -- for the owner -----------------------------------------------------------------------------

    def own(self) -> bool:
        """Be the one who delivers, until all processes that share this spool have closed it or
        ended; False: another one is. What was being written when its process died is removed."""
        if not self._owned:
            try:  # a lock of the open file, which processes made since have in common
                fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._owned = True
            self._clean()
        return True

    def _clean(self) -> None:
        for name in _names(self._coming):
            with suppress(FileNotFoundError):
                fd = durable.open_file(name, self._coming, os.O_RDONLY)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    durable.remove(name, self._coming)
                except BlockingIOError:
                    pass  # a live process writes it
                finally:
                    os.close(fd)

    def ids(self) -> list[str]:
        """Every message in the queue, in no order."""
        return [name for name in _names(self._messages) if _ID.fullmatch(name)]

    def load(self, message_id: str) -> QueuedMessage:
        """Raises FileNotFoundError, OSError, or Unreadable."""
        fd = durable.open_file(_checked(message_id), self._messages, os.O_RDONLY)
        try:
            return _read(fd)[0]
        finally:
            os.close(fd)

    def load_or_none(self, message_id: str) -> QueuedMessage | None:
        """None: it is gone, or cannot be read."""
        try:
            return self.load(message_id)
        except (FileNotFoundError, Unreadable):
            return None

    def content(self, message_id: str) -> Iterator[bytes]:
        """In pieces, CRLF line ends; raises OSError or Unreadable."""
        fd = durable.open_file(_checked(message_id), self._messages, os.O_RDONLY)
        try:
            entry, offset, _ = _read_entry(fd)
            end = offset + entry.octets
            while offset < end:
                chunk = os.pread(fd, min(_CHUNK, end - offset), offset)
                if not chunk:
                    raise Unreadable(f"{message_id}: the content ends too soon")
                offset += len(chunk)
                yield chunk
        finally:
            os.close(fd)

    def note(self, message_id: str, *notes: Note) -> None:
        """Write what happened; raises OSError. A line that an earlier crash left half written goes.
        It is synced, unless a power cut that undoes it does nothing but have us try again."""
        fd = durable.open_file(_checked(message_id), self._messages, os.O_RDWR)
        try:
            end = _read(fd)[1]
            if os.fstat(fd).st_size != end:
                os.ftruncate(fd, end)
            durable.write_at(fd, b"".join(map(line_of, notes)), end)
            if any(map(lasts, notes)):
                durable.sync_data(fd)
        finally:
            os.close(fd)

    def remove(self, message_id: str) -> None:
        """It is done. The name may come back after a power cut, and the message be tried again: its
        notes say that there is nothing left to do."""
        durable.remove(_checked(message_id), self._messages)

    def record(self, records: Sequence[Record]) -> list[OSError | None]:
        """Write all of them down, with one sync of the folder for those that leave the queue; for
        each the reason why it could not be, or None."""
        problems = list(map(self._record, records))
        try:
            if any(record.done for record in records):
                durable.sync_directory(self._messages)
        except OSError as error:
            pairs = zip(records, problems, strict=True)
            return [error if record.done else problem for record, problem in pairs]
        return problems

    def _record(self, record: Record) -> OSError | None:
        try:
            if record.done:
                self.remove(record.message_id)
            else:
                self.note(record.message_id, *record.notes)
        except FileNotFoundError:
            pass  # it is not in the queue any more
        except OSError as error:
            return error
        return None

    def set_aside(self, message_id: str) -> None:
        """Out of the queue, to be looked at by a person: DATA/.mailserver/queue/bad-ID."""
        name = _checked(message_id)
        os.rename(name, f"bad-{name}", src_dir_fd=self._messages, dst_dir_fd=self._queue)
        durable.sync_directory(self._queue)


def _names(folder: int) -> list[str]:
    # opened anew: a descriptor that others have in common is read by all of them together
    fd = durable.open_folder(".", folder)
    try:
        return os.listdir(fd)
    finally:
        os.close(fd)


def _checked(message_id: str) -> str:
    # ids are ours, but a spool that trusts that writes anywhere if somebody errs
    if not _ID.fullmatch(message_id):
        raise ValueError(f"not an id: {message_id!r}")
    return message_id


def _read_entry(fd: int) -> tuple[Entry, int, bytes]:
    """The entry, where the content begins, and all octets that were read for it."""
    octets = os.pread(fd, SMALL, 0)
    while (end := octets.find(b"\n") + 1) == 0:
        more = os.pread(fd, _CHUNK, len(octets))
        if not more or len(octets) > _ENTRY_LIMIT:
            raise Unreadable("its first line has no end")
        octets += more
    try:
        return read_entry(octets[:end]), end, octets
    except BadLine as problem:
        raise Unreadable(f"its first line: {problem}") from None


def _read(fd: int) -> tuple[QueuedMessage, int]:
    """The message, and where its good notes end."""
    entry, begin, octets = _read_entry(fd)
    end = begin + entry.octets
    found = QueuedMessage(entry)
    if end <= len(octets):
        found.content = octets[begin:end]
    elif os.fstat(fd).st_size < end:
        raise Unreadable("the content is cut off")
    notes = octets[end:]
    if len(octets) >= SMALL:  # else that was all of it
        while more := os.pread(fd, _CHUNK, end + len(notes)):
            notes += more
    for line in notes.splitlines(keepends=True):
        try:
            found.take(read_note(line))
        except (BadLine, IndexError):
            break
        end += len(line)
    return found, end

"""One user's folder: `mymailbox`, its index, its write lock.

Everything here is done by a holder of the write lock; `files` sees to that. What can be found on
the disk, and what is done about it (docs/storage.md has the whole list):

    index ends where the mailbox ends      clean
    index announces more than is settled   an append was cut: what is whole stays, the rest is set
                                           aside (no 250 was given for it)
    mailbox goes on behind the index       another program appended, or the index was lost
    mailbox ends before it was settled     another program shortened it
    index of another file, or none         made again from the mailbox
    mymailbox.new                          a rewrite was cut before its rename: removed
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from mailserver import durable
from mailserver.store import index, mbox
from mailserver.store.base import MailboxUnusable
from mailserver.store.index import Entry, Index
from mailserver.store.mailbox_lock import Foreign, MailboxLock
from mailserver.store.pieces import (
    MAILBOX,
    Record,
    announce,
    copy_range,
    end_of,
    gathered,
    is_record,
    is_settled,
    joined,
    open_mailbox,
    read_chunks,
    read_content,
    read_index,
)

INDEX = ".index"
SESSION_LOCK = ".session"


_NONE = -1  # no descriptor


class SetAside(Protocol):
    """Where octets go that are no part of a good message."""

    def __call__(self, user: str, chunks: Iterable[bytes]) -> None: ...


class MailboxFile:
    """The mailbox of one user, opened when first needed."""

    def __init__(
        self, data_folder: int, user: str, set_aside: SetAside, foreign: Foreign = Foreign.FCNTL
    ) -> None:
        """Makes the user's folder when it is missing; raises MailboxUnusable, OSError."""
        self.user = user
        try:
            self.folder = durable.open_folder(user, data_folder, create=True)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP, errno.EACCES):
                raise
            raise MailboxUnusable(f"{user}/: {error.strerror}") from None
        self._data_folder = data_folder
        try:
            self._folder_inode = os.fstat(self.folder).st_ino
            self._lock = MailboxLock(self.folder, user, foreign)
        except BaseException:
            os.close(self.folder)
            raise
        self._set_aside = set_aside
        self._mailbox = _NONE
        self._index = _NONE
        self._inode = 0
        self._end = 0  # of the mailbox, in octets, as far as it was looked at
        self._index_inode = 0
        self._index_end = 0
        self._unsaved: list[Entry] | None = None  # all entries, when the index can't be written
        self._pending = (0, 0)  # both ends, after the append that is under way

    def close(self) -> None:
        """Close all descriptors, the lock's too."""
        self._close_files()
        self._lock.close()
        os.close(self.folder)

    def lock(self, timeout: float, *, replace: bool = False) -> bool:
        """Keep all others from writing, see `MailboxLock.acquire`."""
        return self._lock.acquire(timeout, replace=replace)

    def unlock(self) -> None:
        """Others may write again; `close` does it too."""
        self._lock.release()

    def in_place(self) -> bool:
        """The folder is still the user's; False when somebody moved or removed it."""
        try:
            found = os.stat(self.user, dir_fd=self._data_folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return found.st_ino == self._folder_inode

    # -- looking -----------------------------------------------------------------------------------

    def refresh(self) -> None:
        """See what others did since the last look; repair it. Raises MailboxUnusable, OSError."""
        try:
            found = os.stat(MAILBOX, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            self._create()
        else:
            if found.st_ino == self._inode and self._mailbox != _NONE and self._keeps_up(found):
                return
        try:
            self._reopen()
        except BaseException:
            self._close_files()  # or what was seen by half would count as looked at
            raise

    def entries(self) -> list[Entry]:
        """All messages, after `refresh`."""
        if self._unsaved is not None:
            return self._unsaved
        return read_index(self._index, self._inode).entries

    def checked_entries(self) -> list[Entry]:
        """All messages, each looked at: another program may have rewritten the file in place, and
        left it as long as it was."""
        entries = self.entries()
        if not all(is_record(self._mailbox, entry) for entry in entries):
            entries = self._scan([])
            self._save(entries)
        return entries

    def _keeps_up(self, found: os.stat_result) -> bool:
        """Nothing happened since the last look, or only appends of other servers, all settled."""
        try:
            listing = os.stat(INDEX, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if listing.st_ino != self._index_inode or found.st_size < self._end:
            return False
        if (found.st_size, listing.st_size) == (self._end, self._index_end):
            return True
        if self._unsaved is not None or not is_settled(self._index, found, listing.st_size):
            return False
        self._end, self._index_end = found.st_size, listing.st_size
        return True

    def _create(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        os.close(durable.open_file(MAILBOX, self.folder, flags))

    def _close_files(self) -> None:
        for fd in (self._mailbox, self._index):
            if fd != _NONE:
                os.close(fd)
        self._mailbox = self._index = _NONE
        self._unsaved = None

    def _reopen(self) -> None:
        self._close_files()
        durable.remove(f"{MAILBOX}.new", self.folder)
        self._mailbox, found = open_mailbox(self.folder, self.user, os.O_RDWR)
        self._index = durable.open_file(INDEX, self.folder, os.O_RDWR | os.O_CREAT)
        self._inode = found.st_ino
        self._end = found.st_size
        found = os.fstat(self._index)
        self._index_inode, self._index_end = found.st_ino, found.st_size
        indexed = read_index(self._index, self._inode)
        if not indexed.entries:  # a new file, whose name may not be on stable storage yet
            durable.sync_directory(self.folder)
            durable.sync_directory(self._data_folder)
        self._reconcile(indexed)

    def _reconcile(self, indexed: Index) -> None:
        """Bring index and mailbox together again."""
        known = [entry for entry in indexed.entries if entry.end <= min(indexed.settled, self._end)]
        if known and not self._is_whole(known[-1]):
            known = []  # another program rewrote the file in place
        elif indexed.settled <= self._end:
            self._finish_append(known, indexed.entries[len(known) :])
        entries = known
        if self._end > end_of(known):
            self._end_with_empty_line()
            entries = self._scan(known)
        size = index.HEADER_SIZE + len(entries) * index.ENTRY_SIZE
        if indexed != (entries, self._end) or self._index_end != size:
            self._save(entries)

    def _finish_append(self, known: list[Entry], announced: list[Entry]) -> None:
        """Add the announced records that are whole to the known ones, and set aside the rest."""
        for entry in announced:
            if self._is_whole(entry):
                known.append(entry)
            elif self._end <= announced[-1].end and self._was_cut(entry):
                self._cut(entry.offset)
                return
            else:  # another program wrote there
                return

    def _is_whole(self, entry: Entry) -> bool:
        if entry.end > self._end:  # or a digest of nothing would do
            return False
        return mbox.digest(read_chunks(self._mailbox, entry.offset, entry.end)) == entry.digest

    def _was_cut(self, announced: Entry) -> bool:
        """A piece of the announced record is there, or nothing, or (after a power cut) zeros."""
        found = os.pread(self._mailbox, index.BEGINNING_OCTETS, announced.offset)
        if len(found) < index.BEGINNING_OCTETS and found.startswith(mbox.RECORD_START):
            return True
        if not found.strip(b"\0") or mbox.RECORD_START.startswith(found):
            return True
        return index.beginning(found) == announced.beginning

    def _cut(self, end: int) -> None:
        """Set aside what is behind `end`, and let the mailbox end there."""
        if self._end > end:
            self._set_aside(self.user, read_chunks(self._mailbox, end, self._end))
            os.ftruncate(self._mailbox, end)
            durable.sync_data(self._mailbox)
            self._end = end

    def _end_with_empty_line(self) -> None:
        """Let a record that another program left unfinished end as a record does."""
        last = os.pread(self._mailbox, 2, max(0, self._end - 2))
        missing = 2 - (len(last) - len(last.rstrip(b"\n")))
        self._end = durable.write_at(self._mailbox, b"\n" * missing, self._end)

    def _scan(self, known: list[Entry]) -> list[Entry]:
        """Entries for all records, reading those behind the ones that are known. What is no record
        there belongs to the last one, as any program that reads the file sees it."""
        kept, starts = known, []
        for kept in (known, known[:-1], []):
            start = end_of(kept)
            chunks = read_chunks(self._mailbox, start, self._end)
            starts = [start + offset for offset in mbox.record_starts(chunks)]
            if starts[:1] == [start]:
                break
        bounds = itertools.pairwise([*starts, self._end])
        return index.join(kept, [self._describe(start, end) for start, end in bounds])

    def _describe(self, start: int, end: int) -> Entry:
        octets = sum(map(len, read_content(self._mailbox, start, end)))
        record = mbox.digest(read_chunks(self._mailbox, start, end))
        first = os.pread(self._mailbox, min(index.BEGINNING_OCTETS, end - start), start)
        return Entry(start, end - start, octets, record, 1, index.beginning(first))

    # -- appending ---------------------------------------------------------------------------------

    def append(self, records: Iterable[Record]) -> None:
        """Write records behind the last one; `commit` or `roll_back` follows. Raises OSError.

        The index goes first: if the process dies in between, it tells which records are whole.
        """
        if self._unsaved is not None:
            raise OSError(errno.ENOSPC, "the index could not be written")
        records = list(records)
        end, entries = self._end, []
        for record in records:
            entries.append(announce(record, end))
            end += record.length
        durable.write_at(self._index, index.pack(entries), self._index_end)
        self._pending = (end, self._index_end + len(entries) * index.ENTRY_SIZE)
        offset = self._end
        for octets in gathered(records):
            offset = durable.write_at(self._mailbox, octets, offset)

    def sync(self) -> None:
        """What was appended is on stable storage after this, or OSError."""
        durable.sync_data(self._mailbox)

    def commit(self) -> None:
        """The appended records stay."""
        self._end, self._index_end = self._pending
        with suppress(OSError):  # the next one who opens the file finds it out
            durable.write_at(self._index, index.pack_settled(self._end), index.SETTLED_OFFSET)

    def roll_back(self) -> None:
        """The appended records go. The next `refresh` looks at everything afresh."""
        try:
            os.ftruncate(self._mailbox, self._end)
            os.ftruncate(self._index, self._index_end)
        finally:
            self._close_files()

    # -- removing ----------------------------------------------------------------------------------

    def keep_only(self, kept: list[Entry]) -> None:
        """Rewrite the mailbox, durably, with only these of its records; raises OSError.

        Until the rename the old file is the truth, from then on the new one; both are whole.
        """
        entries = self.entries()
        if kept == entries[: len(kept)]:
            self._truncate(entries, kept)
            return
        name = f"{MAILBOX}.new"
        new = durable.open_file(name, self.folder, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            os.fchmod(new, stat.S_IMODE(os.fstat(self._mailbox).st_mode))
            moved = self._copy(entries[0].offset, kept, new)
            durable.replace(name, MAILBOX, self.folder, new)
            self._replace_index(os.fstat(new).st_ino, moved)
        except BaseException:
            durable.remove(name, self.folder)
            raise
        finally:
            os.close(new)
            self._close_files()

    def _truncate(self, entries: list[Entry], kept: list[Entry]) -> None:
        if len(kept) == len(entries):
            return
        self._end = entries[len(kept)].offset
        os.ftruncate(self._mailbox, self._end)
        durable.sync_data(self._mailbox)
        self._save(kept)

    def _copy(self, lead: int, kept: list[Entry], new: int) -> list[Entry]:
        """Copy what is before the first record, which is nobody's message, and the kept ones."""
        moved, end = [], lead
        for entry in kept:
            moved.append(entry._replace(offset=end))
            end += entry.length
        end = copy_range(self._mailbox, 0, lead, new, 0)
        for start, stop in joined(kept):
            end = copy_range(self._mailbox, start, stop, new, end)
        return moved

    def _replace_index(self, inode: int, entries: list[Entry]) -> None:
        name = f"{INDEX}.new"
        octets = index.pack_header(inode, end_of(entries)) + index.pack(entries)
        with suppress(OSError):  # the index can always be made again
            fd = durable.open_file(name, self.folder, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                durable.write_at(fd, octets, 0)
                os.rename(name, INDEX, src_dir_fd=self.folder, dst_dir_fd=self.folder)
            except OSError:
                durable.remove(name, self.folder)
            finally:
                os.close(fd)

    def _save(self, entries: list[Entry]) -> None:
        """Write the index afresh. Reading and deleting go on without it (the disk may be full)."""
        octets = index.pack_header(self._inode, self._end) + index.pack(entries)
        try:
            os.ftruncate(self._index, 0)
            self._index_end = durable.write_at(self._index, octets, 0)
            self._unsaved = None
        except OSError:
            self._unsaved, self._index_end = entries, _NONE

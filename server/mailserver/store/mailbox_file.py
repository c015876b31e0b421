"""One user's folder: `mymailbox`, its index, its write lock.

Everything here is done by a holder of the write lock; `files` sees to that. What can be found on
the disk, and what is done about it (docs/storage.md has the whole list):

    index ends where the mailbox ends      clean
    index announces more than is settled   an append was cut: the journals know what it was; what
                                           is not whole then is set aside (no 250 was given for it)
    mailbox goes on behind the index       another program appended, or the index was lost
    mailbox ends before it was settled     another program shortened it
    index of another file, or none         made again from the mailbox
    mymailbox.new                          a rewrite was cut before its rename: removed
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from mailserver import durable
from mailserver.store import index, intake, journal, orphans
from mailserver.store.base import MailboxUnusable
from mailserver.store.edition import Edition, EditionFile
from mailserver.store.index import Entry, Index
from mailserver.store.intake import Promise
from mailserver.store.journal import Put
from mailserver.store.mailbox_lock import Foreign, MailboxLock
from mailserver.store.pieces import (
    INDEX,
    MAILBOX,
    Record,
    announce,
    end_of,
    fits,
    gathered,
    is_settled,
    open_mailbox,
    read_chunks,
    read_index,
    up_to,
)
from mailserver.store.rewriting import copy_records, keep_owner, replace_index
from mailserver.store.scanning import are_records, is_whole, scan, was_cut

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
            self._editions = EditionFile(self.folder)
        except BaseException:
            os.close(self.folder)
            raise
        try:
            self._lock = MailboxLock(self.folder, user, foreign)
        except BaseException:
            self._editions.close()
            os.close(self.folder)
            raise
        self._set_aside = set_aside
        self._mailbox = _NONE
        self._index = _NONE
        self.inode = 0
        self.edition = 0
        self._end = 0  # of the mailbox, in octets, as far as it was looked at
        self._changed = 0  # when, in nanoseconds, as far as it was looked at
        self._index_inode = 0
        self._index_end = 0
        self._unsaved: list[Entry] | None = None  # all entries, when the index can't be written
        self._pending = (0, 0)  # both ends, after the append that is under way

    def close(self) -> None:
        """Close all descriptors, the lock's too."""
        self._close_files()
        self._lock.close()
        self._editions.close()
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
            if found.st_ino == self.inode and self._mailbox != _NONE and self._keeps_up(found):
                return
        self._look()

    def redo(self, promises: Iterable[Promise]) -> None:
        """Write again what the journals promise of this mailbox, durably; and see what others did.
        Raises MailboxUnusable, OSError."""
        self._look(promises)
        self.sync()

    def suspect(self, inode: int) -> None:
        """A sync of the mailbox file with this inode failed: whoever looks next writes a new one,
        from what is in memory. Raises OSError."""
        said = self._editions.read()
        renaming = said.renaming and said.inode != inode
        self._editions.hint(said._replace(suspect=True, renaming=renaming))

    def _look(self, promises: Iterable[Promise] | None = None) -> None:
        try:
            self._reopen(promises)
            if self._editions.read().suspects(self.inode):
                self._renew()
                self._reopen(None)
        except BaseException:
            self._close_files()  # or what was seen by half would count as looked at
            raise

    def entries(self) -> list[Entry]:
        """All messages, after `refresh`."""
        if self._unsaved is not None:
            return self._unsaved
        return read_index(self._index, self.inode).entries

    def checked_entries(self, ids: Collection[str]) -> list[Entry]:
        """All messages, each looked at; those with these unique ids to the octet, for they go."""
        entries = self.entries()
        going = [entry for entry in entries if entry.unique_id in ids]
        are_whole = all(is_whole(self._mailbox, self._end, entry) for entry in going)
        if not (are_whole and are_records(self._mailbox, self._end, entries)):
            entries = scan(self._mailbox, self._end, [])
            self._save(entries)
        return entries

    def is_still(self, inode: int, changed: int) -> bool:
        """After `refresh`: this file, and nobody wrote to it since."""
        return (self.inode, self._changed) == (inode, changed)

    def _keeps_up(self, found: os.stat_result) -> bool:
        """Nothing happened since the last look, or only appends of other servers, all settled."""
        try:
            listing = os.stat(INDEX, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        said = self._editions.read()
        if listing.st_ino != self._index_inode or found.st_size < self._end:
            return False
        if said.inode != self.inode or not said.is_done:
            return False
        self.edition = said.number
        seen = self._end, self._index_end, self._changed
        if (found.st_size, listing.st_size, found.st_ctime_ns) == seen:
            return True
        if self._unsaved is not None or not is_settled(self._index, found, listing.st_size):
            return False
        self._end, self._index_end = found.st_size, listing.st_size
        self._changed = found.st_ctime_ns
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

    def _reopen(self, promises: Iterable[Promise] | None) -> None:
        self._close_files()
        durable.remove(f"{MAILBOX}.new", self.folder)
        self._mailbox, found = open_mailbox(self.folder, self.user, os.O_RDWR)
        self._index = durable.open_file(INDEX, self.folder, os.O_RDWR | os.O_CREAT)
        self.inode = found.st_ino
        self._end = found.st_size
        self._finish_cut()
        found = os.fstat(self._index)
        self._index_inode, self._index_end = found.st_ino, found.st_size
        indexed = read_index(self._index, self.inode)
        if not indexed.entries:  # a new file, whose name may not be on stable storage yet
            durable.sync_directory(self.folder)
            durable.sync_directory(self._data_folder)
        in_place = True
        if promises is not None:
            in_place = self._redo(promises, indexed)
        elif self._is_unfinished(indexed):
            with orphans.promised(self._data_folder, self.user) as known:
                in_place = self._redo(known, indexed)
        self._begin_edition()
        if not in_place:
            self._end_edition()
            indexed = Index([], 0)
        self._reconcile(indexed)

    def _is_unfinished(self, indexed: Index) -> bool:
        """An append was cut; or nobody can tell, for the index is lost."""
        if indexed.entries:
            return indexed.entries[-1].end > indexed.settled
        return self._end > indexed.settled

    def _redo(self, promises: Iterable[Promise], indexed: Index) -> bool:
        """Write again what the journals promise of this edition. False: another program put
        something else there, and the records were looked for one by one."""
        mine = self.in_force(promises, self.inode)
        last = max((one.put.offset + one.put.length for one in mine), default=0)
        if self._were_moved([one.put for one in mine], indexed):
            self._find_or_append([one for one in mine if one.put.body != journal.APART])
            return False
        misplaced: list[Promise] = []
        for one in mine:
            put = one.put
            if put.body == journal.APART:
                if self._end <= last and self._is_torn(put):
                    self._cut(put.offset)  # what was promised with it was not acknowledged either
                    break
            elif (
                not misplaced
                and put.offset <= self._end
                and fits(self._mailbox, put.offset, one.record())
            ):
                stop = durable.write_at(self._mailbox, one.record(), put.offset)
                self._end = max(self._end, stop)
            else:
                misplaced.append(one)
        if misplaced:
            self._find_or_append(misplaced)
        return not misplaced

    def _were_moved(self, puts: Sequence[Put], indexed: Index) -> bool:
        """Another program took out what was before them: they lie elsewhere, and their places may
        look as if nothing had reached them yet."""
        before = [one for one in indexed.entries if puts and one.end == puts[0].offset]
        if not before or is_whole(self._mailbox, self._end, before[0]):
            return False
        places = {one.digest: one.offset for one in scan(self._mailbox, self._end, [])}
        return any(places.get(put.digest, put.offset) != put.offset for put in puts)

    def in_force(self, promises: Iterable[Promise], inode: int) -> list[Promise]:
        """Those of the present edition of the mailbox file with this inode, by their places."""
        mine = [one for one in promises if one.put.inode == inode]
        number = self._editions.read().of(inode)
        if number is None:
            number = max((one.put.edition for one in mine), default=0)
        mine = [one for one in mine if one.put.edition == number]
        return sorted(mine, key=lambda one: one.put.offset)

    def _find_or_append(self, promises: Iterable[Promise]) -> None:
        """Another program moved or removed what was before them, perhaps themselves."""
        if self._end:
            self._end_with_empty_line()
        known = {entry.digest for entry in scan(self._mailbox, self._end, [])}
        for one in promises:
            if one.put.digest not in known:
                self._end = durable.write_at(self._mailbox, one.record(), self._end)

    def _is_torn(self, put: Put) -> bool:
        """It is in the mailbox alone, and not all of it."""
        entry = Entry(put.offset, put.length, 0, put.digest, 1, index.beginning(put.beginning))
        return not is_whole(self._mailbox, self._end, entry) and was_cut(self._mailbox, entry)

    def _renew(self) -> None:
        if entries := self.entries():
            self._rewrite(entries, entries)
        else:
            self.next_edition(self.inode)

    def _finish_cut(self) -> None:
        """A truncation that was cut by a power failure may have left anything behind its end."""
        said = self._editions.read()
        if said.inode == self.inode and said.cut >= 0:
            self._end = min(self._end, said.cut)
            os.ftruncate(self._mailbox, self._end)
            self.sync()
            self._editions.say(said._replace(cut=-1))

    def _begin_edition(self) -> None:
        said = self._editions.read()
        if said.suspects(self.inode):  # what comes now is a new file
            pass
        elif not said.number:
            said = Edition(1, self.inode)
            self._editions.hint(said)
        elif said.inode != self.inode:  # another program replaced the file, or a rename was cut
            self.edition = said.number
            self._end_edition()
            return
        elif said.renaming:
            durable.sync_directory(self.folder)
            said = said._replace(renaming=False, suspect=False)
            self._editions.hint(said)
        self.edition = said.number

    def _is_doubtful(self) -> bool:
        """No sync can be believed that says that the file is on stable storage."""
        said = self._editions.read()
        return said.suspects(self.inode) or intake.is_doubtful(self._data_folder, self.inode)

    def _end_edition(self) -> None:
        """The journals have nothing to say of this file any more: it is on stable storage, or
        about to be written anew."""
        if self._is_doubtful():
            self.suspect(self.inode)
        else:
            self.sync()
            self.next_edition(self.inode)

    def next_edition(self, inode: int, cut: int = -1) -> None:
        """The mailbox file with this inode is on stable storage, and all that the journals promised
        of it is done. Raises OSError."""
        self.edition = max(self.edition, self._editions.read().number) + 1
        self._editions.say(Edition(self.edition, inode, cut=cut))

    def _reconcile(self, indexed: Index) -> None:
        """Bring index and mailbox together again."""
        known = up_to(indexed.entries, min(indexed.settled, self._end))
        if known and not is_whole(self._mailbox, self._end, known[-1]):
            known = []
        untouched = indexed.changed == self._last_change()
        if not (untouched or are_records(self._mailbox, self._end, known)):
            known = []
        if len(known) < len(up_to(indexed.entries, indexed.settled)):
            self._end_edition()  # another program rewrote the file in place
        elif indexed.settled <= self._end:
            self._finish_append(known, indexed.entries[len(known) :])
        entries = known
        if self._end > end_of(known):
            self._end_with_empty_line()
            entries = scan(self._mailbox, self._end, known)
        size = index.HEADER_SIZE + len(entries) * index.ENTRY_SIZE
        self._changed = self._last_change()
        if indexed != (entries, self._end, self._changed) or self._index_end != size:
            self._save(entries)

    def _last_change(self) -> int:
        """Of the mailbox file, by whomever."""
        return os.fstat(self._mailbox).st_ctime_ns

    def _finish_append(self, known: list[Entry], announced: list[Entry]) -> None:
        """Add the announced records that are whole to the known ones, and set aside the rest."""
        for entry in announced:
            if is_whole(self._mailbox, self._end, entry):
                known.append(entry)
            elif self._end <= announced[-1].end and was_cut(self._mailbox, entry):
                self._cut(entry.offset)
                return
            else:  # another program wrote there
                return

    def _cut(self, end: int) -> None:
        """Set aside what is behind `end`, and let the mailbox end there."""
        if self._end > end:
            self._set_aside(self.user, read_chunks(self._mailbox, end, self._end))
            os.ftruncate(self._mailbox, end)
            self._end = end
        self._end_edition()

    def _end_with_empty_line(self) -> None:
        """Let a record that another program left unfinished end as a record does, durably: what
        comes behind it is promised for a place."""
        last = os.pread(self._mailbox, 2, max(0, self._end - 2))
        text_end = self._end - (len(last) - len(last.rstrip(b"\n")))
        # written even if it is there: an earlier sync of it may have failed
        self._end = durable.write_at(self._mailbox, b"\n\n", text_end)
        self.sync()

    # -- appending ---------------------------------------------------------------------------------

    def announce(self, records: Iterable[Record]) -> list[Entry]:
        """Say in the index that these will come behind the last one; then they are promised in a
        journal, and `write`, `commit` follow, or `roll_back`. Raises OSError.

        If the process dies in between, the index tells that there is something to finish.
        """
        if self._unsaved is not None:
            raise OSError(errno.ENOSPC, "the index could not be written")
        end, entries = self._end, []
        for record in records:
            entries.append(announce(record, end))
            end += record.length
        durable.write_at(self._index, index.pack(entries), self._index_end)
        self._pending = (end, self._index_end + len(entries) * index.ENTRY_SIZE)
        return entries

    def write(self, records: Iterable[Record]) -> None:
        """Write what was announced; raises OSError."""
        offset = self._end
        for octets in gathered(records):
            offset = durable.write_at(self._mailbox, octets, offset)

    def reopened(self) -> int:
        """Another descriptor of the mailbox file; raises OSError."""
        fd = durable.open_file(MAILBOX, self.folder, os.O_RDWR)
        if os.fstat(fd).st_ino != self.inode:
            os.close(fd)
            raise OSError(errno.ESTALE, "another program has replaced the mailbox just now")
        return fd

    def sync(self) -> None:
        """What was written is on stable storage after this, or OSError."""
        said = self._editions.read()
        self.suspect(self.inode)  # until it is known: we may be killed
        durable.sync_data(self._mailbox)
        self._editions.hint(said)

    def commit(self) -> None:
        """The appended records stay."""
        self._end, self._index_end = self._pending
        self._changed = self._last_change()
        settled = index.pack_settled(self._end, self._changed)
        with suppress(OSError):  # the next one who opens the file finds it out
            durable.write_at(self._index, settled, index.SETTLED_OFFSET)

    def roll_back(self) -> None:
        """The announced records go, from the file and, by the edition, from the journals. The next
        `refresh` looks at everything afresh. Raises OSError: then they may still come."""
        try:
            os.ftruncate(self._mailbox, self._end)
            self._end_edition()
            os.ftruncate(self._index, self._index_end)
            if self._editions.read().suspects(self.inode):
                self._renew()
        finally:
            self._close_files()

    # -- removing ----------------------------------------------------------------------------------

    def keep_only(self, kept: list[Entry], entries: list[Entry]) -> None:
        """Rewrite the mailbox, durably, with only these of all its entries; raises OSError.

        Until the rename the old file is the truth, from then on the new one; both are whole.
        """
        if kept == entries[: len(kept)] and not self._is_doubtful():
            self._truncate(entries, kept)
        else:
            self._rewrite(entries, kept)

    def _rewrite(self, entries: list[Entry], kept: list[Entry]) -> None:
        name = f"{MAILBOX}.new"
        new = durable.open_file(name, self.folder, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            keep_owner(self._mailbox, new)
            moved = copy_records(self._mailbox, entries[0].offset, kept, new)
            self.replace(self._mailbox, new)
            replace_index(self.folder, new, moved)
        except BaseException:
            durable.remove(name, self.folder)
            raise
        finally:
            os.close(new)
            self._close_files()

    def replace(self, old: int, new: int) -> None:
        """Let the finished `mymailbox.new` be the mailbox, durably and in one step; raises OSError.
        It has all that is to stay: the journals have nothing to say of it. Two descriptors."""
        said = self._editions.read().renaming_to(os.fstat(new).st_ino, os.fstat(old).st_ino)
        self._editions.say(said)
        durable.replace(f"{MAILBOX}.new", MAILBOX, self.folder, new)
        self._editions.hint(said._replace(renaming=False, suspect=False))

    def _truncate(self, entries: list[Entry], kept: list[Entry]) -> None:
        if len(kept) == len(entries):
            return
        end = entries[len(kept)].offset
        self.sync()  # first, or what goes could be written again
        self.next_edition(self.inode, cut=end)
        self._finish_cut()
        self._save(kept)

    def _save(self, entries: list[Entry]) -> None:
        """Write the index afresh. Reading and deleting go on without it (the disk may be full)."""
        self._changed = self._last_change()
        octets = index.pack_header(self.inode, self._end, self._changed) + index.pack(entries)
        try:
            os.ftruncate(self._index, 0)
            self._index_end = durable.write_at(self._index, octets, 0)
            self._unsaved = None
        except OSError:
            self._unsaved, self._index_end = entries, _NONE

"""One user's mailbox, as appends, logins and deletions use it: under its write lock."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable
from contextlib import suppress

from mailserver import durable
from mailserver.store import bulk, index
from mailserver.store.index import Entry
from mailserver.store.intake import Promise
from mailserver.store.mailbox_lock import Foreign, MailboxLock
from mailserver.store.opened import NONE, Opened, SetAside
from mailserver.store.pieces import INDEX, MAILBOX, Record, announce, is_settled
from mailserver.store.repairing import look
from mailserver.store.scanning import NotThere, are_records, is_whole, scan

SESSION_LOCK = ".session"


class MailboxFile(Opened):
    """The mailbox of one user. All but `lock` and `in_place` is for a holder of the lock; `files`
    sees to that."""

    def __init__(
        self, data_folder: int, user: str, set_aside: SetAside, foreign: Foreign = Foreign.FCNTL
    ) -> None:
        """Makes the user's folder when it is missing; raises MailboxUnusable, OSError."""
        super().__init__(data_folder, user, set_aside)
        try:
            self._folder_inode = os.fstat(self.folder).st_ino
            self._lock = MailboxLock(self.folder, user, foreign)
        except BaseException:
            super().close()
            raise
        self._pending = (0, 0)  # both ends, after the append that is under way

    def close(self) -> None:
        """Close all descriptors, the lock's too."""
        self.close_files()
        self._lock.close()
        super().close()

    def lock(self, timeout: float, *, replace: bool = False) -> bool:
        """Keep all others from writing, see `MailboxLock.acquire`."""
        return self._lock.acquire(timeout, replace=replace)

    def unlock(self) -> None:
        """Others may write again; `close` does it too."""
        self._lock.release()

    def in_place(self) -> bool:
        """The folder is still the user's; False when somebody moved or removed it."""
        try:
            found = os.stat(self.user, dir_fd=self.data_folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return found.st_ino == self._folder_inode

    # -- looking -----------------------------------------------------------------------------------

    def refresh(self) -> None:
        """See what others did since the last look; repair it. Raises MailboxUnusable, OSError."""
        try:
            found = os.stat(MAILBOX, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
            os.close(durable.open_file(MAILBOX, self.folder, flags))
        else:
            if found.st_ino == self.inode and self.mailbox != NONE and self._keeps_up(found):
                return
        look(self)

    def redo(self, promises: Iterable[Promise]) -> None:
        """Write again what the journals promise of this mailbox, durably; and see what others did.
        Raises MailboxUnusable, OSError."""
        look(self, promises)
        self.sync()

    def is_still(self, inode: int, changed: int) -> bool:
        """After `refresh`: this file, and nobody wrote to it since."""
        return (self.inode, self.changed) == (inode, changed)

    def _keeps_up(self, found: os.stat_result) -> bool:
        """Nothing happened since the last look, or only appends of other servers, all settled."""
        try:
            listing = os.stat(INDEX, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        said = self.editions.read()
        if listing.st_ino != self.index_inode or found.st_size < self.end:
            return False
        if said.inode != self.inode or not said.is_done:
            return False
        self.edition = said.number
        seen = self.end, self.index_end, self.changed
        if (found.st_size, listing.st_size, found.st_ctime_ns) == seen:
            return True
        if self.unsaved is not None or not is_settled(self.index, found, listing.st_size):
            return False
        self.end, self.index_end = found.st_size, listing.st_size
        self.changed = found.st_ctime_ns
        return True

    # -- appending ---------------------------------------------------------------------------------

    def announce(self, records: Iterable[Record]) -> list[Entry]:
        """Say in the index that these will come behind the last one; then they are promised in a
        journal, and `write`, `commit` follow, or `roll_back`. Raises OSError.

        If the process dies in between, the index tells that there is something to finish.
        """
        if self.unsaved is not None:
            raise OSError(errno.ENOSPC, "the index could not be written")
        end, entries = self.end, []
        for record in records:
            entries.append(announce(record, end))
            end += record.length
        durable.write_at(self.index, index.pack(entries), self.index_end)
        self._pending = (end, self.index_end + len(entries) * index.ENTRY_SIZE)
        return entries

    def write(self, records: Iterable[Record]) -> None:
        """Write what was announced; raises OSError."""
        bulk.write(self.mailbox, (chunk for one in records for chunk in one.chunks()), self.end)

    def reopened(self) -> int:
        """Another descriptor of the mailbox file; raises OSError."""
        fd = durable.open_file(MAILBOX, self.folder, os.O_RDWR)
        if os.fstat(fd).st_ino != self.inode:
            os.close(fd)
            raise OSError(errno.ESTALE, "another program has replaced the mailbox just now")
        return fd

    def commit(self) -> None:
        """The appended records stay."""
        self.end, self.index_end = self._pending
        self.changed = self.last_change()
        settled = index.pack_settled(self.end, self.changed)
        with suppress(OSError):  # the next one who opens the file finds it out
            durable.write_at(self.index, settled, index.SETTLED_OFFSET)

    def roll_back(self) -> None:
        """The announced records go, from the file and, by the edition, from the journals. The next
        `refresh` looks at everything afresh. Raises OSError: then they may still come."""
        try:
            os.ftruncate(self.mailbox, self.end)
            self.end_edition()
            os.ftruncate(self.index, self.index_end)
            if self.editions.read().suspects(self.inode):
                self.renew()
        finally:
            self.close_files()

    # -- removing ----------------------------------------------------------------------------------

    def remove(self, ids: Collection[str], *, untouched: bool) -> int:
        """Remove the messages with these unique ids, durably, and say how many there were; raises
        OSError. Each message is looked at, and those that go are so to the octet unless the file is
        `untouched`.

        Where it is written anew, the old file is the truth until the rename, and from then on the
        new one; both are whole.
        """
        try:
            return self._remove(ids, self.entries(), untouched=untouched)
        except NotThere:
            self.refresh()
            entries = scan(self.mailbox, self.end, [])
            self.save(entries)
            return self._remove(ids, entries, untouched=True)

    def _remove(self, ids: Collection[str], entries: list[Entry], *, untouched: bool) -> int:
        going: list[Entry] = []
        kept: list[Entry] = []
        for entry in entries:
            (going if entry.unique_id in ids else kept).append(entry)
        if not (untouched or all(is_whole(self.mailbox, self.end, entry) for entry in going)):
            raise NotThere
        is_end = kept == entries[: len(kept)] and not self.is_doubtful()
        if not are_records(self.mailbox, self.end, entries if is_end else going):
            raise NotThere
        if is_end:
            self.truncate(entries, kept)
        else:
            self.rewrite(entries, kept)
        return len(going)

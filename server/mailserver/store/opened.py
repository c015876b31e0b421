"""One user's folder, opened: `mymailbox`, its index, its edition, as far as they were looked at.

For a holder of the write lock. Here is what makes one state of them another, durably: synced,
written anew, cut off. `repairing` says what was found and what is to be done about it.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterable
from typing import Protocol

from mailserver import durable
from mailserver.store import bulk, index, intake
from mailserver.store.base import MailboxUnusable
from mailserver.store.edition import Edition, EditionFile
from mailserver.store.index import Entry
from mailserver.store.intake import Promise
from mailserver.store.pieces import INDEX, MAILBOX, end_of, open_mailbox, read_all, read_index
from mailserver.store.rewriting import beside, moved, replace_index
from mailserver.store.scanning import read_records

NONE = -1
"""No descriptor."""


class SetAside(Protocol):
    """Where octets go that are no part of a good message."""

    def __call__(self, user: str, chunks: Iterable[bytes]) -> None: ...


class Opened:
    """The mailbox of one user; its files are opened when first needed."""

    def __init__(self, data_folder: int, user: str, set_aside: SetAside) -> None:
        """Makes the user's folder when it is missing; raises MailboxUnusable, OSError."""
        self.user = user
        try:
            self.folder = durable.open_folder(user, data_folder, create=True)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP, errno.EACCES):
                raise
            raise MailboxUnusable(f"{user}/: {error.strerror}") from None
        self.data_folder = data_folder
        try:
            self.editions = EditionFile(self.folder)
        except BaseException:
            os.close(self.folder)
            raise
        self.set_aside = set_aside
        self.mailbox = NONE
        self.index = NONE
        self.inode = 0
        self.edition = 0
        self.end = 0
        """Of the mailbox, in octets."""
        self.changed = 0
        """When it was, in nanoseconds."""
        self.index_inode = 0
        self.index_end = 0
        self.unsaved: list[Entry] | None = None
        """All entries, when the index can't be written."""

    def close(self) -> None:
        """Close all descriptors."""
        self.close_files()
        self.editions.close()
        os.close(self.folder)

    def open_files(self) -> None:
        """The mailbox, and its index, which is made when it is missing. Raises MailboxUnusable,
        OSError."""
        self.close_files()
        durable.remove(f"{MAILBOX}.new", self.folder)
        self.mailbox, found = open_mailbox(self.folder, self.user, os.O_RDWR)
        self.index = durable.open_file(INDEX, self.folder, os.O_RDWR | os.O_CREAT)
        self.inode = found.st_ino
        self.end = found.st_size

    def close_files(self) -> None:
        """Forget what was seen."""
        for fd in (self.mailbox, self.index):
            if fd != NONE:
                os.close(fd)
        self.mailbox = self.index = NONE
        self.unsaved = None

    def entries(self) -> list[Entry]:
        """All messages."""
        if self.unsaved is not None:
            return self.unsaved
        return read_index(self.index, self.inode).entries

    def save(self, entries: list[Entry]) -> None:
        """Write the index afresh. Reading and deleting go on without it (the disk may be full)."""
        self.changed = self.last_change()
        octets = index.pack_header(self.inode, self.end, self.changed) + index.pack(entries)
        try:
            os.ftruncate(self.index, 0)
            self.index_end = durable.write_at(self.index, octets, 0)
            self.unsaved = None
        except OSError:
            self.unsaved, self.index_end = entries, NONE

    def last_change(self) -> int:
        """Of the mailbox file, by whomever."""
        return os.fstat(self.mailbox).st_ctime_ns

    # -- on stable storage -------------------------------------------------------------------------

    def sync(self) -> None:
        """What was written is on stable storage after this, or OSError."""
        said = self.editions.read()
        self._suspect(self.inode, said)  # until it is known: we may be killed
        durable.sync_data(self.mailbox)
        self.editions.hint(said)

    def suspect(self, inode: int) -> None:
        """A sync of the mailbox file with this inode failed: whoever looks next writes a new one,
        from what is in memory. Raises OSError."""
        self._suspect(inode, self.editions.read())

    def _suspect(self, inode: int, said: Edition) -> None:
        renaming = said.renaming and said.inode != inode
        self.editions.hint(said._replace(suspect=True, renaming=renaming))

    def is_doubtful(self) -> bool:
        """No sync can be believed that says that the file is on stable storage."""
        said = self.editions.read()
        return said.suspects(self.inode) or intake.is_doubtful(self.data_folder, self.inode)

    # -- what the journals say of it ---------------------------------------------------------------

    def in_force(self, promises: Iterable[Promise], inode: int) -> list[Promise]:
        """Those of the present edition of the mailbox file with this inode, by their places."""
        mine = [one for one in promises if one.put.inode == inode]
        number = self.editions.read().of(inode)
        if number is None:
            number = max((one.put.edition for one in mine), default=0)
        mine = [one for one in mine if one.put.edition == number]
        return sorted(mine, key=lambda one: one.put.offset)

    def begin_edition(self) -> None:
        """The one that this file is, or the next."""
        said = self.editions.read()
        if said.suspects(self.inode):  # what comes now is a new file
            pass
        elif not said.number:
            said = Edition(1, self.inode)
            self.editions.hint(said)
        elif said.inode != self.inode:  # another program replaced the file, or a rename was cut
            self.edition = said.number
            self.end_edition()
            return
        elif said.renaming:
            durable.sync_directory(self.folder)
            said = said._replace(renaming=False, suspect=False)
            self.editions.hint(said)
        self.edition = said.number

    def end_edition(self) -> None:
        """The journals have nothing to say of this file any more: it is on stable storage, or
        about to be written anew."""
        if self.is_doubtful():
            self.suspect(self.inode)
        else:
            self.sync()
            self.next_edition(self.inode)

    def next_edition(self, inode: int, cut: int = -1) -> None:
        """The mailbox file with this inode is on stable storage, and all that the journals promised
        of it is done. Raises OSError."""
        self.edition = max(self.edition, self.editions.read().number) + 1
        self.editions.say(Edition(self.edition, inode, cut=cut))

    # -- less of it, or all anew -------------------------------------------------------------------

    def truncate(self, entries: list[Entry], kept: list[Entry]) -> None:
        """Let the mailbox, durably, end behind these, the first of all its entries."""
        if len(kept) == len(entries):
            return
        end = entries[len(kept)].offset
        self.sync()  # first, or what goes could be written again
        self.next_edition(self.inode, cut=end)
        self._cut_off(end)
        self.save(kept)

    def finish_cut(self) -> None:
        """Whoever was about to truncate the file may have been stopped before, in the middle of it
        or, by a power failure, behind it; so there may be anything behind the end."""
        said = self.editions.read()
        if said.inode == self.inode and said.cut >= 0:
            self.editions.say(said)  # it may be in memory only, or its sync have failed
            self._cut_off(said.cut)

    def _cut_off(self, end: int) -> None:
        """Let the file end there, durably, as is said durably by now: a block that was cut may
        reach the disk before the file's new size."""
        self.end = min(self.end, end)
        os.ftruncate(self.mailbox, self.end)
        self.sync()
        self.editions.say(self.editions.read()._replace(cut=-1))

    def rewrite(self, entries: list[Entry], kept: list[Entry]) -> None:
        """Let a new file, with these of all entries and what is before the first one, which is
        nobody's message, be the mailbox. Raises NotThere, and nothing has changed."""
        lead = entries[0].offset
        records = read_records(self.mailbox, self.end, kept)
        octets = itertools.chain(read_all(self.mailbox, 0, lead), records)
        self._write_anew(octets, moved(kept, lead))

    def renew(self) -> None:
        """Write all of it anew: the file is suspect."""
        if entries := self.entries():
            self._write_anew(read_all(self.mailbox, 0, end_of(entries)), entries)
        else:
            self.next_edition(self.inode)

    def _write_anew(self, octets: Iterable[bytes], entries: list[Entry]) -> None:
        """Let a new file with these octets, and so these entries, be the mailbox, durably; whatever
        comes of it, the files are closed then."""
        try:
            with beside(self.mailbox, self.folder) as new:
                bulk.write(new, octets, 0)
                self.replace(self.mailbox, new)
                replace_index(self.folder, new, entries)
        finally:
            self.close_files()

    def replace(self, old: int, new: int) -> None:
        """Let the finished `mymailbox.new` be the mailbox, durably and in one step; raises OSError.
        It has all that is to stay: the journals have nothing to say of it. Two descriptors."""
        said = self.editions.read().renaming_to(os.fstat(new).st_ino, os.fstat(old).st_ino)
        self.editions.say(said)
        durable.replace(f"{MAILBOX}.new", MAILBOX, self.folder, new)
        self.editions.hint(said._replace(renaming=False, suspect=False))

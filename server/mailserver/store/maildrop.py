"""A mailbox as one POP3 session sees it: a listing made at login, and the lock on it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from typing import overload

from mailserver.store import index, mbox
from mailserver.store.base import MailboxUnusable, MaildropInUse
from mailserver.store.edition import EditionFile
from mailserver.store.index import Entry, Listing
from mailserver.store.locks import FileLock
from mailserver.store.mailbox_file import SESSION_LOCK, MailboxFile
from mailserver.store.mailbox_lock import Foreign
from mailserver.store.opened import SetAside
from mailserver.store.pieces import (
    INDEX,
    begins_right,
    is_record,
    open_mailbox,
    read_content,
    read_listing,
)
from mailserver.store.reach import AT_HAND, TO_THE_DISK, never_waits
from mailserver.store.scanning import is_whole
from mailserver.wire.value import value

WRITE_LOCK_SECONDS = 10.0
"""How long a login or a QUIT waits for others to finish writing."""


@value(frozen=True, slots=True)
class _Opened:
    fd: int
    found: os.stat_result
    listing: Listing


class _UniqueIds(Sequence[str]):
    """Of all messages; each is made when somebody asks for it."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return (entry.unique_id for entry in self._entries)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            return _UniqueIds(self._entries[at])
        return self._entries[at].unique_id


class FileMaildrop:
    """See `base.Maildrop`."""

    def __init__(
        self,
        data_folder: int,
        user: str,
        set_aside: SetAside,
        foreign: Foreign,
        *,
        may_wait: bool = True,
    ) -> None:
        """See `base.MailStore.open_maildrop`."""
        self._reach = TO_THE_DISK if may_wait else AT_HAND
        self._data_folder = data_folder
        self._user = user
        self._set_aside = set_aside
        self._foreign = foreign
        self._mailbox = -1
        try:
            self._folder = self._reach.open_folder(user, data_folder)
        except (NotADirectoryError, PermissionError) as error:
            raise MailboxUnusable(f"{user}/: {error.strerror}") from None
        try:
            self._session_lock = FileLock(SESSION_LOCK, self._folder, self._reach)
        except BaseException:
            os.close(self._folder)
            raise
        try:
            if not self._session_lock.try_acquire():
                raise MaildropInUse(user)
            opened = self._open()
            if opened is None:
                if self._reach is AT_HAND:
                    raise BlockingIOError(errno.EAGAIN, "it has to be looked through")
                opened = self._open_repaired()
        except BaseException:
            self.close()
            raise
        self._mailbox, self._listing = opened.fd, opened.listing
        self._at_hand = never_waits(self._mailbox)
        self._inode, self._changed = opened.found.st_ino, opened.found.st_ctime_ns
        self.octets: Sequence[int] = self._listing.sizes

    @property
    def unique_ids(self) -> Sequence[str]:
        """See `base.Maildrop`."""
        return _UniqueIds(self._listing.entries)

    def close(self) -> None:
        """Free the maildrop for the next session."""
        self._let_go()
        if self._folder >= 0:
            self._session_lock.close()
            os.close(self._folder)
            self._folder = -1

    def _let_go(self) -> None:
        if self._mailbox >= 0:
            os.close(self._mailbox)
            self._mailbox = -1

    def _open(self) -> _Opened | None:
        """What the index says, if it fits the mailbox. No lock is needed: an append under way
        shows as one that is not settled, and whoever rewrites has the session lock."""
        try:
            index_fd = self._reach.open_file(INDEX, self._folder, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fd, found = open_mailbox(self._folder, self._user, os.O_RDONLY, self._reach)
            try:
                listing = read_listing(index_fd, found.st_ino, self._reach)
                fits = found.st_size == listing.settled == listing.end
                fits = fits and found.st_ctime_ns == listing.changed  # or another program writes
                fits = fits and (not listing.sizes or begins_right(fd, listing[-1], self._reach))
                fits = fits and self._is_as_it_was_left(found.st_ino)
            except BaseException:
                os.close(fd)
                raise
        except FileNotFoundError:
            return None
        finally:
            os.close(index_fd)
        if fits:
            return _Opened(fd, found, listing)
        os.close(fd)
        return None

    def _is_as_it_was_left(self, inode: int) -> bool:
        """No rewrite or truncation was cut."""
        editions = EditionFile(self._folder, os.O_RDONLY, self._reach)
        try:
            said = editions.read()
        finally:
            editions.close()
        return said.inode == inode and said.is_done

    def _open_repaired(self) -> _Opened:
        file = self._locked_file()
        try:
            listing = Listing.of(file.entries())
            fd, found = open_mailbox(self._folder, self._user, os.O_RDONLY)
        finally:
            file.close()
        return _Opened(fd, found, listing)

    def _locked_file(self, *, replace: bool = False) -> MailboxFile:
        """The mailbox, under its locks (freed by `close`) and repaired."""
        file = MailboxFile(self._data_folder, self._user, self._set_aside, self._foreign)
        try:
            if not file.lock(WRITE_LOCK_SECONDS, replace=replace):
                raise OSError(errno.EBUSY, f"{self._user}: another program keeps it locked")
            file.refresh()
        except BaseException:
            file.close()
            raise
        return file

    def content_at_hand(self, number: int) -> bytes | None:
        """The whole message if it is small and the kernel has it in memory, else None."""
        entry = self._listing[number - 1]
        if not self._at_hand:
            return None
        try:
            octets = AT_HAND.read(self._mailbox, entry.length, entry.offset)
        except OSError:  # too long, not in memory, or a file system that can't tell
            return None
        if len(octets) != entry.length or index.beginning(octets) != entry.beginning:
            return None
        if self._last_change() != self._changed and mbox.digest_of(octets) != entry.digest:
            return None
        return mbox.read_record(octets)

    def content(self, number: int) -> Iterator[bytes]:
        """The message in pieces, CRLF line ends; raises MailboxUnusable or OSError."""
        entry = self._listing[number - 1]
        begun = self._last_change()
        untouched = begun == self._changed and is_record(self._mailbox, entry)
        if not (untouched or self._is_whole(entry)):
            raise MailboxUnusable(f"{self._user}: message {number} was moved by another program")
        return self._read(number, entry, begun)

    def _read(self, number: int, entry: Entry, begun: int) -> Iterator[bytes]:
        yield from read_content(self._mailbox, entry.offset, entry.end)
        if self._last_change() != begun and not self._is_whole(entry):
            raise MailboxUnusable(f"{self._user}: message {number} was moved while it was read")

    def _is_whole(self, entry: Entry) -> bool:
        return is_whole(self._mailbox, os.fstat(self._mailbox).st_size, entry)

    def _last_change(self) -> int:
        """Of the mailbox file, by whomever."""
        return os.fstat(self._mailbox).st_ctime_ns

    def last_login(self) -> int:
        """See `base.Maildrop`."""
        return self._session_lock.noted()

    def note_login(self, when: int) -> None:
        """See `base.Maildrop`."""
        self._session_lock.note(when)

    def delete(self, numbers: Sequence[int]) -> int:
        """Remove these messages durably, all or none, and say how many of them were still there;
        what arrived meanwhile stays.

        They are found by their unique ids, so it matters not who wrote to the file meanwhile; and
        are looked at to the octet if anybody did. Nothing can be read any more after this: the old
        file is let go of here, for whoever does so last frees it, which takes 0.3 s for a gigabyte.
        """
        gone = {self._listing.entries[number - 1].unique_id for number in numbers}
        file = self._locked_file(replace=True)
        try:
            return file.remove(gone, untouched=file.is_still(self._inode, self._changed))
        finally:
            file.close()
            self._let_go()

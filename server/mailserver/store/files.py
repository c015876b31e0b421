"""The store that keeps a mailbox file a user, in one data folder."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from mailserver import durable
from mailserver.durable import OWN_FOLDER
from mailserver.message.verdict import ACCEPTED, Kind, Verdict
from mailserver.store import index, mbox
from mailserver.store.base import Delivery, Deposit, MailboxUnusable, Usage
from mailserver.store.mailbox_file import INDEX, MailboxFile
from mailserver.store.mailbox_lock import Foreign
from mailserver.store.maildrop import FileMaildrop
from mailserver.store.pieces import MAILBOX
from mailserver.store.staging import MEMORY_OCTETS_IN_ALL, FileBody, FileStaging, MemoryUse
from mailserver.wire.value import value

log = logging.getLogger(__name__)

SPOOL = "spool"
LOST_AND_FOUND = "lost+found"

OPEN_MAILBOXES = 200
"""How many mailboxes are kept open for the next message; each is four descriptors."""
RESERVE_OCTETS = 64 * 1024 * 1024
"""Space that stays free, so that mail can still be read and deleted."""

WRITE_LOCK_SECONDS = 0.02
"""How long a batch waits for a mailbox that somebody writes to; an append takes a fraction of it,
a rewrite may take longer, and then the batch goes on without that mailbox."""


@value(frozen=True, slots=True)
class FileRecord:
    """A delivery in stored form."""

    beginning: bytes
    body: FileBody
    octets: int
    length: int

    @classmethod
    def of(cls, delivery: Delivery) -> FileRecord:
        """Quote the head; the body is quoted already."""
        body = delivery.body
        assert isinstance(body, FileBody)
        beginning = delivery.from_line + mbox.quote(delivery.head)
        head_octets = len(delivery.head) + delivery.head.count(b"\n")
        return cls(beginning, body, head_octets + body.octets, len(beginning) + body.length + 1)

    def chunks(self) -> Iterator[bytes]:
        """Its octets, the empty line at its end included."""
        yield self.beginning
        yield from self.body.chunks()
        yield b"\n"


class FileStore:
    """See `base.MailStore`. `append` is for one thread at a time, the rest for any."""

    def __init__(
        self,
        data: Path,
        clock: Callable[[], float],
        reserve_octets: int = RESERVE_OCTETS,
        open_mailboxes: int = OPEN_MAILBOXES,
        memory_octets: int = MEMORY_OCTETS_IN_ALL,
        foreign: Foreign = Foreign.FCNTL,
    ) -> None:
        """`data`: the data folder, which must exist; raises OSError when it cannot be used."""
        self._spool = str(data / OWN_FOLDER / SPOOL)
        self._clock = clock
        self._reserve_octets = reserve_octets
        self._open_mailboxes = open_mailboxes
        self._foreign = foreign
        self._folder = durable.open_folder(str(data))
        own = durable.open_folder(OWN_FOLDER, self._folder, create=True)
        for name in (SPOOL, LOST_AND_FOUND):
            os.close(durable.open_folder(name, own, create=True))
        os.close(own)
        self._memory_use = MemoryUse(memory_octets)
        self._open: OrderedDict[str, MailboxFile] = OrderedDict()

    def close(self) -> None:
        """Close every descriptor."""
        while self._open:
            self._open.popitem()[1].close()
        os.close(self._folder)

    def stage(self) -> FileStaging:
        """A place for one message on its way in."""
        return FileStaging(self._spool, self._memory_use)

    def has_room(self, octets: int) -> bool:
        """A message of this size, staged and stored, would leave the reserve."""
        found = os.fstatvfs(self._folder)
        return found.f_bavail * found.f_frsize >= self._reserve_octets + 2 * octets

    def usage(self, user: str) -> Usage:
        """What the sizes of mailbox and index tell: an index that another program left behind is
        seen to at the next message."""
        entries = self._size(f"{_checked(user)}/{INDEX}") - index.HEADER_SIZE
        octets = self._size(f"{user}/{MAILBOX}")
        return Usage(octets, max(0, entries) // index.ENTRY_SIZE)

    def _size(self, name: str) -> int:
        try:
            return os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_size
        except OSError:  # whoever opens it says what is wrong
            return 0

    def open_maildrop(self, user: str) -> FileMaildrop:
        """Lock and list a mailbox; raises MaildropInUse, MailboxUnusable, OSError."""
        return FileMaildrop(self._folder, _checked(user), self._set_aside, self._foreign)

    # -- appending ---------------------------------------------------------------------------------

    def append(self, batch: Sequence[Deposit]) -> list[Verdict]:
        """Store messages durably, a sync for each mailbox; a verdict for each message."""
        held: dict[str, MailboxFile] = {}
        refused: dict[str, Verdict] = {}
        try:
            for user in sorted({delivery.user for deposit in batch for delivery in deposit}):
                found = self._acquire(user)
                if isinstance(found, Verdict):
                    refused[user] = found
                else:
                    held[user] = found
            verdicts = [self._first_refusal(deposit, refused) for deposit in batch]
            good = [deposit for deposit, v in zip(batch, verdicts, strict=True) if v]
            stored = iter(self._store(good, held))
            return [next(stored) if verdict else verdict for verdict in verdicts]
        finally:
            for file in held.values():
                file.unlock()
            self._close_oldest()

    @staticmethod
    def _first_refusal(deposit: Deposit, refused: dict[str, Verdict]) -> Verdict:
        return next((refused[d.user] for d in deposit if d.user in refused), ACCEPTED)

    def _acquire(self, user: str) -> MailboxFile | Verdict:
        """The mailbox, under its write lock and repaired, or why not."""
        try:
            file = self._mailbox_file(user)
            if not file.lock(WRITE_LOCK_SECONDS):
                return Verdict(Kind.MAILBOX_BUSY)
            try:
                file.refresh()
            except BaseException:
                self._open.pop(user).close()
                raise
        except MailboxUnusable as problem:
            log.error("mail for %s is refused: %s", user, problem)
            return Verdict(Kind.MAILBOX_UNUSABLE)
        except OSError as error:
            return _failed(error, user)
        return file

    def _mailbox_file(self, user: str) -> MailboxFile:
        file = self._open.get(user)
        if file is not None and not file.in_place():
            self._open.pop(user).close()
            file = None
        if file is None:
            file = MailboxFile(self._folder, _checked(user), self._set_aside, self._foreign)
            self._open[user] = file
        self._open.move_to_end(user)
        return file

    def _store(self, deposits: list[Deposit], held: dict[str, MailboxFile]) -> list[Verdict]:
        records: dict[str, list[FileRecord]] = {}
        for deposit in deposits:
            for delivery in deposit:
                records.setdefault(delivery.user, []).append(FileRecord.of(delivery))
        files = [held[user] for user in records]
        try:
            for file in files:
                file.append(records[file.user])
        except OSError as error:
            self._roll_back(files)
            if len(deposits) == 1:
                return [_failed(error, deposits[0][0].user)]
            # Nothing of the batch was stored: find out which of them it was.
            return [verdict for one in deposits for verdict in self._store_alone(one, held)]
        try:
            for file in files:
                file.sync()
        except OSError as error:
            # A failed sync has lost data; it is not tried again (see `durable`).
            self._roll_back(files)
            return [_failed(error, "a mailbox")] * len(deposits)
        for file in files:
            file.commit()
        return [ACCEPTED] * len(deposits)

    def _store_alone(self, deposit: Deposit, held: dict[str, MailboxFile]) -> list[Verdict]:
        try:
            for delivery in deposit:
                held[delivery.user].refresh()
        except (OSError, MailboxUnusable) as error:
            log.error("mail for %s is refused: %s", deposit[0].user, error)
            return [Verdict(Kind.STORAGE_FAILED)]
        return self._store([deposit], held)

    @staticmethod
    def _roll_back(files: list[MailboxFile]) -> None:
        for file in files:
            try:
                file.roll_back()
            except OSError as error:
                log.error("%s: cannot take back what was not stored: %s", file.user, error)

    def _close_oldest(self) -> None:
        while len(self._open) > self._open_mailboxes:
            self._open.popitem(last=False)[1].close()

    def _set_aside(self, user: str, chunks: Iterable[bytes]) -> None:
        """Keep octets that are no part of a good message where a person can look at them.

        On a full disk they are lost: nobody was told that they are stored, and the mailbox must
        stay usable for him who wants to delete mail."""
        name = f"{user}-{self._clock():.6f}"
        try:
            keep_aside(self._folder, name, chunks)
        except OSError as error:
            if not durable.is_full(error):
                raise
            log.error("%s: the end of the mailbox was no whole message; no room to keep it", user)
            return
        log.warning(
            "%s: the end of the mailbox was no whole message; it is in %s/%s/%s",
            user,
            OWN_FOLDER,
            LOST_AND_FOUND,
            name,
        )


def keep_aside(data_folder: int, name: str, chunks: Iterable[bytes]) -> None:
    """Write a file in lost+found, durably, where a person can look at it; raises OSError."""
    own = durable.open_folder(OWN_FOLDER, data_folder, create=True)
    try:
        folder = durable.open_folder(LOST_AND_FOUND, own, create=True)
        try:
            durable.write_atomically(name, folder, chunks)
        finally:
            os.close(folder)
    finally:
        os.close(own)


def _checked(user: str) -> str:
    # Accounts hand out only plain names; a store that trusts that writes anywhere if they err.
    if not user or user.startswith(".") or "/" in user or "\0" in user:
        raise ValueError(f"not a user's folder: {user!r}")
    return user


def _failed(error: OSError, user: str) -> Verdict:
    log.error("mail for %s could not be stored: %s", user, error)
    return Verdict(Kind.DISK_FULL if durable.is_full(error) else Kind.STORAGE_FAILED)

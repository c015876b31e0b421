"""The store that keeps a mailbox file a user, in one data folder."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

from mailserver import durable
from mailserver.durable import OWN_FOLDER
from mailserver.message.verdict import ACCEPTED, Kind, Verdict
from mailserver.store import index, intake, recovery
from mailserver.store.base import Deposit, MailboxUnusable, Usage
from mailserver.store.index import Entry
from mailserver.store.intake import JOURNAL_OCTETS, Intake
from mailserver.store.journal import Put
from mailserver.store.mailbox_file import MailboxFile
from mailserver.store.mailbox_lock import Foreign
from mailserver.store.maildrop import FileMaildrop
from mailserver.store.pieces import INDEX, MAILBOX
from mailserver.store.records import FileRecord, Message, parts_of
from mailserver.store.staging import MEMORY_OCTETS_IN_ALL, FileStaging, MemoryUse

log = logging.getLogger(__name__)

SPOOL = "spool"
LOST_AND_FOUND = "lost+found"

OPEN_MAILBOXES = 1000
"""How many mailboxes are kept open for the next message; each is five descriptors."""
RESERVE_OCTETS = 64 * 1024 * 1024
"""Space that stays free, so that mail can still be read and deleted."""

WRITE_LOCK_SECONDS = 0.02
"""How long a batch waits for a mailbox that somebody writes to; an append takes a fraction of it,
a rewrite may take longer, and then the batch goes on without that mailbox."""


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
        journal_octets: int = JOURNAL_OCTETS,
        background: Executor | None = None,
    ) -> None:
        """`data`: the data folder, which must exist; raises OSError when it cannot be used.
        `background`: for syncs that nobody waits for, if there is one."""
        self._spool = str(data / OWN_FOLDER / SPOOL)
        self._clock = clock
        self._reserve_octets = reserve_octets
        self._open_mailboxes = open_mailboxes
        self._foreign = foreign
        self._folder = durable.open_folder(str(data))
        self._memory_use = MemoryUse(memory_octets)
        self._journal_octets = journal_octets
        self._background = background
        self._open: OrderedDict[str, MailboxFile] = OrderedDict()
        self._intake: Intake | None = None  # taken by the process that appends, not by its parent
        try:
            for name in (SPOOL, LOST_AND_FOUND):
                with durable.own_folder(name, self._folder):
                    pass  # it is there now
            with intake.folder_of(self._folder) as journals, intake.alone(journals):
                recovery.recover(self._folder, journals, self._set_aside)
        except BaseException:
            os.close(self._folder)
            raise

    def settle(self) -> None:
        """See `base.MailStore`."""
        if self._intake is not None:
            self._intake.settle()

    def close(self) -> None:
        """Settle, and close every descriptor."""
        try:
            self.settle()
        except OSError as error:
            log.error("mail stays in the journal until the next start: %s", error)
        if self._intake is not None:
            self._intake.close()
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

    def open_maildrop(self, user: str, *, may_wait: bool = True) -> FileMaildrop:
        """See `base.MailStore`."""
        checked = _checked(user)
        return FileMaildrop(
            self._folder, checked, self._set_aside, self._foreign, may_wait=may_wait
        )

    # -- appending ---------------------------------------------------------------------------------

    def append(self, batch: Sequence[Deposit]) -> list[Verdict]:
        """Store messages durably, with one sync for all; a verdict for each message."""
        try:
            limit = self._taken().limit
        except OSError as error:
            return [_failed(error, "anybody")] * len(batch)
        messages = [Message.of(deposit, limit) for deposit in batch]
        return [verdict for part in parts_of(messages, limit) for verdict in self._append(part)]

    def _taken(self) -> Intake:
        if self._intake is None:
            with intake.folder_of(self._folder) as journals, intake.alone(journals):
                recovery.recover(self._folder, journals, self._set_aside)
                self._intake = Intake(
                    journals, self._redo, self._journal_octets, background=self._background
                )
        return self._intake

    def _redo(self, fd: int) -> None:
        recovery.redo(self._folder, intake.promises([fd]), self._set_aside)

    def _append(self, messages: Sequence[Message]) -> list[Verdict]:
        held: dict[str, MailboxFile] = {}
        refused: dict[str, Verdict] = {}
        try:
            self._taken().make_room(sum(one.octets for one in messages))
            for user in sorted({record.user for one in messages for record in one.records}):
                found = self._acquire(user)
                if isinstance(found, Verdict):
                    refused[user] = found
                else:
                    held[user] = found
            verdicts = [_first_refusal(one, refused) for one in messages]
            good = [one for one, verdict in zip(messages, verdicts, strict=True) if verdict]
            stored = iter(self._store(good, held) if good else ())
            return [next(stored) if verdict else verdict for verdict in verdicts]
        except OSError as error:  # mailbox files that were written before cannot be synced
            return [_failed(error, "anybody")] * len(messages)
        finally:
            for file in held.values():
                file.unlock()
            self._close_oldest()

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

    def _store(self, messages: Sequence[Message], held: dict[str, MailboxFile]) -> list[Verdict]:
        """All of them, or each alone: after an error that concerns only one."""
        records: dict[str, list[FileRecord]] = {}
        for message in messages:
            for record in message.records:
                records.setdefault(record.user, []).append(record)
        files = [held[user] for user in records]
        of_one = False  # an error would be one message's, and the others are to be tried again
        try:
            of_one = True
            entries = {file.user: iter(file.announce(records[file.user])) for file in files}
            of_one = False
            self._promise(messages, held, entries)
            of_one = True
            for file in files:
                file.write(records[file.user])
            of_one = False
            apart = {one.user for message in messages if message.apart for one in message.records}
            for user in apart:
                held[user].sync()
        except OSError as error:
            self._roll_back(files)
            if durable.is_full(error):
                self._taken().begin_anew()
            if of_one and len(messages) > 1:
                return [self._store_alone(message, held) for message in messages]
            return [_failed(error, " ".join(records) or "nobody")] * len(messages)
        for file in files:
            file.commit()
        return [ACCEPTED] * len(messages)

    def _promise(
        self,
        messages: Sequence[Message],
        held: dict[str, MailboxFile],
        entries: dict[str, Iterator[Entry]],
    ) -> None:
        """The point from which on they are stored, whatever happens; raises OSError."""
        puts: list[Put] = []
        bodies: list[list[bytes]] = []
        for message in messages:
            for record in message.records:
                file = held[record.user]
                puts.append(message.put(record, next(entries[record.user]), file, len(bodies)))
            if not message.apart:
                bodies.append(message.records[0].body.memory)
        taken = self._taken()
        for user in entries:
            taken.will_write(held[user].inode, held[user].reopened)
        taken.append(puts, bodies)

    def _store_alone(self, message: Message, held: dict[str, MailboxFile]) -> Verdict:
        try:
            for record in message.records:
                held[record.user].refresh()
        except (OSError, MailboxUnusable) as error:
            log.error("mail for %s is refused: %s", message.records[0].user, error)
            return Verdict(Kind.STORAGE_FAILED)
        return self._store([message], held)[0]

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


def _first_refusal(message: Message, refused: dict[str, Verdict]) -> Verdict:
    return next((refused[one.user] for one in message.records if one.user in refused), ACCEPTED)


def keep_aside(data_folder: int, name: str, chunks: Iterable[bytes]) -> None:
    """Write a file in lost+found, durably, where a person can look at it; raises OSError."""
    with durable.own_folder(LOST_AND_FOUND, data_folder) as folder:
        durable.write_atomically(name, folder, chunks)


def _checked(user: str) -> str:
    # Accounts hand out only plain names; a store that trusts that writes anywhere if they err.
    if not user or user.startswith(".") or "/" in user or "\0" in user:
        raise ValueError(f"not a user's folder: {user!r}")
    return user


def _failed(error: OSError, user: str) -> Verdict:
    log.error("mail for %s could not be stored: %s", user, error)
    return Verdict(Kind.DISK_FULL if durable.is_full(error) else Kind.STORAGE_FAILED)

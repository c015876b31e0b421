"""Looks at all that lies in a data folder, says what is wrong by message and octet, and repairs it.

A message is good when its octets are those that its index entry promises, or, without an entry,
when it has the form of a record. What is neither (zeros and pieces that a crash left) is moved to
a file in lost+found; no good message is ever moved.
"""

from __future__ import annotations

import itertools
import mmap
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from mailserver import durable
from mailserver.durable import OWN_FOLDER
from mailserver.store import bulk, intake, mbox, recovery
from mailserver.store.base import MailboxUnusable
from mailserver.store.files import LOST_AND_FOUND, keep_aside
from mailserver.store.index import Entry, Index
from mailserver.store.intake import Promise
from mailserver.store.mailbox_file import MailboxFile
from mailserver.store.orphans import Orphans, orphans
from mailserver.store.pieces import INDEX, MAILBOX, open_mailbox, read_chunks, read_index
from mailserver.store.rewriting import beside
from mailserver.store.scanning import is_whole
from mailserver.wire.value import value

LOCK_SECONDS = 10.0
"""How long a mailbox that somebody writes to is waited for."""

# No mail has zeros in it (the server refuses NUL); a crash leaves them where octets never came.
_ZEROS = re.compile(rb"\0{8,}|\0+\Z")
_RECORD_START = re.compile(rb"(?:\A|\n\n|\0{8})(?=From )")
_NOTHING = Index([], 0)

Octets = bytes | mmap.mmap


@value(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be."""

    octet: int
    """Where it begins in the mailbox file."""
    octets: int
    message: int | None
    """The message it concerns; None: the file, or what belongs to no message."""
    what: str
    remedy: str
    """What a repair makes of it."""

    def __str__(self) -> str:
        where = f"message {self.message}, " if self.message else ""
        return f"{where}octets {self.octet} to {self.octet + self.octets}: {self.what}"


@dataclass(slots=True)
class Report:
    """What was found in one mailbox."""

    user: str
    messages: int = 0
    octets: int = 0
    unusable: str = ""
    """Why it could not be looked at."""
    problems: list[Problem] = field(default_factory=list)
    repaired: bool = False
    kept_in: str = ""
    """The file in lost+found that has what is no part of a message now."""

    @property
    def clean(self) -> bool:
        """There was nothing to find."""
        return not self.problems and not self.unusable


@value(frozen=True, slots=True)
class Span:
    """A part of a mailbox file: one message's record, or, with a reason, none."""

    start: int
    end: int
    no_message: str = ""


def spans(octets: Octets, indexed: Index = _NOTHING) -> Iterator[Span]:
    """The whole file in parts."""
    end = _announced_piece(octets, indexed)
    starts = sorted({0, *(found.end() for found in _RECORD_START.finditer(octets, 0, end)), end})
    for start, stop in itertools.pairwise(starts):
        yield from _parts(octets, start, stop)
    if end < len(octets):
        yield Span(end, len(octets), "an append was cut here, and never acknowledged")


def _announced_piece(octets: Octets, indexed: Index) -> int:
    """Where a record begins that was announced and is not whole; or the file's end."""
    for entry in indexed.entries:
        if entry.end > indexed.settled and _digest(octets, entry.offset, entry.end) != entry.digest:
            return min(entry.offset, len(octets))
    return len(octets)


def _parts(octets: Octets, start: int, end: int) -> Iterator[Span]:
    """Between two starts of records: a good one, then perhaps zeros; or nothing good."""
    zeros = _ZEROS.search(octets, start, end)
    if octets[start : start + len(mbox.RECORD_START)] != mbox.RECORD_START:
        yield Span(start, end, "zeros" if zeros else "text before the first message")
    elif zeros is None:
        yield Span(start, end)
    elif octets[zeros.start() - 2 : zeros.start()] == b"\n\n":
        yield Span(start, zeros.start())
        yield Span(zeros.start(), end, "zeros")
    else:
        yield Span(start, end, "a piece of a message that ends in zeros")


def _digest(octets: Octets, start: int, end: int) -> bytes:
    head = start + mbox.HEAD_OCTETS
    cuts = [start, *range(head, end, 1 << 20), end]
    return mbox.digest(octets[a:b] for a, b in itertools.pairwise(cuts))


def misfits(octets: Octets, good: Sequence[Span], indexed: Index) -> Iterator[Problem]:
    """Where the index says something else than the file. It may end before the file does."""
    entries = {entry.offset: entry for entry in indexed.entries}
    end = indexed.entries[-1].end if indexed.entries else 0
    for number, span in enumerate(good, 1):
        entry = entries.pop(span.start, None)
        length = span.end - span.start
        if entry is None and span.start >= end:
            continue
        if entry is None or entry.length != length:
            yield Problem(span.start, length, number, "not in the index", "the index is made again")
        elif _digest(octets, span.start, span.end) != entry.digest:
            what = "it is not what was stored: another program or the disk changed it"
            yield Problem(span.start, length, number, what, "it stays, under a new unique id")
    for entry in entries.values():
        if entry.end <= indexed.settled:
            what = "the index has a message that is not here"
            yield Problem(entry.offset, entry.length, None, what, "the index is made again")


# -- in a data folder ------------------------------------------------------------------------------


def check(data: str, now: float, *, repair: bool = False) -> Iterator[Report]:
    """A report for each mailbox of a data folder, in the order of their names; raises OSError.

    `now`, in seconds, is part of the names in lost+found.
    """
    folder = durable.open_folder(data)
    try:
        with _orphans(folder) as left:
            if repair:
                left.secure()
            promises = left.promises()
            for user in sorted(os.listdir(folder)):
                found = os.stat(user, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode) and not user.startswith("."):
                    yield _check_one(folder, user, now, promises.get(user, []), repair=repair)
            if repair:
                left.end()
    finally:
        os.close(folder)


@contextmanager
def _orphans(data: int) -> Iterator[Orphans]:
    """The journals whose process is gone; nobody recovers them meanwhile."""
    with intake.folder_of(data) as folder, intake.alone(folder), orphans(folder) as left:
        yield left


def _check_one(
    data: int, user: str, now: float, promises: list[Promise], *, repair: bool
) -> Report:
    report = Report(user)
    try:
        if promises:
            with _opened(data, user) as (file, mailbox):
                report.problems += _missing(file, mailbox, promises)
            if report.problems and repair:
                recovery.redo(data, {user: promises}, partial(_set_aside, data, now))
                report.repaired = True
        with _opened(data, user) as (file, mailbox):
            _examine(file, mailbox, report, data if repair else None, now)
    except FileNotFoundError:
        pass  # no mail yet
    except (MailboxUnusable, TimeoutError) as problem:
        report.unusable = str(problem)
    return report


def _missing(file: MailboxFile, mailbox: int, promises: list[Promise]) -> Iterator[Problem]:
    """What the journal of a server that did not stop has, and the mailbox has not."""
    found = os.fstat(mailbox)
    for put in (one.put for one in file.in_force(promises, found.st_ino)):
        entry = Entry(put.offset, put.length, 0, put.digest, 1, 0)
        if not is_whole(mailbox, found.st_size, entry):
            what = "this message is in the journal of a server that did not stop"
            remedy = "it is put here, as the next start would do"
            yield Problem(put.offset, put.length, None, what, remedy)


@contextmanager
def _opened(data: int, user: str) -> Iterator[tuple[MailboxFile, int]]:
    """The mailbox, and a descriptor of it; nobody of us writes there meanwhile."""
    file = MailboxFile(data, user, _set_nothing_aside)
    try:
        os.stat(MAILBOX, dir_fd=file.folder, follow_symlinks=False)
        if not file.lock(LOCK_SECONDS, replace=True):
            raise TimeoutError("another program keeps it locked")
        mailbox, _ = open_mailbox(file.folder, user, os.O_RDWR)
        try:
            yield file, mailbox
        finally:
            os.close(mailbox)
    finally:
        file.close()


def _set_aside(data: int, now: float, user: str, chunks: Iterable[bytes]) -> None:
    keep_aside(data, f"{user}-{now:.6f}-journal", chunks)


def _set_nothing_aside(user: str, chunks: Iterable[bytes]) -> None:
    raise AssertionError("only an append sets aside what another left")


def _examine(file: MailboxFile, mailbox: int, report: Report, data: int | None, now: float) -> None:
    """Fill the report; repair when it is told which data folder this is in."""
    beforehand = len(report.problems)
    size = report.octets = os.fstat(mailbox).st_size
    octets: Octets = mmap.mmap(mailbox, size, access=mmap.ACCESS_READ) if size else b""
    indexed = _index(file.folder, os.fstat(mailbox).st_ino)
    parts = list(spans(octets, indexed or _NOTHING))
    good = [part for part in parts if not part.no_message]
    bad = [part for part in parts if part.no_message]
    report.messages = len(good)
    kept_in = f"{report.user}-{now:.6f}-check"
    for part in bad:
        remedy = f"moved to {OWN_FOLDER}/{LOST_AND_FOUND}/{kept_in}"
        length = part.end - part.start
        report.problems.append(Problem(part.start, length, None, part.no_message, remedy))
    unfinished = bool(good) and octets[good[-1].end - 2 : good[-1].end] != b"\n\n"
    if unfinished:
        what = "no empty line at the end"
        report.problems.append(Problem(size, 0, len(good), what, "one is added"))
    if indexed is not None:
        report.problems += misfits(octets, good, indexed)
    if data is None or report.clean or len(report.problems) == beforehand:
        return
    if bad:
        report.kept_in = f"{OWN_FOLDER}/{LOST_AND_FOUND}/{kept_in}"
        keep_aside(data, kept_in, _chunks(mailbox, bad))
        _keep_only(file, mailbox, good, unfinished=unfinished)
    else:
        if unfinished:
            durable.write_at(mailbox, b"\n" * (2 - octets[-2:].count(b"\n")), size)
        durable.sync_data(mailbox)
        file.next_edition(os.fstat(mailbox).st_ino)
    durable.remove(INDEX, file.folder)
    report.repaired = True


def _index(folder: int, inode: int) -> Index | None:
    try:
        fd = durable.open_file(INDEX, folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return read_index(fd, inode)
    finally:
        os.close(fd)


def _keep_only(file: MailboxFile, mailbox: int, good: Sequence[Span], *, unfinished: bool) -> None:
    """Replace the mailbox by one that has nothing but messages."""
    with beside(mailbox, file.folder) as new:
        bulk.write(new, itertools.chain(_chunks(mailbox, good), [b"\n"] * unfinished), 0)
        file.replace(mailbox, new)


def _chunks(mailbox: int, parts: Sequence[Span]) -> Iterator[bytes]:
    for part in parts:
        yield from read_chunks(mailbox, part.start, part.end)

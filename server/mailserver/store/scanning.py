"""What lies in a mailbox file: its records, found by reading it. No state, no locks."""

from __future__ import annotations

import errno
import itertools
import os
from collections import Counter
from collections.abc import Iterator

from mailserver.store import index, mbox
from mailserver.store.index import Entry
from mailserver.store.pieces import begins_right, end_of, read_all, read_chunks, read_content

_ROW_OCTETS = 256 * 1024


class NotThere(OSError):
    """A record is not where the index says: another program wrote to the mailbox."""


def is_whole(mailbox: int, end: int, entry: Entry) -> bool:
    """All of the record is there, in a file that ends at `end`."""
    if entry.end > end:  # or a digest of nothing would do
        return False
    return mbox.digest(read_chunks(mailbox, entry.offset, entry.end)) == entry.digest


def are_records(mailbox: int, end: int, entries: list[Entry]) -> bool:
    """Each entry's record is where it was. Those that begin like another are read whole, or one
    might be in the place of the other."""
    begun = Counter(entry.beginning for entry in entries)
    return all(
        (begun[entry.beginning] == 1 and begins_right(mailbox, entry))
        or is_whole(mailbox, end, entry)
        for entry in entries
    )


def read_records(mailbox: int, end: int, entries: list[Entry]) -> Iterator[bytes]:
    """The records' octets, in order, each looked at as `are_records` does it; raises NotThere."""
    begun = Counter(entry.beginning for entry in entries)
    for row in _rows(entries):
        start = row[0].offset
        octets = os.pread(mailbox, min(row[-1].end - start, _ROW_OCTETS), start)
        for entry in row:
            at = entry.offset - start
            first = octets[at : at + min(index.BEGINNING_OCTETS, entry.length)]
            is_there = begun[entry.beginning] == 1 and index.beginning(first) == entry.beginning
            if not (is_there or is_whole(mailbox, end, entry)):
                raise NotThere(errno.EIO, f"no message where the index has one, at {entry.offset}")
        yield octets
        yield from read_all(mailbox, start + len(octets), row[-1].end)


def _rows(entries: list[Entry]) -> Iterator[list[Entry]]:
    """Neighbours that can be read at once; what is bigger comes alone."""
    row: list[Entry] = []
    for entry in entries:
        if row and (entry.offset != row[-1].end or entry.end > row[0].offset + _ROW_OCTETS):
            yield row
            row = []
        row.append(entry)
    if row:
        yield row


def was_cut(mailbox: int, announced: Entry) -> bool:
    """A piece of the announced record is there, or nothing, or (after a power cut) zeros."""
    found = os.pread(mailbox, index.BEGINNING_OCTETS, announced.offset)
    if len(found) < index.BEGINNING_OCTETS and found.startswith(mbox.RECORD_START):
        return True
    if not found.strip(b"\0") or mbox.RECORD_START.startswith(found):
        return True
    return index.beginning(found) == announced.beginning


def scan(mailbox: int, end: int, known: list[Entry]) -> list[Entry]:
    """Entries for all records, reading those behind the ones that are known. What is no record
    there belongs to the last one, as any program that reads the file sees it."""
    kept, starts = known, []
    for kept in (known, known[:-1], []):
        start = end_of(kept)
        starts = [start + offset for offset in mbox.record_starts(read_chunks(mailbox, start, end))]
        if starts[:1] == [start]:
            break
    bounds = itertools.pairwise([*starts, end])
    return index.join(kept, [_describe(mailbox, start, stop) for start, stop in bounds])


def _describe(mailbox: int, start: int, end: int) -> Entry:
    length = end - start
    if length <= mbox.HEAD_OCTETS:  # nearly all: one look at the whole
        record = os.pread(mailbox, length, start)
        octets, found = len(mbox.read_record(record)), mbox.digest([record])
    else:
        record = os.pread(mailbox, index.BEGINNING_OCTETS, start)
        octets = sum(map(len, read_content(mailbox, start, end)))
        found = mbox.digest(read_chunks(mailbox, start, end))
    return Entry(start, length, octets, found, 1, index.beginning(record))

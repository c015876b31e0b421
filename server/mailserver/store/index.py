"""The index beside a mailbox file: where each message lies, so that opening needs no reading.

It may be deleted, be stale or be torn at any time: it is trusted only as far as it fits the
mailbox, and made again from there. Entries are written before the records they announce: after a
crash in the middle of an append they tell how much of the mailbox file is whole.

    header   magic, version, inode of the mailbox file, how much of that file is settled, when it
             was changed last (st_ctime, which no program can set)
    entry    offset and length in the file, octets as sent, digest, ordinal among equal digests,
             crc32 of the record's first octets
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from functools import cached_property, partial
from typing import NamedTuple

_HEADER = struct.Struct("<8sQQQ")
_SETTLED = struct.Struct("<QQ")
_MAGIC = b"mbindex3"
_ENTRY = struct.Struct("<QQQ12sII")
_SPAN = struct.Struct("<QQQ20x")  # the beginning of one

HEADER_SIZE = _HEADER.size
SETTLED_OFFSET = HEADER_SIZE - _SETTLED.size
ENTRY_SIZE = _ENTRY.size
MOST_OCTETS = 2**63 - 1
"""Of a file, as the system counts them."""
BEGINNING_OCTETS = 256
"""Of a record, by which a piece of it is recognised: sender, time, trace and more."""


class Entry(NamedTuple):
    """One message in a mailbox file."""

    offset: int
    length: int
    """Octets of the record in the file."""
    octets: int
    """Octets of the message as POP3 sends it."""
    digest: bytes
    ordinal: int
    """1, or more for a record that equals an earlier one to the octet."""
    beginning: int
    """crc32 of the first BEGINNING_OCTETS of the record."""

    @property
    def end(self) -> int:
        return self.offset + self.length

    @property
    def unique_id(self) -> str:
        """RFC 1939 7; made from the record alone, so it survives the loss of the index."""
        return self.digest.hex() if self.ordinal == 1 else f"{self.digest.hex()}-{self.ordinal}"


_entry = partial[Entry](tuple.__new__, Entry)
"""What `Entry._make` does, in a third of the time."""


class Index(NamedTuple):
    """What an index file says."""

    entries: list[Entry]
    settled: int
    """Where the mailbox ended when it was last known to be whole. Entries behind it announce an
    append that was not finished; what another program did to the file ends anywhere."""
    changed: int = 0
    """When one of us last changed the mailbox file, in nanoseconds since the epoch."""


def pack_header(inode: int, settled: int, changed: int) -> bytes:
    """The beginning of an index."""
    return _HEADER.pack(_MAGIC, inode, settled, changed)


def pack_settled(settled: int, changed: int) -> bytes:
    """The part of the header that each append changes, for SETTLED_OFFSET."""
    return _SETTLED.pack(settled, changed)


def pack(entries: Iterable[Entry]) -> bytes:
    """Entries as they stand in the file."""
    return b"".join(_ENTRY.pack(*entry) for entry in entries)


class Listing:
    """What an index file says, up to the first entry that does not fit. The sizes are read at once,
    entries when somebody asks for them."""

    def __init__(self, octets: bytes, inode: int) -> None:
        """It says nothing when it is another file's index."""
        self.sizes: list[int] = []
        """Octets of each message as POP3 sends it."""
        self.settled = 0
        """See `Index`, as of the next."""
        self.changed = 0
        self.end = 0
        """Of the last record."""
        self._octets = octets
        if len(octets) < HEADER_SIZE:
            return
        magic, its_inode, settled, changed = _HEADER.unpack_from(octets)
        if (magic, its_inode) == (_MAGIC, inode):
            self.settled, self.changed = settled, changed
            self._read()

    def _read(self) -> None:
        whole = len(self._octets) - (len(self._octets) - HEADER_SIZE) % ENTRY_SIZE
        entries = memoryview(self._octets)[HEADER_SIZE:whole]
        sizes: list[int] = []
        found = sizes.append  # of a hundred thousand
        expected = next(_SPAN.iter_unpack(entries), (0, 0, 0))[0]
        for offset, length, size in _SPAN.iter_unpack(entries):
            if offset != expected or not length:
                break
            expected += length
            found(size)
        if sizes and expected <= MOST_OCTETS:
            self.sizes, self.end = sizes, expected

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Listing:
        """Of what was found without an index."""
        return cls(pack_header(0, 0, 0) + pack(entries), 0)

    def __getitem__(self, position: int) -> Entry:
        """One of them, as it stands there."""
        at = range(HEADER_SIZE, HEADER_SIZE + len(self.sizes) * ENTRY_SIZE, ENTRY_SIZE)
        return Entry._make(_ENTRY.unpack_from(self._octets, at[position]))

    @cached_property
    def entries(self) -> list[Entry]:
        """All of them, equal ones told apart."""
        octets = memoryview(self._octets)[HEADER_SIZE:][: len(self.sizes) * ENTRY_SIZE]
        entries = list(map(_entry, _ENTRY.iter_unpack(octets)))
        if len({entry.digest for entry in entries}) < len(entries):
            entries = _told_apart(entries)
        return entries

    @property
    def whole(self) -> Index:
        """All of it."""
        return Index(self.entries, self.settled, self.changed)


def unpack(octets: bytes, inode: int) -> Index:
    """The entries up to the first that does not fit; none when it is another file's index."""
    return Listing(octets, inode).whole


def ends_settled(header: bytes, last: bytes, inode: int, end: int, changed: int) -> bool:
    """The header and the last entry of an index agree that the mailbox is whole and ends there."""
    if len(header) < HEADER_SIZE or len(last) < ENTRY_SIZE:
        return False
    offset, length = _ENTRY.unpack(last)[:2]
    return _HEADER.unpack(header) == (_MAGIC, inode, end, changed) and offset + length == end


def _told_apart(entries: list[Entry]) -> list[Entry]:
    """Nobody looks for equal records when he announces one: it may have an ordinal twice."""
    known: dict[tuple[bytes, int], Entry] = {}
    for entry in entries:
        ordinal = entry.ordinal
        while (entry.digest, ordinal) in known:
            ordinal += 1
        known[entry.digest, ordinal] = entry._replace(ordinal=ordinal)
    return list(known.values())


def beginning(record: bytes | bytearray) -> int:
    """By what a record that was cut short is recognised."""
    return zlib.crc32(record[:BEGINNING_OCTETS])


def join(known: list[Entry], found: Iterable[Entry]) -> list[Entry]:
    """All entries, with ordinals that tell equal records apart; those of the known ones stay."""
    last: dict[bytes, int] = {}
    for entry in known:
        last[entry.digest] = max(entry.ordinal, last.get(entry.digest, 0))
    joined = list(known)
    for entry in found:
        ordinal = last[entry.digest] = last.get(entry.digest, 0) + 1
        joined.append(entry if entry.ordinal == ordinal else entry._replace(ordinal=ordinal))
    return joined

"""The journal's form: what was promised of which mailbox, in batches. Octets to values, no I/O.

A journal file is a row of batches from its beginning on, each padded to whole blocks, so that no
batch's write touches a block of one that is already on stable storage:

    batch    magic, epoch, its number in that epoch, octets of what follows, crc32 of all others;
             then how many puts and bodies there are, the puts, the bodies
    put      the record of one message for one mailbox file, and where in that file it belongs

It ends where something else follows: zeros, an older epoch, a batch that was cut.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

BLOCK = 4096
MAGIC = b"mbjourn1"
_HEADER = struct.Struct("<8sQQQI")
_COUNTS = struct.Struct("<II")
_PUT = struct.Struct("<HQQQQ12sIi")
_LENGTH = struct.Struct("<Q")

APART = -1
"""Instead of the number of a body: the record is in the mailbox file alone."""
OVERHEAD = 512
"""More octets than a put has besides its beginning, or a body besides itself."""


class Put(NamedTuple):
    """The record of one message, and its place."""

    user: str
    edition: int
    """Of the mailbox (`edition`)."""
    inode: int
    """Of the mailbox file."""
    offset: int
    """In that file."""
    length: int
    """Octets of the record, the empty line at its end included."""
    digest: bytes
    """`mbox.digest` of the record."""
    beginning: bytes
    """Its octets up to the body; some of them when it is apart."""
    body: int
    """Which of the batch's bodies comes then; or APART."""


class Found(NamedTuple):
    """A put in a journal, and its octets there."""

    put: Put
    body: tuple[int, int]
    """Where its body is in the journal file, and how long."""


class Batch(NamedTuple):
    """What one sync made durable."""

    epoch: int
    puts: list[Found]
    end: int
    """Where the next one begins in the file."""


def pack(epoch: int, number: int, puts: Sequence[Put], bodies: Sequence[Sequence[bytes]]) -> bytes:
    """A batch as it stands in the file. Each body comes in pieces."""
    parts = [bytes(_HEADER.size), _COUNTS.pack(len(puts), len(bodies))]
    for put in puts:
        user, begun = put.user.encode(), len(put.beginning)
        parts.append(_PUT.pack(len(user), *put[1:6], begun, put.body))
        parts += (user, put.beginning)
    for pieces in bodies:
        parts.append(_LENGTH.pack(sum(map(len, pieces))))
        parts += pieces
    octets = bytearray().join(parts)
    length = len(octets) - _HEADER.size
    octets += bytes(-len(octets) % BLOCK)
    check = _check(epoch, number, octets, length)
    _HEADER.pack_into(octets, 0, MAGIC, epoch, number, length, check)
    return bytes(octets)


def batches(octets: bytes) -> Iterator[Batch]:
    """All that a journal file holds, in order."""
    view, start, expected = memoryview(octets), 0, 0
    first = None
    while (found := _batch(view, start)) is not None:
        number, batch = found
        if number != expected or (first is not None and batch.epoch != first):
            return
        first, start, expected = batch.epoch, batch.end, expected + 1
        yield batch


def _check(epoch: int, number: int, octets: bytes | bytearray | memoryview, length: int) -> int:
    content = memoryview(octets)[_HEADER.size : _HEADER.size + length]
    return zlib.crc32(content, zlib.crc32(_LENGTH.pack(epoch) + _LENGTH.pack(number)))


def _batch(view: memoryview, start: int) -> tuple[int, Batch] | None:
    if start + _HEADER.size > len(view):
        return None
    magic, epoch, number, length, check = _HEADER.unpack_from(view, start)
    end = start + _HEADER.size + length
    if magic != MAGIC or end > len(view):
        return None
    if _check(epoch, number, view[start:end], length) != check:
        return None
    puts = list(_puts(view, start + _HEADER.size))
    return number, Batch(epoch, puts, end + -(end - start) % BLOCK)


def _puts(view: memoryview, at: int) -> Iterator[Found]:
    puts, bodies = _COUNTS.unpack_from(view, at)
    at += _COUNTS.size
    made = []
    for _ in range(puts):
        named, edition, inode, offset, length, digest, begun, body = _PUT.unpack_from(view, at)
        at += _PUT.size
        user = bytes(view[at : at + named]).decode()
        at += named
        beginning = bytes(view[at : at + begun])
        made.append(Put(user, edition, inode, offset, length, digest, beginning, body))
        at += begun
    spans = []
    for _ in range(bodies):
        (length,) = _LENGTH.unpack_from(view, at)
        at += _LENGTH.size
        spans.append((at, length))
        at += length
    for put in made:
        yield Found(put, spans[put.body] if put.body != APART else (0, 0))

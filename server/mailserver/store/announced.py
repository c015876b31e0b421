"""What an append is about to write, noted at the mailbox file itself, as an extended attribute.

The index is never synced, so after a power cut it may know nothing of the append that was cut, and
zeros or half a message would pass for mail. An extended attribute is part of the file's inode. ext4
and xfs bring changes of inodes to the disk in the order in which they were made: a file that has
grown carries the attribute that was set before it grew. That takes no sync of its own.
"""

from __future__ import annotations

import errno
import itertools
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mailserver import durable
from mailserver.store import mbox
from mailserver.store.index import Entry, Index
from mailserver.store.pieces import read_chunks

_NAME = "user.mailserver.append"
_FORM = struct.Struct("<QQII?")  # fits into an inode of 256 octets: no block of its own
_BEGINNING = 40
_NOT_KEPT = (errno.ENOTSUP, errno.ENOSYS)
_NONE_THERE = (errno.ENODATA, *_NOT_KEPT)


class Announcement(NamedTuple):
    """The records of one append."""

    offset: int
    length: int
    """Octets of all of them."""
    digests: int
    """crc32 of their digests, one behind the other."""
    beginning: int
    """crc32 of the first _BEGINNING octets: sender and time."""
    leaving: bool
    """They are about to be cut off, and no append."""

    @property
    def end(self) -> int:
        return self.offset + self.length


def settle(mailbox: int, size: int, known: Index) -> int:
    """Sync the last append if that may not be done, for the next announcement takes the place of
    its own. Returns where the mailbox ends without what a power cut tore; its size if nothing was.

    `known`: what the index says of this very file, however old it is. Raises OSError."""
    last = noted(mailbox)
    if last is None:
        return size
    end = size if size <= last.offset else _end(mailbox, size, last, known)
    if end != last.offset:
        forget(mailbox)  # what is here now is settled, or another program's
    return end


def _end(mailbox: int, size: int, last: Announcement, known: Index) -> int:
    is_settled = not last.leaving and _is_settled(last, known)
    if is_settled or _is_whole(last, mailbox, size):
        if not is_settled:
            _write_again(mailbox, last.offset, last.end)
        rest_is_zeros = os.pread(mailbox, 1, last.end) == b"\0"  # some round the size up
        return last.end if rest_is_zeros else size
    return last.offset if _is_ours(last, mailbox, size) else size


def _write_again(mailbox: int, start: int, end: int) -> None:
    """An earlier sync may have failed, and then only what is written anew reaches the disk."""
    for octets in read_chunks(mailbox, start, end):
        start = durable.write_at(mailbox, octets, start)
    durable.sync_data(mailbox)


def _is_settled(last: Announcement, known: Index) -> bool:
    """The index has these very records, and knows that they were synced."""
    inside = [one for one in known.entries if last.offset <= one.offset < last.end]
    return known.settled >= last.end and _of_digests(inside) == last.digests


def _is_whole(last: Announcement, mailbox: int, size: int) -> bool:
    """All records are in the mailbox as they were announced."""
    return size >= last.end and last.digests in _digests(mailbox, last.offset, last.end)


def _is_ours(last: Announcement, mailbox: int, size: int) -> bool:
    """What is there was torn. Another program that rewrote the file in place left no zeros, and
    moved the records or gave them status fields, which are no part of a digest."""
    chunks = read_chunks(mailbox, last.offset, size)
    if any(b"\0" in chunk for chunk in chunks):
        return True  # no mail that we store has any
    first = os.pread(mailbox, _BEGINNING, last.offset)
    if len(first) == _BEGINNING and zlib.crc32(first) != last.beginning:
        return False
    return last.digests not in _digests(mailbox, last.offset, size)


def _digests(mailbox: int, start: int, end: int) -> Iterator[int]:
    """What `Announcement.digests` is for the first record here, the first two, and so on."""
    found = mbox.record_starts(read_chunks(mailbox, start, end))
    so_far = 0
    for first, last in itertools.pairwise([*(start + one for one in found), end]):
        so_far = zlib.crc32(mbox.digest(read_chunks(mailbox, first, last)), so_far)
        yield so_far


def _of_digests(entries: Sequence[Entry]) -> int:
    return zlib.crc32(b"".join([entry.digest for entry in entries]))


def note(mailbox: int, entries: Sequence[Entry], first: bytes) -> bool:
    """Announce these records, before their first octet is written; `first`: how they begin.

    False: this file system keeps no such notes; raises OSError when it does, and could not."""
    offset, end = entries[0].offset, entries[-1].end
    digests = _of_digests(entries)
    return _leave(
        mailbox, Announcement(offset, end - offset, digests, zlib.crc32(first[:_BEGINNING]), False)
    )


def note_leaving(mailbox: int, offset: int, size: int, entries: Sequence[Entry] = ()) -> bool:
    """The same before the mailbox is cut back to `offset`, for a power cut can leave the size and
    take octets. `entries`: the records there; none: what is there is no mail."""
    beginning = zlib.crc32(os.pread(mailbox, _BEGINNING, offset))
    digests = _of_digests(entries)
    return _leave(mailbox, Announcement(offset, size - offset, digests, beginning, True))


def is_leaving(mailbox: int, size: int) -> bool:
    """A mailbox of this size was about to be cut back: the index does not know how it ends."""
    last = noted(mailbox)
    return last is not None and last.leaving and size > last.offset


def _leave(mailbox: int, announcement: Announcement) -> bool:
    try:
        os.setxattr(mailbox, _NAME, _FORM.pack(*announcement))
    except OSError as error:
        if error.errno not in _NOT_KEPT:
            raise
        return False
    return True


def noted(mailbox: int) -> Announcement | None:
    """The last append that was announced, if the file was not shortened since."""
    try:
        value = os.getxattr(mailbox, _NAME)
    except OSError as error:
        if error.errno not in _NONE_THERE:
            raise
        return None
    return Announcement._make(_FORM.unpack(value)) if len(value) == _FORM.size else None


def forget(mailbox: int) -> None:
    """There is nothing to tell any more; raises OSError."""
    try:
        os.removexattr(mailbox, _NAME)
    except OSError as error:
        if error.errno not in _NONE_THERE:
            raise

"""Pieces of a mailbox file by descriptor and offset: opened, read, copied. No state, no locks."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Protocol

from mailserver.store import index, mbox
from mailserver.store.base import MailboxUnusable
from mailserver.store.index import Entry, Index, Listing
from mailserver.store.reach import TO_THE_DISK, Reach

MAILBOX = "mymailbox"
INDEX = ".index"

_CHUNK = 1024 * 1024
_SECTOR = 512  # or more: what reaches the disk together
# a link; a folder; a socket; another user's: none of these passes by itself
_NO_FILE_OF_OURS = (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EACCES, errno.EPERM)


class Record(Protocol):
    """One record to append, in stored form."""

    @property
    def length(self) -> int:
        """Its octets in the file."""

    @property
    def octets(self) -> int:
        """Octets of the message as POP3 sends it."""

    def chunks(self) -> Iterable[bytes]:
        """Its octets; may be read more than once."""


def open_mailbox(
    folder: int, user: str, flags: int, reach: Reach = TO_THE_DISK
) -> tuple[int, os.stat_result]:
    """The mailbox file, if it is a plain file with no other name; raises MailboxUnusable."""
    try:
        fd = reach.open_file(MAILBOX, folder, flags)
    except OSError as error:
        if error.errno not in _NO_FILE_OF_OURS:
            raise
        what = "is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise MailboxUnusable(f"{user}/{MAILBOX}: {what}") from None
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        return fd, found
    os.close(fd)
    what = "has another name too (a hard link)" if found.st_nlink > 1 else "is not a plain file"
    raise MailboxUnusable(f"{user}/{MAILBOX} {what}")


def read_listing(fd: int, inode: int, reach: Reach = TO_THE_DISK) -> Listing:
    """What an index file says of this mailbox file."""
    return Listing(reach.read(fd, os.fstat(fd).st_size, 0), inode)


def read_index(fd: int, inode: int) -> Index:
    """The same, all of it at once."""
    return read_listing(fd, inode).whole


def is_settled(fd: int, mailbox: os.stat_result, index_end: int) -> bool:
    """What an index of this size says of this mailbox file: that all of it is whole. The last
    entry tells, for servers append to both only in step."""
    if index_end < index.HEADER_SIZE + index.ENTRY_SIZE:
        return False
    header = os.pread(fd, index.HEADER_SIZE, 0)
    last = os.pread(fd, index.ENTRY_SIZE, index_end - index.ENTRY_SIZE)
    return index.ends_settled(header, last, mailbox.st_ino, mailbox.st_size, mailbox.st_ctime_ns)


def begins_right(fd: int, entry: Entry, reach: Reach = TO_THE_DISK) -> bool:
    """A record with the entry's beginning is where it was."""
    first = reach.read(fd, min(index.BEGINNING_OCTETS, entry.length), entry.offset)
    return index.beginning(first) == entry.beginning


def is_record(fd: int, entry: Entry) -> bool:
    """The entry's record is where it was. Its beginning tells, and its digest when another program
    wrote a status field there."""
    if begins_right(fd, entry):
        return True
    return mbox.digest(read_chunks(fd, entry.offset, entry.end)) == entry.digest


def fits(fd: int, offset: int, record: bytes) -> bool:
    """What lies where a record belongs is that record, as far as it reached the disk: it, a piece
    of it, zeros, nothing, sector by sector."""
    found = b"".join(read_chunks(fd, offset, offset + len(record)))
    if found == record[: len(found)]:
        return True
    start = 0
    while start < len(found):
        end = start + _SECTOR - (offset + start) % _SECTOR
        piece = found[start:end].rstrip(b"\0")
        if not record.startswith(piece, start):
            return False
        start = end
    return True


def read_chunks(fd: int, start: int, end: int) -> Iterator[bytes]:
    """The octets from `start` to `end`; the first chunk holds a record's header (`mbox.digest`)."""
    size = mbox.HEAD_OCTETS
    while start < end:
        chunk = os.pread(fd, min(size, end - start), start)
        if not chunk:
            return
        start += len(chunk)
        size = _CHUNK
        yield chunk


def read_content(fd: int, start: int, end: int) -> Iterator[bytes]:
    """The message in a record, as it is sent: CRLF line ends, quoting undone."""
    reader = mbox.ContentReader()
    newline = -1
    while newline < 0 and (head := os.pread(fd, min(mbox.HEAD_OCTETS, end - start), start)):
        newline = head.find(b"\n")
        start += newline + 1 or len(head)  # behind the From_ line
    if os.pread(fd, 2, end - 2) == b"\n\n":
        end -= 1  # the empty line belongs to the record, not to the message
    for chunk in read_chunks(fd, start, end):
        if content := reader.read(chunk):
            yield content
    if content := reader.end():
        yield content


def read_all(fd: int, start: int, end: int) -> Iterator[bytes]:
    """The octets from `start` to `end`; raises OSError when they are not all there."""
    for chunk in read_chunks(fd, start, end):
        start += len(chunk)
        yield chunk
    if start < end:
        raise OSError(errno.EIO, "the mailbox became shorter while it was copied")


def end_of(entries: list[Entry]) -> int:
    return entries[-1].end if entries else 0


def up_to(entries: list[Entry], end: int) -> list[Entry]:
    """Those of neighbouring records that end there or before."""
    return entries[: bisect_right(entries, end, key=lambda entry: entry.end)]


def announce(record: Record, offset: int) -> Entry:
    """The entry of a record that will be written at this offset."""
    chunks = iter(record.chunks())
    head = b""
    for chunk in chunks:  # `mbox.digest` wants the first HEAD_OCTETS in one piece
        head += chunk
        if len(head) >= mbox.HEAD_OCTETS:
            break
    first, second = head[: mbox.HEAD_OCTETS], head[mbox.HEAD_OCTETS :]
    found = mbox.digest(itertools.chain((first, second), chunks))
    return Entry(offset, record.length, record.octets, found, 1, index.beginning(head))

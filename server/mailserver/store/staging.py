"""One message on its way in: header block apart, body quoted as it will be stored.

Small messages stay in memory; over a bound they go to an unnamed file, so that a slow sender of
50 MB costs a file and not memory.
"""

from __future__ import annotations

import errno
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import BinaryIO

from mailserver.message import header
from mailserver.message.header import Header, read_header
from mailserver.store.base import StagedMessage
from mailserver.store.mbox import ContentReader, Quoter

MEMORY_OCTETS = 2 * 1024 * 1024
"""Of one message; more goes to a file."""
MEMORY_OCTETS_IN_ALL = 64 * 1024 * 1024
"""Of all messages on their way in; beyond it each goes to a file at once."""
HEADER_OCTETS = 16 * 1024
"""Of a header that is not whole yet, and so cannot go to a file, when there is no more memory."""
_CHUNK = 256 * 1024
_SMALL = 1024
"""Octets of a piece that is put to the one before it."""


class MemoryUse:
    """How much memory all messages on their way in hold, in whatever thread."""

    def __init__(self, most: int = MEMORY_OCTETS_IN_ALL) -> None:
        self.octets = 0
        self._most = most
        self._lock = Lock()

    @property
    def is_over(self) -> bool:
        """It is more than it may be."""
        return self.octets > self._most

    def add(self, octets: int) -> None:
        """So many more, or less."""
        with self._lock:
            self.octets += octets


class FileBody:
    """A body in stored form (LF, quoted): in memory, and what did not fit there in a file first."""

    def __init__(self) -> None:
        self.octets = 0
        self.length = 0
        """In stored form."""
        self.file: BinaryIO | None = None
        self.memory: list[bytes] = []

    def chunks(self) -> Iterable[bytes]:
        """The body in stored form; may be read any number of times."""
        if self.file is None:
            return self.memory
        return itertools.chain(_octets_of(self.file), self.memory)

    def read(self) -> Iterator[bytes]:
        """The body as it came: CRLF line ends, quoting undone."""
        reader = ContentReader()
        for chunk in self.chunks():
            yield reader.read(chunk)
        yield reader.end()

    def __del__(self) -> None:
        if self.file is not None:
            self.file.close()


def _octets_of(file: BinaryIO) -> Iterator[bytes]:
    offset = 0
    while chunk := os.pread(file.fileno(), _CHUNK, offset):
        offset += len(chunk)
        yield chunk


class FileStaging:
    """Takes content, makes a `StagedMessage` of it."""

    def __init__(self, folder: str, memory_use: MemoryUse) -> None:
        self._folder = folder
        self._memory_use = memory_use
        self._in_memory = 0  # octets of it
        self._counted = 0  # of them, in `memory_use`
        # content until the header's end has come, then None
        self._head: bytearray | None = bytearray()
        self._header: Header | None = None
        self._header_block = b""
        self._body = FileBody()
        self._quoter = Quoter()

    def write(self, content: bytes) -> None:
        """Take a piece of content, CRLF line ends; it never ends inside one."""
        octets = content.replace(b"\r", b"")  # there is none alone
        self._body.octets += len(content)
        if self._head is None:
            self._keep(self._quoter.encode(octets))
        else:
            seen = max(0, len(self._head) - 1)
            self._head += octets
            self._in_memory += len(octets)
            empty_line = self._head.find(b"\n\n", seen)
            is_whole = empty_line >= 0 or self._head.startswith(b"\n")
            if is_whole or len(self._head) > header.OCTET_LIMIT:
                self._end_header(self._head)
        self._count()

    def _end_header(self, head: bytes | bytearray) -> None:
        content, self._head = bytes(head), None
        self._in_memory -= len(content)
        found = read_header(content)
        # over the limit in the middle of a line: the header does not end where the whole lines end
        unfinished = len(content) > header.OCTET_LIMIT and b"\n" not in content[found.end :]
        too_big = found.end > header.OCTET_LIMIT or unfinished
        if too_big or found.fields > header.FIELD_LIMIT:
            self._header_block = b""
        else:
            self._header = found
            self._header_block = content[: found.end]
        self._body.octets -= found.end + content.count(b"\n", 0, found.end)
        self._keep(self._quoter.encode(content[found.end :]))

    def _keep(self, stored: bytes) -> None:
        if stored:
            pieces = self._body.memory
            # a pair of octets that comes alone, and stays alone, takes fifty octets of memory
            if pieces and len(stored) < _SMALL and len(pieces[-1]) < 16 * _SMALL:
                pieces[-1] += stored
            else:
                pieces.append(stored)
            self._body.length += len(stored)
            self._in_memory += len(stored)

    def _count(self) -> None:
        """Say what is held in memory now."""
        self._memory_use.add(self._in_memory - self._counted)
        self._counted = self._in_memory

    @property
    def overfull(self) -> bool:
        """It holds as much memory as it may."""
        # a header that is not whole cannot go to the file: then `spill` fails
        if self._head is not None:
            return self._memory_use.is_over and self._in_memory > HEADER_OCTETS
        return self._in_memory > MEMORY_OCTETS or (self._memory_use.is_over and self._in_memory > 0)

    @property
    def urgent(self) -> bool:
        """All messages together hold as much memory as they may."""
        return self._memory_use.is_over

    def spill(self) -> None:
        """Move what is held in memory to the file; raises OSError."""
        if self._head is not None and self.overfull:
            raise OSError(errno.ENOMEM, "no memory for a header of this size")
        if self._body.file is None:
            # it has no name, and is gone when the last one who holds the body lets go of it
            self._body.file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
        waiting = memoryview(b"".join(self._body.memory))
        while waiting:
            waiting = waiting[self._body.file.write(waiting) :]
        self._body.memory.clear()
        self._in_memory = 0
        self._count()

    def finish(self) -> StagedMessage:
        """All content was written."""
        if self._head is not None:
            self._end_header(self._head)
        self._keep(self._quoter.end())
        return StagedMessage(self._header, self._header_block, self._body)

    def discard(self) -> None:
        """Forget it all. A body that is being stored keeps its file until that is done."""
        self._in_memory = 0
        self._count()
        self._head = None
        self._body = FileBody()

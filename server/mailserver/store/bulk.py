"""Much at once goes to the disk past the kernel's memory (O_DIRECT), whole blocks at a time.

What is synced before anybody is answered gains nothing from lying in memory first, and pays for
each page of it: a gigabyte takes a third of the time (docs/adr/0017). What does not fill whole
blocks, and all on a file system that knows no such writes, goes the usual way.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from mailserver import durable

LEAST_OCTETS = 256 * 1024
"""Fewer go the usual way: they may be read again soon."""
_BLOCK = 4096  # of a disk, or a multiple; memory and place have to begin at a whole one
_ROOM = 2 * 1024 * 1024

_spare: list[mmap.mmap] = []  # one at most: to get new memory takes as long as to fill it


def write(fd: int, chunks: Iterable[bytes], offset: int) -> int:
    """Write all octets from this offset on and return where they end; raises OSError. Durable they
    are after a sync, like others. Nobody else may write by the same descriptor meanwhile."""
    try:
        memory = _spare.pop()
    except IndexError:
        memory = mmap.mmap(-1, _ROOM, flags=mmap.MAP_PRIVATE)
    with memoryview(memory) as room:
        begin = end = offset % _BLOCK  # of what waits there, at its place in its first block
        base = offset - begin
        for chunk in chunks:
            rest = chunk
            while end + len(rest) >= _ROOM:
                fits = _ROOM - end
                room[end:] = rest[:fits]
                rest = rest[fits:]
                _write(fd, room[begin:], base + begin)
                base += _ROOM
                begin = end = 0
            stop = end + len(rest)
            room[end:stop] = rest
            end = stop
        _write(fd, room[begin:end], base + begin)
    _spare[:] = [memory]
    return base + end


def _write(fd: int, octets: memoryview, offset: int) -> None:
    """The whole blocks among them past the kernel's memory, if they are many."""
    first = -offset % _BLOCK
    last = len(octets) - (offset + len(octets)) % _BLOCK
    if last - first < LEAST_OCTETS:
        durable.write_at(fd, octets, offset)
        return
    durable.write_at(fd, octets[:first], offset)
    try:
        with _past_memory(fd):
            durable.write_at(fd, octets[first:last], offset + first)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        durable.write_at(fd, octets[first:last], offset + first)
    durable.write_at(fd, octets[last:], offset + last)


@contextmanager
def _past_memory(fd: int) -> Iterator[None]:
    """EINVAL from here, or from a write inside: the file system does not know it, or something else
    than whole blocks is left after a short write."""
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT)
    try:
        yield
    finally:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)

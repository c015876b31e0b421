"""Two ways to open and read files: one may wait for the disk, the other never does.

What is in the kernel's memory can be had without waiting: a file is opened if all that leads to it
is there (openat2 with RESOLVE_CACHED, Linux 5.12), and read if its octets are (RWF_NOWAIT). So an
event loop may do that; where a disk, slow or stuck, would have to be asked, it hears of it at once.

Nor is it noted that a file was read (O_NOATIME): that note may have to wait for the disk, behind a
commit of the file system's journal. Only its owner may ask for that (docs/adr/0016).
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Protocol

from mailserver import durable

_OPENAT2 = 437  # on every machine that Python runs on
_HOW = struct.Struct("=QQQ")  # flags, mode, resolve
_RESOLVE_CACHED = 0x20
_MOST_OCTETS = 128 * 1024
"""That are looked at without waiting: more takes milliseconds, and others wait for their turn."""


class Reach(Protocol):
    """How far one goes for a file. All methods raise OSError."""

    def open_folder(self, name: str, parent: int) -> int:
        """See `durable.open_folder`; made when it is missing."""

    def open_file(self, name: str, folder: int, flags: int) -> int:
        """See `durable.open_file`."""

    def read(self, fd: int, octets: int, offset: int) -> bytes:
        """So many, or as many as there are."""


class _ToTheDisk:
    """As far as it takes."""

    def open_folder(self, name: str, parent: int) -> int:
        return durable.open_folder(name, parent, create=True)

    def open_file(self, name: str, folder: int, flags: int) -> int:
        if flags == os.O_RDONLY:
            with suppress(PermissionError):  # another user's
                return durable.open_file(name, folder, flags | os.O_NOATIME)
        return durable.open_file(name, folder, flags)

    def read(self, fd: int, octets: int, offset: int) -> bytes:
        return os.pread(fd, octets, offset)


class _AtHand:
    """No further than the kernel's memory: else BlockingIOError, or another OSError from a system
    that cannot tell. Nothing is made."""

    def open_folder(self, name: str, parent: int) -> int:
        return self.open_file(name, parent, os.O_RDONLY | os.O_DIRECTORY)

    def open_file(self, name: str, folder: int, flags: int) -> int:
        flags = flags & ~os.O_CREAT | durable.OPEN_SAFELY | os.O_NOATIME
        return _openat2()(folder, name.encode(), flags)

    def read(self, fd: int, octets: int, offset: int) -> bytes:
        if octets > _MOST_OCTETS:
            raise BlockingIOError(errno.EAGAIN, "takes too long to look at")
        found = bytearray(octets)
        end = os.preadv(fd, [found], offset, os.RWF_NOWAIT)
        at_page = not (offset + end) % mmap.PAGESIZE  # where memory may end, and not only the file
        if end < octets and at_page and os.preadv(fd, [bytearray(1)], offset + end, os.RWF_NOWAIT):
            raise BlockingIOError(errno.EAGAIN, "not all of it is in memory")
        return bytes(found[:end])


def never_waits(fd: int) -> bool:
    """What is in memory of this open file can be read without waiting."""
    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NOATIME)


TO_THE_DISK: Reach = _ToTheDisk()
AT_HAND: Reach = _AtHand()


@cache
def _openat2() -> Callable[[int, bytes, int], int]:
    """Python has no call for it, nor the C library; looked for only by those who need it."""
    import ctypes  # 3 ms of a start

    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    syscall.argtypes = (
        ctypes.c_long,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
    )

    def openat2(folder: int, name: bytes, flags: int) -> int:
        fd: int = syscall(_OPENAT2, folder, name, _HOW.pack(flags, 0, _RESOLVE_CACHED), _HOW.size)
        if fd < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return fd

    return openat2

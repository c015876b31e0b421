"""A disk that writes down all that is done to it, so that any power cut can be made up afterwards.

It is a file system of one file, served by this process to the kernel over /dev/fuse (the kernel's
include/uapi/linux/fuse.h says how), for a loop device with a real file system on top. The recording
has each write and each flush in the order in which the disk saw them. Whoever works on the file
system adds marks of his own to the same recording: O_APPEND puts each behind what was done before.

    python -m tests.torture.disk MOUNTPOINT IMAGE RECORDING ORDERS
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.torture.mounts import mount

WRITE, FLUSH, MARK = b"W", b"F", b"M"
_RECORD = struct.Struct("<cQI")


class Record(NamedTuple):
    """One line of a recording."""

    kind: bytes
    offset: int
    octets: bytes


def append(recording: int, kind: bytes, offset: int = 0, octets: bytes = b"") -> None:
    """Add a record; in one call, for several processes write to it."""
    os.writev(recording, [_RECORD.pack(kind, offset, len(octets)), octets])


def read(recording: Path) -> Iterator[Record]:
    """All records."""
    octets = memoryview(recording.read_bytes())
    while octets:
        kind, offset, length = _RECORD.unpack_from(octets)
        end = _RECORD.size + length
        yield Record(kind, offset, bytes(octets[_RECORD.size : end]))
        octets = octets[end:]


class Orders:
    """A word to the disk: which write is to fail next."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(mmap.PAGESIZE))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def fail(self, mark: bytes) -> None:
        """The next write that has these octets in it; any, if there are none."""
        self._page[1 : 1 + len(mark)] = mark
        self._page[0] = 1 + len(mark)

    def obey(self, octets: bytes) -> bool:
        """This write is to fail; the order is carried out then."""
        if not (end := self._page[0]) or self._page[1:end] not in octets:
            return False
        self._page[0] = 0
        return True


_LARGEST = 256 * 1024
_IN = struct.Struct("<IIQQIIIHH")
_OUT = struct.Struct("<IiQ")
_READ_WRITE = struct.Struct("<QQIIQII")
_INIT = struct.Struct("<IIIIHHIIHHII6I")
_ATTRIBUTES = struct.Struct("<QII6Q10I")
_MAX_PAGES = 1 << 22  # among INIT's flags

_FORGET, _GETATTR, _SETATTR, _OPEN, _READ, _WRITE = 2, 3, 4, 14, 15, 16
_STATFS, _RELEASE, _FSYNC, _FLUSH, _INIT_CALL, _DESTROY = 17, 18, 20, 25, 26, 38
_INTERRUPT, _BATCH_FORGET = 36, 42
_UNANSWERED = (_FORGET, _BATCH_FORGET, _INTERRUPT)


class Disk:
    """Answers the kernel."""

    def __init__(self, image: Path, recording: Path, orders: Orders) -> None:
        self._image = os.open(image, os.O_RDWR)
        self._recording = os.open(recording, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._orders = orders
        self._end = 0  # of the last write
        self._answers = {
            _INIT_CALL: self._init,
            _GETATTR: self._attributes,
            _SETATTR: self._attributes,
            _OPEN: lambda request: bytes(16),
            _READ: self._read,
            _WRITE: self._write,
            _FSYNC: self._flush,
            _STATFS: lambda request: bytes(80),
            _FLUSH: lambda request: b"",
            _RELEASE: lambda request: b"",
            _DESTROY: lambda request: b"",
        }

    def serve(self, kernel: int) -> None:
        """Until it is unmounted."""
        buffer = memoryview(bytearray(_LARGEST + mmap.PAGESIZE))
        while True:
            try:
                length = os.readv(kernel, [buffer])
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return
                if error.errno in (errno.ENOENT, errno.EINTR):
                    continue  # the request was taken back
                raise
            _, call, unique, *_ = _IN.unpack_from(buffer)
            if call in _UNANSWERED:
                continue
            status, answer = 0, b""
            try:
                if call not in self._answers:
                    raise OSError(errno.ENOSYS, "no such call")
                answer = self._answers[call](buffer[_IN.size : length])
            except OSError as error:
                status = -(error.errno or errno.EIO)
            try:
                os.writev(kernel, [_OUT.pack(_OUT.size + len(answer), status, unique), answer])
            except OSError as error:  # who asked was killed, and waits no more; or it is unmounted
                if error.errno not in (errno.ENOENT, errno.ENODEV):
                    raise

    def _init(self, request: memoryview) -> bytes:
        major, minor, read_ahead, flags = struct.unpack_from("<IIII", request)
        pages = _LARGEST // mmap.PAGESIZE
        wanted = flags & _MAX_PAGES
        numbers = (major, min(minor, 31), read_ahead, wanted, 0, 0, _LARGEST, 1, pages)
        return _INIT.pack(*numbers, 0, 0, 0, *(0,) * 6)

    def _attributes(self, request: memoryview) -> bytes:
        size = os.fstat(self._image).st_size
        mode = stat.S_IFREG | 0o600
        return _ATTRIBUTES.pack(60, 0, 0, 1, size, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def _read(self, request: memoryview) -> bytes:
        _, offset, size, *_ = _READ_WRITE.unpack_from(request)
        return os.pread(self._image, size, offset)

    def _write(self, request: memoryview) -> bytes:
        _, offset, size, *_ = _READ_WRITE.unpack_from(request)
        octets = bytes(request[_READ_WRITE.size : _READ_WRITE.size + size])
        # Behind the last write there may lie the rest of it. If that alone failed, the loop driver
        # would take what went well for all, and nobody would hear of it.
        if offset != self._end and self._orders.obey(octets):
            raise OSError(errno.EIO, "as ordered")
        self._end = offset + size
        append(self._recording, WRITE, offset, octets)
        os.pwrite(self._image, octets, offset)
        return struct.pack("<II", size, 0)

    def _flush(self, request: memoryview) -> bytes:
        append(self._recording, FLUSH)
        return b""


def main(mountpoint: Path, image: Path, recording: Path, orders: Path) -> None:
    kernel = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    mountpoint.touch()
    options = f"fd={kernel},rootmode=100000,user_id=0,group_id=0,allow_other"
    mount("disk", mountpoint, "fuse", options)
    disk = Disk(image, recording, Orders(orders))
    print("ready", flush=True)
    disk.serve(kernel)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

"""What is written past the kernel's memory is what would have been written the usual way."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailserver.store import bulk

BLOCK = 4096
MUCH = bulk.LEAST_OCTETS + 3 * BLOCK
BEFORE = bytes(range(1, 256)) * 100
"""What the file has already."""


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, BEFORE, 0)
    yield fd
    os.close(fd)


def contents(fd: int) -> bytes:
    return os.pread(fd, 1 << 26, 0)


def pattern(octets: int) -> bytes:
    return bytes(range(251)) * (octets // 251) + bytes(octets % 251)


def pages_in_memory(fd: int, start: int, octets: int) -> int:
    """cachestat(2), Linux 6.5."""
    span, found = struct.pack("=QQ", start, octets), ctypes.create_string_buffer(40)
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    if syscall(451, fd, span, found, 0) < 0:
        pytest.skip(f"nobody can tell here: {os.strerror(ctypes.get_errno())}")
    pages: int = struct.unpack_from("=Q", found)[0]
    return pages


def knows_direct_writes(fd: int) -> bool:
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT)
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)
    except OSError:
        return False
    return True


sizes = st.one_of(
    st.integers(0, 3),
    st.integers(0, 20_000),
    st.integers(bulk.LEAST_OCTETS - BLOCK, bulk.LEAST_OCTETS + 2 * BLOCK),
    st.integers(2 * 1024 * 1024 - BLOCK, 2 * 1024 * 1024 + BLOCK),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(sizes, max_size=5), st.integers(0, len(BEFORE)))
def test_whatever_comes_in_whatever_pieces(fd: int, lengths: list[int], offset: int) -> None:
    os.ftruncate(fd, 0)
    os.pwrite(fd, BEFORE, 0)
    chunks = [pattern(octets) for octets in lengths]
    whole = b"".join(chunks)
    assert bulk.write(fd, chunks, offset) == offset + len(whole)
    assert contents(fd) == BEFORE[:offset] + whole + BEFORE[offset + len(whole) :]


def test_much_does_not_lie_in_memory(fd: int) -> None:
    """But for what is left at both ends."""
    if not knows_direct_writes(fd):
        pytest.skip("this file system knows no such writes")
    bulk.write(fd, [pattern(MUCH)], 10_000)
    assert pages_in_memory(fd, 10_000, MUCH) <= 2


def test_little_lies_in_memory(fd: int) -> None:
    bulk.write(fd, [pattern(10 * BLOCK)], 10_000)
    assert pages_in_memory(fd, 10_000, 10 * BLOCK) >= 10


def test_a_file_system_that_knows_no_such_writes(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, command: int, argument: int = 0) -> int:
        if command == fcntl.F_SETFL and argument & os.O_DIRECT:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return 0

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    bulk.write(fd, [pattern(MUCH)], 1000)
    assert contents(fd)[1000:] == pattern(MUCH) + BEFORE[1000 + MUCH :]


@pytest.mark.parametrize("short", [100, BLOCK, BLOCK + 1])
def test_the_rest_follows_a_short_write(
    fd: int, monkeypatch: pytest.MonkeyPatch, short: int
) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, octets, at: pwrite(fd, octets[:short], at))
    chunk = pattern(MUCH)
    bulk.write(fd, [chunk], 1000)
    assert contents(fd)[1000 : 1000 + MUCH] == chunk


def test_another_error_is_an_error(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fd: int, octets: memoryview, at: int) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        bulk.write(fd, [pattern(MUCH)], 0)


def test_the_descriptor_is_as_it_was(fd: int) -> None:
    before = fcntl.fcntl(fd, fcntl.F_GETFL)
    bulk.write(fd, [pattern(MUCH)], 0)
    assert fcntl.fcntl(fd, fcntl.F_GETFL) == before

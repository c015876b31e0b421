"""The only place that makes things durable: whoever needs stable storage calls these.

The rules behind it: written octets are safe only after a sync of their file; a new or renamed
name only after a sync of its folder; and a sync that failed has lost data, whatever the next one
says. So nothing here tries a sync twice, and callers treat OSError as "it is not stored".
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

OPEN_SAFELY = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""Flags with which nothing is opened but what has the name, and nothing is waited for."""

OWN_FOLDER = ".mailserver"
"""What the servers keep for themselves in a data folder."""
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def is_full(error: OSError) -> bool:
    """It failed for want of room: of the disk, of a quota, of the size a file may have."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def open_folder(name: str, parent: int | None = None, *, create: bool = False) -> int:
    """A descriptor of a folder that is no link; made, durably, when it is missing."""
    flags = os.O_RDONLY | os.O_DIRECTORY | OPEN_SAFELY
    try:
        return os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):  # another process was faster
        os.mkdir(name, PRIVATE_FOLDER, dir_fd=parent)
    if parent is not None:
        sync_directory(parent)
    return os.open(name, flags, dir_fd=parent)


def make_folders(names: Iterable[str], parent: int) -> None:
    """These folders are there, durably, after this; one sync for all that were missing."""
    made = False
    for name in names:
        with suppress(FileExistsError):
            os.mkdir(name, PRIVATE_FOLDER, dir_fd=parent)
            made = True
    if made:
        sync_directory(parent)


@contextmanager
def own_folder(name: str, data_folder: int) -> Iterator[int]:
    """A folder in OWN_FOLDER; made when it is missing. Raises OSError."""
    own = open_folder(OWN_FOLDER, data_folder, create=True)
    try:
        folder = open_folder(name, own, create=True)
    finally:
        os.close(own)
    try:
        yield folder
    finally:
        os.close(folder)


def open_file(name: str, folder: int, flags: int) -> int:
    """A descriptor of a file in a folder; never follows a link, never waits for a pipe."""
    return os.open(name, flags | OPEN_SAFELY, PRIVATE_FILE, dir_fd=folder)


def write_at(fd: int, octets: bytes | memoryview, offset: int) -> int:
    """Write all octets at this offset and return where they end; raises OSError (ENOSPC, EIO)."""
    view = memoryview(octets)
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]
    return offset


def sync_data(fd: int) -> None:
    """The file's octets and its size are on stable storage after this, or OSError."""
    os.fdatasync(fd)


def sync_directory(fd: int) -> None:
    """The folder's names are on stable storage after this, or OSError."""
    os.fsync(fd)


def replace(temporary: str, name: str, folder: int, fd: int) -> None:
    """Give the finished file `temporary` (open as `fd`) its name, durably and in one step."""
    os.fsync(fd)
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    sync_directory(folder)


def write_atomically(
    name: str,
    folder: int,
    chunks: Iterable[bytes],
    *,
    owner: tuple[int, int] | None = None,
    mode: int | None = None,
) -> None:
    """The file has all of the new content or, after a crash or an error, all of the old. `owner`:
    the user and group ids it is to belong to; `mode`: what others may do with it, else nothing."""
    temporary = f"{name}.new"
    fd = open_file(temporary, folder, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        if owner is not None:
            os.fchown(fd, *owner)
        if mode is not None:
            os.fchmod(fd, mode)
        offset = 0
        for chunk in chunks:
            offset = write_at(fd, chunk, offset)
        replace(temporary, name, folder, fd)
    except BaseException:
        remove(temporary, folder)
        raise
    finally:
        os.close(fd)


def create_once(name: str, folder: int, chunks: Iterable[bytes]) -> None:
    """The file has all of this content, unless somebody was faster: then it stays as it is."""
    temporary = f"{name}.{secrets.token_hex(4)}.new"
    fd = open_file(temporary, folder, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        offset = 0
        for chunk in chunks:
            offset = write_at(fd, chunk, offset)
        os.fsync(fd)
        with suppress(FileExistsError):
            os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        os.close(fd)
        remove(temporary, folder)
    sync_directory(folder)


def remove(name: str, folder: int) -> None:
    """Remove a file if it is there."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)

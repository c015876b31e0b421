"""File systems in image files: made, mounted, unmounted. Needs root.

All of it happens in a mount name space of our own, and loop devices free themselves: whatever
becomes of us, nothing stays behind.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW_MOUNTS = 0x20000  # CLONE_NEWNS
_PRIVATE = 0x40000 | 0x4000  # MS_PRIVATE | MS_REC
_DETACH = 2  # MNT_DETACH
_GET_FREE, _CONFIGURE = 0x4C82, 0x4C0A
_AUTOCLEAR = 4
_WRITE = 2  # SYNC_FILE_RANGE_WRITE
_LOOP_CONFIG = struct.Struct("<II 5Q 4I 160x 2Q 64x")

SIZE = 64 * 1024 * 1024
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-m", "0", "-J", "size=4", "-E", "nodiscard"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-K", "-m", "reflink=0"],
}
# mkfs.xfs makes no file system under 300 MB, but for its own tests
_FOR_TESTS = {"TEST_DIR": "x", "TEST_DEV": "x", "QA_CHECK_FS": "x"}


def missing(kind: str) -> str:
    """What this machine lacks for all this, or nothing."""
    if os.geteuid() != 0:
        return "mounting needs root"
    for device in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(device):
            return f"there is no {device}"
    program = MAKE[kind][0]
    return "" if shutil.which(program) else f"there is no {program}"


def _checked(result: int, what: str) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def own_mounts() -> None:
    """From now on nobody else sees what this process mounts."""
    _checked(_LIBC.unshare(_NEW_MOUNTS), "unshare")
    _checked(_LIBC.mount(b"none", b"/", None, _PRIVATE, None), "mount --make-rprivate")


def mount(device: str, folder: Path, kind: str, options: str = "") -> None:
    """mount(2); raises OSError."""
    arguments = (device.encode(), bytes(folder), kind.encode(), 0, options.encode())
    _checked(_LIBC.mount(*arguments), f"mount {device}")


def unmount(folder: Path) -> None:
    """umount(2); raises OSError. What a killed process had open may take a moment."""
    deadline = time.monotonic() + 5
    while _LIBC.umount2(bytes(folder), 0):
        if ctypes.get_errno() != errno.EBUSY or time.monotonic() > deadline:
            _checked(1, f"umount {folder}")
        time.sleep(0.002)


def detach(folder: Path) -> None:
    """Unmount when nobody uses it any more."""
    _LIBC.umount2(bytes(folder), _DETACH)


def make(kind: str, image: Path, size: int = SIZE) -> None:
    """An empty file system."""
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run([*MAKE[kind], str(image)], check=True, env=os.environ | _FOR_TESTS)


def attach(image: Path) -> int:
    """A descriptor of a loop device over the file; the device goes when nobody uses it any more."""
    with image.open("r+b") as file, open("/dev/loop-control", "r+b", buffering=0) as control:
        while True:
            number = fcntl.ioctl(control, _GET_FREE)
            device = os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
            zeros = (0,) * 5
            config = (file.fileno(), 0, *zeros, 0, 0, 0, _AUTOCLEAR, 0, 0)
            try:
                fcntl.ioctl(device, _CONFIGURE, _LOOP_CONFIG.pack(*config))
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:
                    raise
            else:
                return device


@contextmanager
def mounted(kind: str, image: Path, folder: Path) -> Iterator[None]:
    """The file system in this file, until the end of the block."""
    device = attach(image)
    try:
        mount(os.readlink(f"/proc/self/fd/{device}"), folder, kind)
    finally:
        os.close(device)
    try:
        yield
    except BaseException:
        detach(folder)  # what failed may still hold files open
        raise
    unmount(folder)


def write_back(path: Path) -> None:
    """Let the kernel write the file's octets now, and promise nothing (sync_file_range(2)). It is
    not waited for: who waits is told of an error, and then those who ask later are not."""
    fd = os.open(path, os.O_RDONLY)
    try:
        _LIBC.sync_file_range(fd, ctypes.c_int64(0), ctypes.c_int64(0), _WRITE)
    finally:
        os.close(fd)

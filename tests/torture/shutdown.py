"""The power fails under the two real servers: their file system is shut down (FS_IOC_SHUTDOWN), and
what was not synced is gone. Then it is mounted again, and they start again."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.torture import mounts
from tests.torture.crowd import Crowd, Heard, Place, judge

_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2
_WHERE = ("--host", "127.0.0.1", "--domain", "mailserver")
SIZE = 512 * 1024 * 1024
"""A server keeps a reserve, and says 452 on a smaller disk."""
ACCOUNTS = {"alice": "wonderland", "bob": "builder", "carol": "choir"}


def rounds(kind: str, seed: int, count: int) -> str:
    """So many cuts; what was done. Raises Violation."""
    dice = random.Random(seed)
    heard = Heard()
    mounts.own_mounts()
    with tempfile.TemporaryDirectory() as name:
        image, data = Path(name, "image"), Path(name, "data")
        data.mkdir()
        mounts.make(kind, image, SIZE)
        for number in range(count + 1):
            with mounts.mounted(kind, image, data):
                if not number:
                    shutil.copy("seed/users.txt", data)
                    os.sync()
                with _servers(data) as place:
                    judge(place, heard, dice)
                    if number < count:
                        _cut(place, heard, data, random.Random(dice.random()))
    return (
        f"{count} cuts under the servers, {heard.stored} messages stored,"
        f" {heard.deleted} copies deleted, seed {seed}"
    )


def _cut(place: Place, heard: Heard, data: Path, dice: random.Random) -> None:
    crowd = Crowd(place, heard, dice)
    crowd.start()
    try:
        crowd.work_until(dice.randint(1, 60))
        folder = os.open(data, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(folder)
    finally:
        crowd.stop()


@contextmanager
def _servers(data: Path) -> Iterator[Place]:
    """Both, until they are killed at the end of the block."""
    ports = free_port(), free_port()
    programs = Path(sys.executable).parent
    started = [
        subprocess.Popen(
            [programs / name, str(port), "--data", data, *_WHERE],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for name, port in zip(("smtpmail", "popserver"), ports, strict=True)
    ]
    try:
        place = Place(*ports, ACCOUNTS)
        place.wait_ready()
        yield place
    finally:
        for server in started:
            os.killpg(server.pid, 9)  # its workers too
            server.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port

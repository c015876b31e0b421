"""Which mailbox files cannot be relied on, for a sync of them is under way, or failed.

A failed sync is reported once to who had the file open; to who opens it later, every sync says
that all is well. So that it is not forgotten when the process that was told is killed, or somebody
else comes before it could do anything about it, a process writes down which file it is about to
sync. A power cut may take the note: it takes what was in memory only, too.
"""

from __future__ import annotations

import errno
import os
import struct

from mailserver import durable

NAME = "syncs"
"""Behind the number of the process's journal."""
_SLOTS = 512
_NOTE = struct.Struct("<Q")
_OCTETS = _SLOTS * _NOTE.size


class Syncs:
    """Those of one process, for any of its threads."""

    def __init__(self, number: int, folder: int) -> None:
        """`folder`: of the journals. Raises OSError."""
        self._fd = durable.open_file(f"{number}{NAME}", folder, os.O_RDWR | os.O_CREAT)
        try:
            self.forget()
        except BaseException:
            self.close()
            raise

    def run(self, inode: int, fd: int) -> None:
        """Sync a mailbox file; raises OSError: then it is doubtful until `forget`."""
        try:
            slot = self._free.pop()
        except IndexError:
            raise OSError(errno.EIO, "hundreds of syncs have failed") from None
        durable.write_at(self._fd, _NOTE.pack(inode), slot * _NOTE.size)
        durable.sync_data(fd)
        durable.write_at(self._fd, _NOTE.pack(0), slot * _NOTE.size)
        self._free.append(slot)

    def forget(self) -> None:
        """None is under way, and what failed was put right. Raises OSError."""
        forget(self._fd)
        self._free = list(range(_SLOTS))

    def close(self) -> None:
        os.close(self._fd)


def forget(notes: int) -> None:
    """What a process noted is done with; raises OSError."""
    durable.write_at(notes, bytes(_OCTETS), 0)


def doubtful(folder: int) -> set[int]:
    """Inodes, of all processes; `folder`: of the journals. Raises OSError."""
    found: set[int] = set()
    for name in os.listdir(folder):
        if not name.endswith(NAME):
            continue
        fd = durable.open_file(name, folder, os.O_RDONLY)
        try:
            octets = os.pread(fd, _OCTETS, 0)
        finally:
            os.close(fd)
        whole = octets[: len(octets) // _NOTE.size * _NOTE.size]
        found.update(inode for (inode,) in _NOTE.iter_unpack(whole))
    return found - {0}

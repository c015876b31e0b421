"""Which edition of a mailbox there is: a number that grows whenever records are taken out of it.

A put in a journal carries the edition that it was made for. Before the number grows, everything
that stays in the mailbox is on stable storage there; so a put of an older edition is done, or
undone, and is never written again. The number stands in a file beside the mailbox, which nobody
replaces.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import NamedTuple

from mailserver import durable
from mailserver.store.reach import TO_THE_DISK, Reach

NAME = ".edition"
_FORM = struct.Struct("<8sQQ?q?")
_CHECK = struct.Struct("<I")
_MAGIC = b"mbeditn1"
_SIZE = _FORM.size + _CHECK.size
_BLOCK = 4096
_MOST = 64 * _BLOCK


class Edition(NamedTuple):
    """What the file says."""

    number: int
    """0: nothing was said yet."""
    inode: int
    """Of the mailbox file that this is the edition of."""
    renaming: bool = False
    """That file is about to get its name; the name may not be on stable storage."""
    cut: int = -1
    """It is about to end here: a power cut may leave it longer, with zeros behind this. -1: it is
    not."""

    suspect: bool = False
    """A sync of the file failed: what it covered may be in memory only, whatever later ones say,
    even if it is written again (ext4 may keep an extent marked as never written). While `renaming`,
    this is of the file that has the name before."""

    @property
    def is_done(self) -> bool:
        """There is nothing to do about the file."""
        return not self.renaming and self.cut < 0 and not self.suspect

    def suspects(self, inode: int) -> bool:
        """The mailbox file with this inode is to be written anew."""
        return self.suspect and not (self.renaming and self.inode == inode)

    def renaming_to(self, new: int, old: int) -> Edition:
        """The file with the inode `new` is about to get the name, which `old` has. If another was
        about to, and did not get it, that edition is yet to come."""
        number = self.number if self.renaming and self.inode != old else self.number + 1
        return Edition(number, new, renaming=True, suspect=self.suspects(old))

    def of(self, inode: int) -> int | None:
        """The edition of the mailbox file with this inode; None: nobody knows. Another file than
        the one that was about to get the name is the one before it."""
        if not self.number:
            return None
        return self.number if self.inode == inode else self.number - 1


class EditionFile:
    """Of one mailbox. What is said last stands in the last of the file's blocks. There is one,
    unless a sync of it failed: what that covered may be on stable storage or not, and may never
    come there, even if it is written again; so it is said in a block behind it."""

    def __init__(
        self, folder: int, flags: int = os.O_RDWR | os.O_CREAT, reach: Reach = TO_THE_DISK
    ) -> None:
        """`folder`: the user's. Raises OSError."""
        self._reach = reach
        self._fd = reach.open_file(NAME, folder, flags)

    def close(self) -> None:
        os.close(self._fd)

    def read(self) -> Edition:
        """What was said last; raises OSError."""
        return self._last()[1]

    def say(self, edition: Edition) -> None:
        """Say it, durably; raises OSError: then it may have been said or not."""
        start = self._last()[0]
        try:
            self._write(edition, start)
            durable.sync_data(self._fd)
        except OSError:
            if start + _BLOCK < _MOST:
                self._write(edition, start + _BLOCK)
            raise

    def hint(self, edition: Edition) -> None:
        """Say what a power cut may take; raises OSError."""
        self._write(edition, self._last()[0])

    def _last(self) -> tuple[int, Edition]:
        """Where it stands, and what it says."""
        octets = self._reach.read(self._fd, _BLOCK, 0)
        if len(octets) == _BLOCK:  # seldom; and memory for the rest costs more than to read it
            octets += self._reach.read(self._fd, _MOST - _BLOCK, _BLOCK)
        for start in range(len(octets) // _BLOCK * _BLOCK, -1, -_BLOCK):
            form = octets[start : start + _FORM.size]
            if octets[start + _FORM.size : start + _SIZE] == _CHECK.pack(zlib.crc32(form)):
                magic, *said = _FORM.unpack(form)
                if magic == _MAGIC:
                    return start, Edition(*said)
        return 0, Edition(0, 0)

    def _write(self, edition: Edition, start: int) -> None:
        form = _FORM.pack(_MAGIC, *edition)
        durable.write_at(self._fd, form + _CHECK.pack(zlib.crc32(form)), start)

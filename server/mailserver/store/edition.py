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

NAME = ".edition"
_FORM = struct.Struct("<8sQQ?q?")
_CHECK = struct.Struct("<I")
_MAGIC = b"mbeditn1"
_SIZE = _FORM.size + _CHECK.size


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
    """A sync of that file failed: what it covered may be in memory only, whatever later ones say,
    even if it is written again (ext4 may keep an extent marked as never written)."""

    @property
    def is_done(self) -> bool:
        """There is nothing to do about the file."""
        return not self.renaming and self.cut < 0 and not self.suspect

    def of(self, inode: int) -> int | None:
        """The edition of the mailbox file with this inode; None: nobody knows. Another file than
        the one that was about to get the name is the one before it."""
        if not self.number:
            return None
        return self.number if self.inode == inode else self.number - 1


class EditionFile:
    """Of one mailbox."""

    def __init__(self, folder: int, flags: int = os.O_RDWR | os.O_CREAT) -> None:
        """`folder`: the user's. Raises OSError."""
        self._fd = durable.open_file(NAME, folder, flags)

    def close(self) -> None:
        os.close(self._fd)

    def read(self) -> Edition:
        """What was said last; raises OSError."""
        octets = os.pread(self._fd, _SIZE, 0)
        form, check = octets[: _FORM.size], octets[_FORM.size :]
        if len(octets) < _SIZE or _CHECK.pack(zlib.crc32(form)) != check:
            return Edition(0, 0)
        magic, *said = _FORM.unpack(form)
        return Edition(*said) if magic == _MAGIC else Edition(0, 0)

    def say(self, edition: Edition) -> None:
        """Say it, durably; raises OSError."""
        self.hint(edition)
        durable.sync_data(self._fd)

    def hint(self, edition: Edition) -> None:
        """Say what a power cut may take; raises OSError."""
        form = _FORM.pack(_MAGIC, *edition)
        durable.write_at(self._fd, form + _CHECK.pack(zlib.crc32(form)), 0)

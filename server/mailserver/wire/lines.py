"""Bounded CRLF lines out of chunks that are cut anywhere.

Both protocols talk in lines that end with CRLF (RFC 5321 2.3.8, RFC 1939 3). Nothing else ends a
line: a bare LF is reported, because a server that takes it for a line end disagrees with its
neighbours about where a message stops. A line over the limit is thrown away while it arrives, so
that no peer can fill the memory, and reported once; one that never ends is reported on the way.
"""

from __future__ import annotations

from enum import Enum


class LineFault(Enum):
    """Why a line could not be read."""

    TOO_LONG = "line too long"
    BARE_LF = "line ended by a bare LF"
    ENDLESS = "line that does not end"


ENDLESS_OCTETS = 1024 * 1024
"""Of one line: nobody who speaks the protocol sends so much without an LF."""


class LineBuffer:
    """Collects octets and gives back whole lines, without their CRLF."""

    def __init__(self, limit: int) -> None:
        """`limit`: the most octets a line may have, its CRLF included; may change between lines."""
        self.limit = limit
        self._octets = bytearray()
        self._scanned = 0  # octets known to hold no LF
        self._discarded = 0  # octets of this line, which is over the limit

    def feed(self, data: bytes) -> None:
        """Take octets as they arrived."""
        self._octets += data

    def next_line(self) -> bytes | LineFault | None:
        """The next line, what was wrong with it, or None when it is not complete yet."""
        end = self._octets.find(b"\n", self._scanned)
        if end < 0:
            self._scanned = len(self._octets)
            if self._scanned <= self.limit and not self._discarded:
                return None
            self._discarded += len(self.take_all())
            return LineFault.ENDLESS if self._discarded > ENDLESS_OCTETS else None
        line = bytes(self._octets[:end])
        del self._octets[: end + 1]
        self._scanned = 0
        if self._discarded or end + 1 > self.limit:
            self._discarded = 0
            return LineFault.TOO_LONG
        if not line.endswith(b"\r"):
            return LineFault.BARE_LF
        return line[:-1]

    @property
    def in_line(self) -> bool:
        """A line has begun and its end has not come."""
        return bool(self._octets or self._discarded)

    def first_octet(self) -> int | None:
        """The first waiting octet, to recognise a peer that speaks another protocol."""
        return self._octets[0] if self._octets else None

    def take_all(self) -> bytes:
        """Everything that waits, for a phase that is not read by lines."""
        waiting = bytes(self._octets)
        self._octets.clear()
        self._scanned = 0
        return waiting

    def __len__(self) -> int:
        return len(self._octets)

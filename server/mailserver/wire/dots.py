"""Transparency: how mail that contains a line with a lone full stop crosses the wire.

RFC 5321 4.5.2 and RFC 1939 3: the content ends at CRLF.CRLF and nowhere else, and a line that
begins with a full stop is sent with one more.
"""

from __future__ import annotations

from enum import Enum

_CRLF = b"\r\n"
_DOT = b"\r\n."
_END = b"\r\n.\r\n"


class ContentFault(Enum):
    """Why received content must be refused, known at its end."""

    BARE_LINE_END = "a CR or LF that is not part of CRLF"
    NUL = "a NUL octet"
    TOO_BIG = "over the size limit"


class DotDecoder:
    """Takes the octets after 354, gives the message's content, stops at CRLF.CRLF.

    Content with a bare CR or LF (RFC 5321 2.3.8; the ground of "SMTP smuggling"), a NUL, or more
    octets than allowed is drained to its true end without being handed on: only there may the
    server answer (RFC 5321 4.5.2), and only there does the next command begin.
    """

    def __init__(self, size_limit: int) -> None:
        """`size_limit`: the most octets of content, after the added full stops are removed."""
        self.fault: ContentFault | None = None
        self.octets = 0
        self.rest: bytes | None = None
        self._size_limit = size_limit
        # The content starts at a line's beginning, as if a CRLF had come before it; the CRLF is
        # taken off again when the first octets are handed on.
        self._held = _CRLF
        self._first = True

    @property
    def complete(self) -> bool:
        """The end has come."""
        return self.rest is not None

    ended = complete

    def decode(self, data: bytes) -> bytes:
        """The content that is certain by now. At its end `rest` becomes what follows it."""
        waiting = self._held + data
        dot = waiting.find(_DOT)  # the first one that is not content
        end = waiting.find(_END, dot) if dot >= 0 else -1
        if end >= 0:
            self._held = b""
            self.rest = waiting[end + 5 :]
            return self._content(waiting[: end + 2], is_stuffed=dot < end)
        certain = len(waiting) - _length_of_possible_end(waiting)
        self._held = waiting[certain:]
        return self._content(waiting[:certain], is_stuffed=dot >= 0) if certain else b""

    def _content(self, octets: bytes, *, is_stuffed: bool) -> bytes:
        # A piece never ends inside CRLF, so what is bare can be seen here. It may end just behind a
        # CRLF only when the end was found or a later octet showed that no full stop follows.
        self.fault = worst_fault(octets, self.fault)
        content = octets.replace(_DOT, _CRLF) if is_stuffed else octets
        if self._first:
            content = content[2:]
            self._first = False
        self.octets += len(content)
        if self.fault is None and self.octets > self._size_limit:
            self.fault = ContentFault.TOO_BIG
        return content if self.fault is None else b""


def worst_fault(octets: bytes, known: ContentFault | None) -> ContentFault | None:
    """The worst of what these octets have and what is known already, so that it does not matter
    where content is cut. The octets end inside no CRLF."""
    if known is ContentFault.BARE_LINE_END:
        return known
    # to take each CR away and put one to each LF is the quickest way to see it, by far
    if octets.replace(b"\r", b"").replace(b"\n", _CRLF) != octets:
        return ContentFault.BARE_LINE_END
    return ContentFault.NUL if b"\0" in octets else known


def _length_of_possible_end(waiting: bytes) -> int:
    """How many of the last octets could still turn out to be the beginning of CRLF.CRLF."""
    for length in (4, 3, 2, 1):
        if waiting.endswith(_END[:length]):
            return length
    return 0


class DotEncoder:
    """Takes content with CRLF line ends in chunks and gives the octets to send."""

    def __init__(self) -> None:
        self._at_line_start = True
        self._after_cr = False

    def encode(self, content: bytes) -> bytes:
        """The chunk with a full stop added to each line that begins with one."""
        if not content:
            return b""
        stuffed = content.replace(b"\r\n.", b"\r\n..")
        if self._at_line_start and content[0] == 0x2E:
            stuffed = b"." + stuffed
        elif self._after_cr and content.startswith(b"\n."):
            stuffed = b"\n." + stuffed[1:]
        self._at_line_start = content.endswith(_CRLF) or (self._after_cr and content == b"\n")
        self._after_cr = content.endswith(b"\r")
        return stuffed

    def end(self) -> bytes:
        """What ends the content; a missing last CRLF is added (RFC 1939 3)."""
        return b".\r\n" if self._at_line_start else b"\r\n.\r\n"

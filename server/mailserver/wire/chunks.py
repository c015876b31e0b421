"""Content that comes in counted chunks (RFC 3030 2): no octet of it is searched for an end."""

from __future__ import annotations

from mailserver.wire.dots import ContentFault, worst_fault


class ChunkDecoder:
    """Takes what follows BDAT lines, gives the message's content with CRLF line ends.

    The content has to become lines, as what DATA brings: a bare CR or LF and a NUL are faults here
    too, or a message could mean one thing here and another one at the next server. Once at fault,
    or over the limit, it is only counted.
    """

    def __init__(self, size_limit: int) -> None:
        """`size_limit`: the most octets of content."""
        self.fault: ContentFault | None = None
        self.octets = 0
        self.rest: bytes | None = None
        """What came behind the chunk; None while it is not complete."""
        self._size_limit = size_limit
        self._expected = 0  # octets of this chunk that are still to come
        self._last = False
        self._held = b""  # a CR at the end of what came: an LF may follow
        self._ends_line = True

    @property
    def ended(self) -> bool:
        """All of the chunk has come."""
        return self.rest is not None

    @property
    def complete(self) -> bool:
        """All of the content has come."""
        return self._last and self.ended

    def begin(self, octets: int, last: bool) -> bytes:
        """A chunk of so many octets follows. Gives what is certain by that alone: an empty last
        chunk ends the line that was open."""
        self._expected = octets
        self._last = last
        self.rest = None
        return b"" if octets else self.decode(b"")

    def decode(self, data: bytes) -> bytes:
        """The content that is certain by now. At the chunk's end `rest` becomes what follows it."""
        chunk = data[: self._expected]
        self._expected -= len(chunk)
        if not self._expected:
            self.rest = data[len(chunk) :]
        content = self._held + chunk
        self._held = b""
        if content.endswith(b"\r") and not self.complete:
            content, self._held = content[:-1], b"\r"
        if content:
            self._check(content)
        if self.fault is not None:
            return b""
        if self.complete and not self._ends_line:
            return content + b"\r\n"  # a message is made of lines (RFC 5321 2.3.8)
        return content

    def _check(self, content: bytes) -> None:
        self.octets += len(content)
        self._ends_line = content.endswith(b"\n")
        self.fault = worst_fault(content, self.fault)
        if self.fault is None and self.octets > self._size_limit:
            self.fault = ContentFault.TOO_BIG

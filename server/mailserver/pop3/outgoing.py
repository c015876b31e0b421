"""A message on its way out: a header in ASCII for clients that want it so (RFC 6856 2.1), the limit
of TOP (RFC 1939 7), transparency (RFC 1939 3)."""

from __future__ import annotations

from mailserver.message.downgrade import AsciiHeader
from mailserver.wire.dots import DotEncoder


class OutgoingMessage:
    """Takes content in chunks, gives the octets to send."""

    def __init__(self, body_lines: int | None, *, utf8: bool = True) -> None:
        """`body_lines`: how many lines behind the header are wanted; None: all.
        `utf8`: the header may have UTF-8 in it."""
        self.begun = False
        """The reply in front of it is on its way."""
        self._dots = DotEncoder()
        self._top = TopOfMessage(body_lines) if body_lines is not None else None
        self._header = None if utf8 else AsciiHeader()

    @property
    def complete(self) -> bool:
        """No more content is wanted."""
        return self._top is not None and self._top.complete

    @property
    def growth(self) -> int:
        """Octets by which the header is longer in ASCII, once any of it can be sent."""
        return self._header.growth if self._header is not None else 0

    def encode(self, content: bytes) -> bytes:
        """The octets to send for this chunk."""
        if self._header is not None:
            content = self._header.take(content)
        return self._dots.encode(self._top.take(content) if self._top else content)

    def end(self) -> bytes:
        """The rest, and the line that ends the message."""
        rest = self._header.end() if self._header is not None else b""
        rest = self._top.take(rest) if self._top else rest
        return self._dots.encode(rest) + self._dots.end()


class TopOfMessage:
    """Lets the header, the empty line and so many lines of the body pass."""

    def __init__(self, body_lines: int) -> None:
        self.complete = False
        self._left = body_lines
        self._in_header = True
        self._last = b"\r\n"  # the last octets that passed: an empty line may begin in them

    def take(self, content: bytes) -> bytes:
        """What of this chunk is wanted."""
        if self.complete:
            return b""
        position = 0
        if self._in_header:
            seen = self._last + content
            header_end = seen.find(b"\r\n\r\n")
            if header_end < 0:
                self._last = seen[-3:]
                return content
            position = header_end + 4 - len(self._last)
            self._in_header = False
        while self._left:
            line_end = content.find(b"\n", position)
            if line_end < 0:
                return content
            position = line_end + 1
            self._left -= 1
        self.complete = True
        return content[:position]

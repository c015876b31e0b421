"""Take the dots out of a POP3 multi-line response, whatever chunks it comes in.

RFC 1939 3: the response ends at a line of a single dot; a line that begins with a dot was sent
with one dot more.
"""

from __future__ import annotations

_END = b"\r\n.\r\n"


class DotDecoder:
    """Feed octets as they come; each call returns the octets that are certain by now.

    `finished` turns true at the line of a single dot; `rest` then holds what came after it.
    """

    def __init__(self) -> None:
        # The status line's CRLF came before the first octet: with it in front, the first line
        # is a line like any other. It is taken off the first output again.
        self._held = b"\r\n"
        self._skip = 2
        self.finished = False
        self.rest = b""

    def feed(self, octets: bytes) -> bytes:
        """Return decoded octets. Calling it after `finished` is an error of the caller."""
        if self.finished:
            raise ValueError("the response has ended already")
        octets = self._held + octets
        end = octets.find(_END)
        if end >= 0:
            self.finished = True
            self.rest = octets[end + len(_END) :]
            return self._decode(octets[: end + 2])
        cut = len(octets) - _length_of_possible_end(octets)
        self._held = octets[cut:]
        return self._decode(octets[:cut])

    def _decode(self, octets: bytes) -> bytes:
        decoded = octets.replace(b"\r\n.", b"\r\n")
        skipped = min(self._skip, len(decoded))
        self._skip -= skipped
        return decoded[skipped:]


def _length_of_possible_end(octets: bytes) -> int:
    """How many octets at the end could be the beginning of the last line's mark."""
    for length in range(len(_END) - 1, 0, -1):
        if octets.endswith(_END[:length]):
            return length
    return 0

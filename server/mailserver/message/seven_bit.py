"""A message with octets above 127, made fit for a server that takes none (RFC 6152 3).

Each entity that has such octets becomes quoted-printable (RFC 2045 6.7); all others stay as they
are, to the octet. What is signed or encrypted must not be touched (RFC 1847 2.1), and an octet
above 127 in a header says nothing that could be kept: such a message cannot be recoded.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator

from mailserver.message.entities import Head, Kind, Piece, Text, TooMuch, walk

Content = Callable[[], Iterator[bytes]]

_ENCODING = b"content-transfer-encoding"
_UNENCODED = {b"", b"7bit", b"8bit", b"binary"}
_QUOTED = b"Content-Transfer-Encoding: quoted-printable\r\n"
# RFC 1428 3: nobody said what the octets mean
_UNKNOWN = b"Content-Type: text/plain; charset=unknown-8bit\r\n"
_VERSION = b"MIME-Version: 1.0\r\n"
_CHUNK = 64 * 1024
_SOFT_BREAK = re.compile(rb"=\n")


class CannotRecode(Exception):
    """The message can only go as it is. Says why."""


def recoded(content: Content) -> tuple[Content, int]:
    """The message in seven bits, and its octets; `content` has CRLF line ends and is read three
    times in all. Takes long for a long message. Raises CannotRecode, and what `content` raises."""
    numbers = _to_recode(content())

    def again() -> Iterator[bytes]:
        return _in_chunks(_recode(piece, numbers) for piece in walk(content()))

    return again, sum(map(len, again()))


def _to_recode(content: Iterator[bytes]) -> set[int]:
    """The numbers of the entities that have to be changed."""
    found = set[int]()
    head: Head | None = None
    try:
        for piece in walk(content):
            if isinstance(piece, Head):
                head = piece
            if piece.octets.isascii():
                continue
            if not isinstance(piece, Text) or head is None:
                raise CannotRecode("octets above 127 outside the text")
            if piece.number not in found:
                _check(head)
                found.add(piece.number)
    except TooMuch:
        raise CannotRecode("too many parts") from None
    return found


def _check(head: Head) -> None:
    if head.kind is not Kind.LEAF:
        raise CannotRecode("a part that must not be changed")
    if head.value(_ENCODING).lower() not in _UNENCODED:
        raise CannotRecode("octets above 127 in a part that says it has none")


def _recode(piece: Piece, numbers: set[int]) -> bytes:
    if isinstance(piece, Head):
        return _head(piece, numbers)
    if isinstance(piece, Text) and piece.number in numbers:
        return _quoted(piece.octets)
    return piece.octets


def _head(head: Head, numbers: set[int]) -> bytes:
    quoted = head.number in numbers
    if not quoted and not (head.kind is Kind.COMPOSITE and numbers):
        first = head.number == 0 and numbers and not head.value(b"mime-version")
        return _VERSION + head.octets if first else head.octets
    fields = head.fields()
    names = {name for name, _ in fields}
    kept = [field for name, field in fields if name != _ENCODING]
    if quoted:
        kept += [] if b"content-type" in names else [_UNKNOWN]
        kept.append(_QUOTED)
    if head.number == 0 and b"mime-version" not in names:
        kept.append(_VERSION)
    end = b"\r\n" if head.octets == b"\r\n" or head.octets.endswith(b"\n\r\n") else b""
    return b"".join(kept) + end


def _quoted(octets: bytes) -> bytes:
    """A line, or a piece of one that goes on."""
    text = octets.removesuffix(b"\r\n")
    encoded = _SOFT_BREAK.sub(b"=\r\n", binascii.b2a_qp(text, quotetabs=False, istext=True))
    return encoded + (b"\r\n" if len(text) < len(octets) else b"=\r\n")


def _in_chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    octets = 0
    for piece in pieces:
        waiting.append(piece)
        octets += len(piece)
        if octets >= _CHUNK:
            yield b"".join(waiting)
            waiting, octets = [], 0
    if waiting:
        yield b"".join(waiting)

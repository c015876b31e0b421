"""A MIME message (RFC 2045, 2046) line by line: the heads of its entities, and what is in them.

It is read in bounded memory, without recursion, and no further than a program needs that wants to
recode it: what must not be changed (RFC 1847 2.1, 2046 5.2) is one entity, whatever is inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum, auto

from mailserver.wire.value import value

HEAD_LIMIT = 256 * 1024
"""Octets of an entity's header."""
ENTITIES_LIMIT = 10_000
DEPTH_LIMIT = 100
PIECE = 16 * 1024
"""Octets of a line that come at once."""

_FIELD = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*")
# The alternatives begin with different characters, so matching is linear.
_BOUNDARY = re.compile(rb';[ \t]*boundary[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', re.I)
_TYPE = re.compile(rb"[!-:<-~]+")
_OPAQUE = {b"multipart/signed", b"multipart/encrypted"}


class TooMuch(Exception):
    """The message is past a limit."""


class Kind(Enum):
    """What an entity is to those who recode."""

    LEAF = auto()
    """It may have any encoding."""
    COMPOSITE = auto()
    """Others are in it, each with its own."""
    OPAQUE = auto()
    """It stays as it is."""


@value(frozen=True, slots=True)
class Head:
    """An entity begins: its header, with the empty line behind it if there is one."""

    number: int
    kind: Kind
    octets: bytes

    def fields(self) -> list[tuple[bytes, bytes]]:
        """Name in lower case, and the field as it stands."""
        block = (
            self.octets.removesuffix(b"\r\n") if self.octets.endswith(b"\n\r\n") else self.octets
        )
        found = [] if block == b"\r\n" else _FIELD.findall(block)
        return [(field.partition(b":")[0].strip().lower(), field) for field in found]

    def value(self, name: bytes) -> bytes:
        """Of the first field of this name, unfolded; b"" when there is none."""
        for one, field in self.fields():
            if one == name:
                return field.partition(b":")[2].replace(b"\r\n", b"").strip()
        return b""


@value(frozen=True, slots=True)
class Text:
    """Of the entity of this number: a line, or a piece of one that has no end yet."""

    number: int
    octets: bytes


@value(frozen=True, slots=True)
class Between:
    """A line of no entity: a boundary, or what stands before the first and behind the last."""

    octets: bytes


Piece = Head | Text | Between


def walk(content: Iterable[bytes]) -> Iterator[Piece]:
    """All of a message, with CRLF line ends, in its order; raises TooMuch."""
    return _Walk().pieces(content)


class _Walk:
    def __init__(self) -> None:
        self._boundaries: list[tuple[bytes, bool]] = []  # and whether messages are the usual
        self._head: list[bytes] | None = []  # the lines of a header that has not ended
        self._octets = 0
        self._number = -1
        self._inside = False  # an entity; else it is between them

    def pieces(self, content: Iterable[bytes]) -> Iterator[Piece]:
        begins = True
        for line in _lines(content):
            depth = self._boundary_at(line) if begins and line.startswith(b"--") else None
            if depth is not None:
                if self._head is not None:
                    yield self._end_of_head()
                yield Between(line)
                self._pass(depth, last=_ends_multipart(line, self._boundaries[depth][0]))
            elif self._head is not None:
                yield from self._more_of_head(line, begins=begins)
            else:
                yield Text(self._number, line) if self._inside else Between(line)
            begins = line.endswith(b"\n")
        if self._head:
            yield self._end_of_head()

    def _boundary_at(self, line: bytes) -> int | None:
        said = line.rstrip(b" \t\r\n")[2:]
        for depth in reversed(range(len(self._boundaries))):
            boundary = self._boundaries[depth][0]
            if said in (boundary, boundary + b"--"):
                return depth
        return None

    def _pass(self, depth: int, *, last: bool) -> None:
        del self._boundaries[depth + (not last) :]
        self._inside = False
        self._head = None if last else []
        self._octets = 0

    def _more_of_head(self, line: bytes, *, begins: bool) -> Iterator[Piece]:
        assert self._head is not None, "it is in a header"
        self._head.append(line)
        self._octets += len(line)
        if self._octets > HEAD_LIMIT:
            raise TooMuch
        if begins and line == b"\r\n":
            yield self._end_of_head()

    def _end_of_head(self) -> Head:
        octets = b"".join(self._head or ())
        self._head, self._octets = None, 0
        self._number += 1
        if self._number >= ENTITIES_LIMIT:
            raise TooMuch
        head = Head(self._number, Kind.LEAF, octets)
        return Head(self._number, self._enter(head), octets)

    def _enter(self, head: Head) -> Kind:
        given = head.value(b"content-type")
        found = _TYPE.match(given)
        in_digest = bool(self._boundaries) and self._boundaries[-1][1]
        kind = found[0].lower() if found else b"message/rfc822" if in_digest else b"text/plain"
        self._inside = True
        deep = len(self._boundaries) >= DEPTH_LIMIT
        encoded = head.value(b"content-transfer-encoding").lower() in (
            b"base64",
            b"quoted-printable",
        )
        if kind == b"message/rfc822" and not encoded:
            self._head = []
            return Kind.COMPOSITE
        if kind.startswith(b"message/"):
            return Kind.OPAQUE
        if not kind.startswith(b"multipart/"):
            return Kind.LEAF
        boundary = _BOUNDARY.search(given)
        if kind in _OPAQUE or boundary is None or encoded or deep:
            return Kind.OPAQUE
        quoted, plain = boundary.groups()
        name = plain if quoted is None else re.sub(rb"\\(.)", rb"\1", quoted)
        self._boundaries.append((name.rstrip(), kind == b"multipart/digest"))
        self._inside = False
        return Kind.COMPOSITE


def _ends_multipart(line: bytes, boundary: bytes) -> bool:
    return line.rstrip(b" \t\r\n")[2:] != boundary


def _lines(content: Iterable[bytes]) -> Iterator[bytes]:
    """With their ends; a longer one in pieces."""
    waiting = b""
    for chunk in content:
        *lines, waiting = (waiting + chunk).split(b"\n")
        for line in lines:
            yield from _cut(line + b"\n")
        if len(waiting) > PIECE:
            # the last octet waits: it may be the CR of the line's end
            yield from _cut(waiting[:-1])
            waiting = waiting[-1:]
    if waiting:
        yield from _cut(waiting)


def _cut(line: bytes) -> Iterator[bytes]:
    end = b"\r\n" if line.endswith(b"\r\n") else b""
    text = line[: len(line) - len(end)]
    starts = range(0, len(text), PIECE) or range(1)
    for at in starts:
        yield text[at : at + PIECE] + (end if at == starts[-1] else b"")

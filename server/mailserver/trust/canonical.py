"""The two forms in which DKIM signs header and body: simple and relaxed (RFC 6376 3.4).

The body comes in chunks, and what is held of it never grows with the message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Protocol

_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.M)
_SPACES = re.compile(rb"[ \t]{2,}|\t")
_LINES_AT_ONCE = 4096


class Field:
    """One field of a header block."""

    __slots__ = ("name", "raw", "start")

    def __init__(self, name: bytes, raw: bytes, start: int = 0) -> None:
        self.name = name
        """In lower case."""
        self.raw = raw
        """As it stands there, LF line ends."""
        self.start = start
        """Its offset in the block."""

    @property
    def value(self) -> bytes:
        """What stands behind the colon, folded or not."""
        return self.raw.partition(b":")[2]


def fields_of(header_block: bytes) -> list[Field]:
    """The fields of a block with LF line ends; what is none is left out."""
    return [
        Field(found[1].lower(), found[0], found.start()) for found in _FIELD.finditer(header_block)
    ]


def canonical_field(field: Field, form: str) -> bytes:
    """3.4.1 and 3.4.2, CRLF at its end."""
    if form == "simple":
        return field.raw.replace(b"\n", b"\r\n")
    value = _SPACES.sub(b" ", field.value.replace(b"\n", b"")).strip(b" ")
    return field.name + b":" + value + b"\r\n"


def behind_empty_line(body: Iterable[bytes]) -> Iterator[bytes]:
    """A staged body begins with the empty line behind the header; what is signed does not. CRLF
    line ends, never cut."""
    first = True
    for chunk in body:
        yield chunk.removeprefix(b"\r\n") if first else chunk
        first = first and not chunk


class Digest(Protocol):
    """Such as hashlib makes."""

    def update(self, octets: bytes, /) -> object: ...
    def digest(self) -> bytes: ...


class BodyHash:
    """Hashes a body in one of the forms (3.4.3, 3.4.4)."""

    def __init__(self, digest: Digest, form: str, length: int | None = None) -> None:
        """`length`: only so many octets of the canonical form count (l=)."""
        self._digest = digest
        self._relaxed = form == "relaxed"
        self._left = length
        self._lines = 0  # line ends that count only when more than space follows
        self._space = False  # likewise, behind those line ends
        self.octets = 0
        """Of the canonical form so far."""

    def update(self, chunk: bytes) -> None:
        """Take a piece, cut anywhere; line ends CRLF or LF, no other CR."""
        text = chunk.translate(None, b"\r")
        if self._relaxed:
            text = _SPACES.sub(b" ", text).replace(b" \n", b"\n")
            if self._space and text.startswith(b"\n"):
                self._space = False
            elif self._space:
                text = text.removeprefix(b" ")
        body = text.rstrip(b" \n" if self._relaxed else b"\n")
        if body:
            self._flush()
            self._add((b" " if self._space else b"") + body.replace(b"\n", b"\r\n"))
            self._space = False
        tail = text[len(body) :]
        newlines = tail.count(b"\n")
        if newlines:
            self._space = False
        self._lines += newlines
        self._space = self._space or tail.endswith(b" ")

    def finish(self) -> bytes:
        """The hash; the empty lines at the end do not count, its last line has an end."""
        if self.octets or not self._relaxed:
            self._add(b"\r\n")
        return self._digest.digest()

    def _flush(self) -> None:
        while self._lines:
            lines = min(self._lines, _LINES_AT_ONCE)
            self._add(b"\r\n" * lines)
            self._lines -= lines

    def _add(self, octets: bytes) -> None:
        self.octets += len(octets)
        if self._left is not None:
            octets = octets[: self._left]
            self._left -= len(octets)
        self._digest.update(octets)


def signed_octets(
    fields: Iterable[Field], names: Iterable[bytes], form: str, signature: Field
) -> Iterator[bytes]:
    """What is signed of a header (5.4.2): for each name the last field of that name which was not
    taken yet, and the signature itself without its own value and without its last CRLF."""
    waiting: dict[bytes, list[Field]] = {}
    for field in fields:
        waiting.setdefault(field.name, []).append(field)
    for name in names:
        if left := waiting.get(name.lower()):
            yield canonical_field(left.pop(), form)
    yield canonical_field(without_value(signature), form).removesuffix(b"\r\n")


_VALUE_OF_B = re.compile(rb"(^|;)([ \t\n]*b[ \t\n]*=)[^;]*", re.DOTALL)


def without_value(signature: Field) -> Field:
    """The field with an empty b= (3.7)."""
    head, colon, value = signature.raw.partition(b":")
    newline = b"\n" if value.endswith(b"\n") else b""
    emptied = _VALUE_OF_B.sub(rb"\1\2", value.removesuffix(b"\n"), count=1)
    return Field(signature.name, head + colon + emptied + newline)

"""Where the parts of a message are: one bounded pass over its file (RFC 2045, 2046).

Nothing is decoded and nothing but a few header fields is held, so size, line length and depth do
not matter. Nesting is a stack of boundaries, never recursion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from io import SEEK_CUR, SEEK_END
from typing import BinaryIO

from mailapp.charset import decode_bytes
from mailapp.headers import Headers, decode_words

MAX_PARTS = 10_000
MAX_BOUNDARY_OCTETS = 1000  # RFC 2046 5.1.1 has 70
MAX_PARAMETERS = 4096  # characters of a field's value that are looked at
_PIECE_OCTETS = 16_384  # of a line; a longer one comes in pieces
_FIRST_LOOK_OCTETS = 512  # for the next delimiter
_TYPE = re.compile(r"\s*([\w!#$&.+^-]+/[\w!#$&.+^-]+)", re.ASCII)
# RFC 2045 5.1, with the continuations and charsets of RFC 2231 3 and 4.
_PARAMETER = re.compile(
    r";\s*([^\s=;*\"]{1,60})(?:\*(\d{1,3}))?(\*)?\s*=\s*(?:\"((?:[^\"\\]|\\.)*)(?:\"|$)|([^;\s]*))"
)


@dataclass
class Part:
    """A part's headers, and its body as octets [start, end) of the message's file."""

    parent: int  # index of the part around it, -1 for the message itself
    default_type: str = "text/plain"
    headers: Headers = field(default_factory=Headers)
    start: int = 0
    end: int = 0
    is_leaf: bool = True

    @property
    def content_type(self) -> str:
        """In small letters, such as `text/plain`."""
        found = _TYPE.match(self.headers.raw("content-type"))
        return found[1].lower() if found else self.default_type

    @property
    def encoding(self) -> str:
        """The transfer encoding in small letters."""
        return self.headers.raw("content-transfer-encoding").strip().lower() or "7bit"

    @property
    def charset(self) -> str:
        """As named in the Content-Type; empty when it is not."""
        return parameters(self.headers.raw("content-type")).get("charset", "")

    @property
    def is_attachment(self) -> bool:
        """It asks to be kept apart, or is no text. A multipart without boundary is text."""
        disposition = self.headers.raw("content-disposition").lower().lstrip()
        is_text = self.content_type.startswith(("text/", "multipart/"))
        return disposition.startswith("attachment") or not is_text

    @property
    def file_name(self) -> str:
        """The last component of the name it gives itself, decoded; empty when it has none."""
        name = parameters(self.headers.raw("content-disposition")).get("filename", "")
        name = name or parameters(self.headers.raw("content-type")).get("name", "")
        return re.split(r"[/\\]", decode_words(name).strip())[-1][:255]


def parameters(value: str) -> dict[str, str]:
    """The parameters of a structured field, their names in small letters."""
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for name, number, star, quoted, token in _PARAMETER.findall(value[:MAX_PARAMETERS]):
        text = re.sub(r"\\(.)", r"\1", quoted) if quoted else token
        if number or star:
            pieces.setdefault(name.lower(), {})[int(number or 0)] = (text, bool(star))
        else:
            plain.setdefault(name.lower(), text)
    return plain | {name: _joined(numbered) for name, numbered in pieces.items()}


def _joined(numbered: dict[int, tuple[str, bool]]) -> str:
    """RFC 2231 4.1: pieces in their order; the first encoded one names the charset."""
    octets, charset = b"", "utf-8"
    for number in sorted(numbered):
        text, encoded = numbered[number]
        if encoded and number == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        octets += _percent_decoded(text) if encoded else text.encode("utf-8", "replace")
    return decode_bytes(octets, charset)


def _percent_decoded(text: str) -> bytes:
    return re.sub(
        rb"%([0-9A-Fa-f]{2})",
        lambda digits: bytes([int(digits[1], 16)]),
        text.encode("utf-8", "replace"),
    )


@dataclass
class Structure:
    """The parts in the order of the file; whether there are more than are listed."""

    parts: list[Part]
    is_cut: bool


def read_structure(message: BinaryIO) -> Structure:
    """Walk the message in a seekable file from its beginning."""
    walk = _Walk()
    message.seek(0)
    starts_line = True
    while piece := message.readline(_PIECE_OCTETS):
        walk.take(message.tell() - len(piece), piece, starts_line)
        if walk.is_cut:
            break
        starts_line = piece.endswith(b"\n")
        if starts_line and walk.is_in_body:
            if not walk.has_boundary:
                message.seek(0, SEEK_END)
                break
            walk.line_end = _skip(message)
    walk.close_to(0, message.tell())
    return Structure(walk.parts, walk.is_cut)


def _skip(message: BinaryIO) -> int:
    """From the beginning of a line to the next that begins with `--`, or to the end of the file.

    Returns the octets of the line end before it. What is read at a time grows with the way: most
    bodies have few such lines, and some (patches, signatures) have many.
    """
    size = _FIRST_LOOK_OCTETS
    at = message.seek(-2, SEEK_CUR)  # the line end before may belong to a delimiter
    kept = b""
    while block := message.read(size):
        block = kept + block
        found = block.find(b"\n--")
        if found >= 0:
            message.seek(at + found + 1)
            return 2 if block[found - 1 : found] == b"\r" else 1
        kept = block[-3:]
        at += len(block) - len(kept)
        size = min(2 * size, _PIECE_OCTETS)
    return 0


class _Walk:
    """The state of the pass: the open parts as a stack, and their boundaries."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.is_cut = False
        self._stack: list[int] = []
        self._depth_of: dict[bytes, int] = {}  # open boundary to the stack's height below it
        self._boundary_at: dict[int, bytes] = {}
        self._in_headers = False
        self.line_end = 0  # octets of the CRLF or LF that came last: it belongs to a delimiter
        self._begin(-1, "text/plain")

    @property
    def is_in_body(self) -> bool:
        """Nothing but a delimiter matters."""
        return not self._in_headers

    @property
    def has_boundary(self) -> bool:
        """A delimiter may come."""
        return bool(self._depth_of)

    def take(self, offset: int, piece: bytes, starts_line: bool) -> None:
        """One line, or a piece of a long one."""
        is_delimiter = starts_line and piece.startswith(b"--") and self._delimiter(offset, piece)
        if self._in_headers and not is_delimiter:
            self._header(offset, piece, starts_line)
        self.line_end = 2 if piece.endswith(b"\r\n") else 1

    def close_to(self, height: int, end: int) -> None:
        """End the parts above this height of the stack."""
        while len(self._stack) > height:
            part = self.parts[self._stack.pop()]
            if self._in_headers:  # no blank line came: no body
                part.start, self._in_headers = end, False
            part.end = max(part.start, end)
            boundary = self._boundary_at.pop(len(self._stack), None)
            if boundary is not None:
                self._depth_of.pop(boundary, None)

    def _begin(self, parent: int, default_type: str) -> None:
        if len(self.parts) >= MAX_PARTS:
            self.is_cut = True
            return
        self._stack.append(len(self.parts))
        self.parts.append(Part(parent, default_type))
        self._in_headers = True

    def _header(self, offset: int, piece: bytes, starts_line: bool) -> None:
        headers = self.parts[self._stack[-1]].headers
        if not starts_line:
            headers.extend(piece)
        elif piece in (b"\r\n", b"\n"):
            self._body_begins(offset + len(piece))
        elif not headers.add(piece) and not (offset == 0 and piece.startswith(b"From ")):
            self._body_begins(offset)  # the blank line is missing

    def _body_begins(self, start: int) -> None:
        index = self._stack[-1]
        part = self.parts[index]
        part.start, self._in_headers = start, False
        content_type = part.content_type
        if content_type.startswith("multipart/"):
            boundary = parameters(part.headers.raw("content-type")).get("boundary", "").rstrip()
            token = boundary.encode("utf-8", "replace")
            if 0 < len(token) <= MAX_BOUNDARY_OCTETS:
                part.is_leaf = False
                self._depth_of[token] = len(self._stack)
                self._boundary_at[len(self._stack) - 1] = token
        elif content_type == "message/rfc822" and part.encoding in ("7bit", "8bit", "binary"):
            part.is_leaf = False
            self._begin(index, "text/plain")

    def _delimiter(self, offset: int, line: bytes) -> bool:
        token = line[2:].rstrip()
        height = self._depth_of.get(token)
        if height is not None:
            self.close_to(height, offset - self.line_end)
            around = self.parts[self._stack[-1]].content_type
            default = "message/rfc822" if around == "multipart/digest" else "text/plain"
            self._begin(self._stack[-1], default)
            return True
        height = self._depth_of.get(token[:-2]) if token.endswith(b"--") else None
        if height is None:
            return False
        self.close_to(height, offset - self.line_end)
        return True  # what follows is the epilogue: nobody's body, up to the next delimiter

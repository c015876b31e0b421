"""A header with UTF-8 in it (RFC 6532), made fit for programs that know ASCII only (RFC 6858).

What a person reads is kept: the subject and names as encoded words (RFC 2047), file names by
RFC 2231. An address outside ASCII cannot be written in ASCII; it becomes part of the name before
an address that leads nowhere. Other fields with UTF-8 are left out. Octets that are not UTF-8
stand as they are: nobody knows which characters they mean.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from urllib.parse import quote

from mailserver.message.header import OCTET_LIMIT

NOWHERE = "<internationalized@address.invalid>"
"""Stands for an address outside ASCII (RFC 6858 2.1, RFC 2606 2)."""

_END = b"\r\n\r\n"
_FIELD = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n?)*|[^\n]+")
_TEXT_FIELDS = {"subject", "comments", "content-description"}
_MIME_FIELDS = {"content-type", "content-disposition"}
_ADDRESS_FIELDS = {"from", "sender", "reply-to", "to", "cc", "bcc"}
_ADDRESS_FIELDS |= {f"resent-{name}" for name in _ADDRESS_FIELDS}
# The alternatives begin with different characters, so matching is linear.
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PIECE = rf'[^,"<(:;]|{_QUOTED}|<[^<>]*>|\([^()]*\)'
_MAILBOXES = re.compile(rf"(?:{_PIECE}|,)*")
_MAILBOX = re.compile(rf"(?:{_PIECE})+")
_NAMED = re.compile(r"([^<]*)<([^<>]*)>\s*")
_PARAMETER = re.compile(rf";\s*([!-:<-~]+?)=({_QUOTED}|[^;\s\"]*)")
_WORD_OCTETS = 30
"""Of text in one encoded word: with the longest field name before it, it fits RFC 2047 2's line."""


class AsciiHeader:
    """Takes a message in chunks with CRLF line ends and gives it with an ASCII header."""

    def __init__(self) -> None:
        self._waiting = b""
        self._over = False  # the header has gone
        self.growth = 0
        """Octets by which it became longer; negative: shorter."""

    def take(self, content: bytes) -> bytes:
        """What can go on by now."""
        if self._over:
            return content
        seen = self._waiting + content
        end = 0 if seen.startswith(b"\r\n") else seen.find(_END) + 2
        if end == 1 and len(seen) <= OCTET_LIMIT:
            self._waiting = seen
            return b""
        self._over = True
        header = seen[:end] if end != 1 else seen
        return self._converted(header) + seen[len(header) :]

    def end(self) -> bytes:
        """The rest: a message that was nothing but a header."""
        waiting, self._waiting = self._waiting, b""
        return b"" if self._over else self._converted(waiting)

    def _converted(self, header: bytes) -> bytes:
        if header.isascii():
            return header
        converted = ascii_header(header)
        self.growth = len(converted) - len(header)
        return converted


def ascii_header(header: bytes) -> bytes:
    """The fields, without what is not ASCII."""
    return b"".join(
        field if field.isascii() else _surrogate(field) for field in _FIELD.findall(header)
    )


def _surrogate(field: bytes) -> bytes:
    raw_name, colon, value = field.partition(b":")
    try:
        text = value.decode("utf-8").replace("\r\n", "").strip(" \t")
    except UnicodeDecodeError:
        return field
    name = raw_name.decode("ascii", "replace").strip().lower()
    if name in _ADDRESS_FIELDS:
        text = ",\r\n ".join(_mailbox(one) for one in _mailboxes(text))
    elif name in _MIME_FIELDS:
        text = _PARAMETER.sub(_parameter, text)
    elif name in _TEXT_FIELDS or name.startswith("x-"):
        text = _encoded_words(text)
    if not (colon and raw_name.isascii() and text.isascii()):
        return b""
    return raw_name + b": " + text.encode() + b"\r\n"


def _mailboxes(text: str) -> list[str]:
    """The mailboxes of a list; a group, or what is broken, is one that has no address."""
    if not _MAILBOXES.fullmatch(text):
        return [text]
    return [one for found in _MAILBOX.findall(text) if (one := found.strip())]


def _mailbox(text: str) -> str:
    if text.isascii():
        return text
    named = _NAMED.fullmatch(text)
    if named and named[2].isascii():
        return f"{_encoded_words(_unquoted(named[1].strip()))} <{named[2]}>"
    return f"{_encoded_words(text)}\r\n {NOWHERE}"


def _unquoted(name: str) -> str:
    if not re.fullmatch(_QUOTED, name):
        return name
    return re.sub(r"\\(.)", r"\1", name[1:-1])


def _parameter(found: re.Match[str]) -> str:
    """RFC 2231 4: a parameter's value with its character set."""
    name, value = found.groups()
    if value.isascii():
        return found[0]
    return f";\r\n {name}*=utf-8''{quote(_unquoted(value), safe='')}"


def _encoded_words(text: str) -> str:
    """RFC 2047 2, each word on its own line."""
    encoded = (base64.b64encode(part).decode() for part in _parts(text))
    return "\r\n ".join(f"=?utf-8?b?{word}?=" for word in encoded)


def _parts(text: str) -> Iterator[bytes]:
    """The text's octets in pieces that never end inside a character (RFC 2047 5)."""
    part = b""
    for character in text:
        octets = character.encode("utf-8")
        if len(part) + len(octets) > _WORD_OCTETS:
            yield part
            part = b""
        part += octets
    if part:
        yield part

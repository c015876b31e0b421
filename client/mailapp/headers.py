"""Header fields read with bounds, and what they mean to a person.

Fields are kept only by the names that the client shows or needs, so a message with a hundred
thousand others costs nothing. Texts returned are decoded and unfolded, not yet `visible`.
"""

from __future__ import annotations

import binascii
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import BinaryIO

from mailapp.charset import decode_bytes

KEPT = frozenset(
    {
        *("from", "to", "cc", "reply-to", "date", "subject", "received"),
        *("message-id", "in-reply-to", "references"),
        *("content-type", "content-disposition", "content-transfer-encoding"),
    }
)
MAX_VALUE_OCTETS = 16_384
MAX_FIELDS_OF_A_NAME = 100
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
_STAMP = re.compile(r'\s*"(\d{4}-\d\d-\d\d : \d\d : \d\d)"\s*;', re.ASCII)
# RFC 2047 2, with the language of RFC 2231 5.
_ENCODED_WORD = re.compile(r"=\?([!-)+->@-~]{1,40}?)(?:\*[\w-]{0,40})?\?([bBqQ])\?([^?\r\n]*)\?=")
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,250}>")
_BETWEEN_ENCODED_WORDS = re.compile(r"(\?=)[ \t\r\n]+(?==\?)")


class Headers:
    """One header block, line by line in, texts out."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, bytearray]] = []
        self.counts: Counter[str] = Counter()
        self._open: bytearray | None = None

    def add(self, line: bytes) -> bool:
        """Take one line, CRLF included; False when it is not one of a header block."""
        if line[:1] in (b" ", b"\t"):
            self.extend(line)
            return True
        field = _FIELD.match(line)
        if field is None:
            return False
        name = field[1].decode("ascii").lower()
        self._open = None
        if name in KEPT:
            self.counts[name] += 1
            if self.counts[name] <= MAX_FIELDS_OF_A_NAME:
                self._open = bytearray()
                self.fields.append((name, self._open))
                self.extend(field[2])
        return True

    def extend(self, octets: bytes) -> None:
        """More octets of the field that came last: a folded line, or the rest of a long one."""
        if self._open is not None:
            self._open += octets[: MAX_VALUE_OCTETS - len(self._open)]

    def texts(self, name: str) -> list[str]:
        """Every kept field of this name (in small letters), decoded."""
        return [decode(value) for kept, value in self.fields if kept == name]

    def text(self, name: str) -> str:
        """The first field of this name, decoded; empty when there is none."""
        return next((decode(value) for kept, value in self.fields if kept == name), "")

    def raw(self, name: str) -> str:
        """The first field of this name, unfolded, its encoded words left as they are."""
        return next((_unfold(value) for kept, value in self.fields if kept == name), "")


def read_headers(lines: Iterable[bytes]) -> Headers:
    """The headers of a message up to its blank line."""
    headers = Headers()
    for number, line in enumerate(lines):
        if not headers.add(line) and not (number == 0 and line.startswith(b"From ")):
            break
    return headers


def decode(value: bytes | bytearray) -> str:
    """A field's value as text: unfolded, encoded words (RFC 2047) decoded."""
    return decode_words(_unfold(value))


def decode_line(line: bytes) -> str:
    """One physical line of a header block, without its line end."""
    return decode_words(decode_bytes(line.removesuffix(b"\n").removesuffix(b"\r"), "utf-8"))


def decoded_lines(content: BinaryIO) -> Iterator[str]:
    """The lines of a header block with their newlines, decoded; a long one comes in pieces."""
    starts_line = True
    while piece := content.readline(MAX_VALUE_OCTETS):
        if starts_line and piece in (b"\r\n", b"\n"):
            return
        starts_line = piece.endswith(b"\n")
        yield decode_line(piece) + ("\n" if starts_line else "")


def decode_words(text: str) -> str:
    """The text with its encoded words decoded; what cannot be decoded stays as it is.

    Words that follow each other in one charset are joined before they are decoded, for many
    programs cut characters in two.
    """
    text = _BETWEEN_ENCODED_WORDS.sub(r"\1", text)
    done, at, pending, charset = [], 0, b"", ""
    for word in _ENCODED_WORD.finditer(text):
        octets = _word_octets(word[2], word[3])
        if octets is None:
            continue
        if word.start() > at or word[1].lower() != charset:
            done += [decode_bytes(pending, charset), text[at : word.start()]]
            pending, charset = b"", word[1].lower()
        pending += octets
        at = word.end()
    return "".join([*done, decode_bytes(pending, charset), text[at:]])


def _unfold(value: bytes | bytearray) -> str:
    text = decode_bytes(bytes(value), "utf-8").strip(" \t\r\n")
    return re.sub(r"\r?\n(?=[ \t])", "", text)


def _word_octets(encoding: str, text: str) -> bytes | None:
    octets = text.encode("utf-8", "replace")
    try:
        if encoding in "bB":
            return binascii.a2b_base64(octets + b"=" * (-len(octets) % 4))
        return binascii.a2b_qp(octets, header=True)
    except binascii.Error:
        return None


def received(headers: Headers) -> str:
    """When it came, as `YYYY-MM-DD : HH : MM`; empty when nothing says so.

    The server stamps each message right after the subject; a stamp elsewhere may be the sender's
    own. Without one it is the newest trace line's date, then the Date field's, in local time.
    """
    names = [name for name, _ in headers.fields]
    for at, (name, value) in enumerate(headers.fields):
        stamp = _STAMP.match(_unfold(value)) if name == "received" else None
        if stamp and (names[at - 1 : at] == ["subject"] or "subject" not in names):
            return stamp[1]
    for text in (headers.raw("received").rpartition(";")[2], headers.raw("date")):
        if moment := _moment(text):
            return moment.strftime("%Y-%m-%d : %H : %M")
    return ""


def date(headers: Headers) -> str:
    """The Date field in ISO 8601, to the second and with its zone; empty when it is none."""
    moment = _moment(headers.raw("date"))
    return moment.isoformat(timespec="seconds") if moment else ""


def message_id(headers: Headers) -> str:
    """With its brackets (RFC 5322 3.6.4); empty when there is none."""
    return next(iter(_MESSAGE_ID.findall(headers.raw("message-id"))), "")


def references(headers: Headers) -> tuple[str, ...]:
    """The messages before this one in its thread, the nearest last."""
    found = _MESSAGE_ID.findall(f"{headers.raw('references')} {headers.raw('in-reply-to')}")
    return tuple(dict.fromkeys(found))


def announces_attachment(headers: Headers) -> bool:
    """Whether the header alone says that there is more than text."""
    kind = headers.raw("content-type").strip().lower()
    is_text = not kind or kind.startswith(("text/", "multipart/alternative", "multipart/signed"))
    return not is_text or headers.raw("content-disposition").lstrip().lower()[:10] == "attachment"


def _moment(text: str) -> datetime | None:
    """A date (RFC 5322 3.3) in local time; None for whatever is not one."""
    try:
        return parsedate_to_datetime(text.strip()[:200]).astimezone()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def with_plain_domains(text: str) -> str:
    """Addresses with the ASCII form beside a domain of other letters, which may imitate one."""
    return re.sub(r"@([^\s<>,;()\"@]{1,253})", _with_plain_domain, text)


def _with_plain_domain(match: re.Match[str]) -> str:
    if match[1].isascii():
        return match[0]
    try:
        return f"{match[0]} ({match[1].encode('idna').decode('ascii')})"
    except UnicodeError:
        return match[0]

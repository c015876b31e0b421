"""From what a person types to an RFC 5322 message. Pure: the time and the id are passed in."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import quopri
import re
from collections.abc import Iterable
from dataclasses import field
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from urllib.parse import quote

from mailapp.value import value

MAX_SUBJECT_CHARACTERS = 50
MAX_RECIPIENTS = 100  # RFC 5321 4.5.3.1.8: what every server takes
MAX_LINE_OCTETS = 998  # RFC 5322 2.1.1, without the CRLF
MAX_LOCAL_PART_OCTETS = 64  # RFC 5321 4.5.3.1.1
MAX_DOMAIN_OCTETS = 255  # RFC 5321 4.5.3.1.2
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")  # RFC 5322 3.2.3
_LABEL = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)  # RFC 5321 4.1.2, RFC 1035 2.3.4
_NAMED = re.compile(r"[^<>]*<([^<>]*)>")
_FIELD = re.compile(r"([!-9;-~]{1,60}):\s*(.*\S)\s*")  # RFC 5322 3.6.8
_OURS = (
    *("from", "to", "cc", "bcc", "sender", "subject", "date", "message-id", "in-reply-to"),
    *("references", "received", "return-path", "mime-version", "content-"),
)
_FOLD = ",\r\n "
_SHAPE = "it has to be username@domain_name"


class FieldProblem(ValueError):
    """Why a line cannot be taken, in words for the person who typed it."""


@value(frozen=True)
class Attachment:
    """A file that goes along, or a message that is passed on (`message/rfc822`)."""

    name: str  # may be empty
    content_type: str
    content: bytes = field(repr=False)


@value(frozen=True)
class Draft:
    """What was typed: addresses as they go on the envelope, body lines without line ends."""

    sender: str
    recipients: tuple[str, ...]  # To
    subject: str
    body: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()  # on the envelope only
    attachments: tuple[Attachment, ...] = ()
    in_reply_to: str = ""  # message ids with their brackets
    references: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()  # more of the header: `Name: value`, by `header_field`
    wants_report: bool = False  # of its delivery, too (RFC 3461)

    @property
    def envelope(self) -> tuple[str, ...]:
        """Everybody who gets it, each once."""
        return tuple(dict.fromkeys((*self.recipients, *self.cc, *self.bcc)))


def address(text: str) -> str:
    """`username@domain_name`, also out of `Name <…>`; raises FieldProblem with what is wrong."""
    text = text.strip()
    _refuse_controls(text)
    if named := _NAMED.fullmatch(text):
        text = named[1].strip()
    local_part, at, domain = text.rpartition("@")
    if not text:
        raise FieldProblem(f"there is no address; {_SHAPE}")
    if not at:
        raise FieldProblem(f'"{text}" has no @; {_SHAPE}')
    if not local_part:
        raise FieldProblem(f'"{text}" has no username before the @; {_SHAPE}')
    if not domain:
        raise FieldProblem(f'"{text}" has no domain name after the @; {_SHAPE}')
    if not all(_ATOM.fullmatch(atom) for atom in local_part.split(".")):
        raise FieldProblem(f'"{local_part}" before the @ is no valid username')
    if len(local_part) > MAX_LOCAL_PART_OCTETS:
        raise FieldProblem(f"the username is longer than {MAX_LOCAL_PART_OCTETS} characters")
    if not is_domain(domain):
        raise FieldProblem(f'"{domain}" after the @ is no valid domain name')
    return text


def is_domain(text: str) -> bool:
    """A domain name, or an address literal such as [192.0.2.1] (RFC 5321 4.1.2, 4.1.3)."""
    if text.startswith("[") and text.endswith("]"):
        literal = text[1:-1]
        try:
            if literal.lower().startswith("ipv6:"):
                return "%" not in literal and bool(ipaddress.IPv6Address(literal[5:]).packed)
            return bool(ipaddress.IPv4Address(literal).packed)
        except ValueError:
            return False
    return len(text) <= MAX_DOMAIN_OCTETS and all(_LABEL.fullmatch(x) for x in text.split("."))


def addresses(text: str) -> tuple[str, ...]:
    """Recipients separated by commas, each once; raises FieldProblem."""
    found = tuple(dict.fromkeys(address(one) for one in text.split(",")))
    if len(found) > MAX_RECIPIENTS:
        raise FieldProblem(f"there are {len(found)} recipients; at most {MAX_RECIPIENTS} at a time")
    return found


def subject(text: str) -> str:
    """A subject of at most 50 characters, maybe empty; raises FieldProblem."""
    text = text.strip()
    _refuse_controls(text)
    if len(text) > MAX_SUBJECT_CHARACTERS:
        raise FieldProblem(
            f"the subject has {len(text)} characters; at most {MAX_SUBJECT_CHARACTERS} are allowed"
        )
    return text


def header_field(text: str) -> str:
    """`Name: value` that the client does not write itself; raises FieldProblem."""
    _refuse_controls(text)
    found = _FIELD.fullmatch(text)
    if found is None or len(text) > MAX_LINE_OCTETS:
        raise FieldProblem(f'"{text[:60]}" is no header line; it has to be Name: value')
    if found[1].lower().startswith(_OURS):
        raise FieldProblem(f"the header line {found[1]} is written by the client itself")
    return f"{found[1]}: {found[2]}"


def body_line(text: str) -> str:
    """A line of the body; raises FieldProblem for what no message may hold (RFC 5322 3.5)."""
    if "\0" in text or "\r" in text or "\n" in text:
        raise FieldProblem("NUL and carriage return are not allowed in a message")
    _refuse_broken_text(text)
    return text


def _refuse_controls(text: str) -> None:
    _refuse_broken_text(text)
    for character in text:
        if character < " " or "\x7f" <= character <= "\x9f" or character in "\u2028\u2029":
            raise FieldProblem(f"the control character U+{ord(character):04X} is not allowed here")


def _refuse_broken_text(text: str) -> None:
    """Octets that are not text in the terminal's charset arrive as lone surrogates."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise FieldProblem("it holds octets that are no valid text (UTF-8 is expected)")


def to_message(draft: Draft, now: datetime, message_id: str) -> bytes:
    """The message with CRLF line ends. `now` knows its zone; `message_id` is without <>."""
    fields = [
        ("From", draft.sender),
        ("To", _FOLD.join(draft.recipients) or "undisclosed-recipients:;"),
        ("Cc", _FOLD.join(draft.cc)),
        ("Subject", _encoded("Subject", draft.subject)),
        ("Date", format_datetime(now)),
        ("Message-ID", f"<{message_id}>"),
        ("In-Reply-To", draft.in_reply_to),
        ("References", "\r\n ".join(draft.references)),
        *((name, _encoded(name, value)) for name, value in map(_halves, draft.fields)),
        ("MIME-Version", "1.0"),
    ]
    header = _lines((name, value) for name, value in fields if value or name == "Subject")
    text = _text_part(draft.body)
    if not draft.attachments:
        return header + text
    boundary = "=_" + hashlib.sha256(message_id.encode()).hexdigest()[:30]
    parts = [text, *map(_attached_part, draft.attachments)]
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in parts)
    kind = _lines([("Content-Type", f'multipart/mixed; boundary="{boundary}"')])
    return b"%s%s\r\n%s--%s--\r\n" % (header, kind, body, boundary.encode())


def _lines(fields: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode("ascii")


def _text_part(lines: tuple[str, ...]) -> bytes:
    encoding, body = _encoded_body(lines)
    fields = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", encoding),
    ]
    return _lines(fields) + b"\r\n" + body


def _attached_part(attachment: Attachment) -> bytes:
    """Base64; a message that is passed on goes as it is (RFC 2046 5.2.1)."""
    fields = [("Content-Type", attachment.content_type)]
    if attachment.name:
        fields.append(("Content-Disposition", f"attachment; {_file_name(attachment.name)}"))
    if attachment.content_type == "message/rfc822":
        content = attachment.content
        fields.append(("Content-Transfer-Encoding", "7bit" if content.isascii() else "8bit"))
    else:
        content = base64.encodebytes(attachment.content).replace(b"\n", b"\r\n")
        fields.append(("Content-Transfer-Encoding", "base64"))
    return _lines(fields) + b"\r\n" + content


def _file_name(name: str) -> str:
    """A parameter (RFC 2183 2.3), or an extended one (RFC 2231 4)."""
    if re.fullmatch(r"[A-Za-z0-9 !#$&+.^_`{|}~()@,;=\[\]-]+", name):
        return f'filename="{name}"'
    return "filename*=utf-8''" + quote(name, safe="")


def _halves(field: str) -> tuple[str, str]:
    name, _, value = field.partition(": ")
    return name, value


def _encoded(name: str, text: str) -> str:
    """ASCII as it is; other text, or what looks like an encoded word, by RFC 2047."""
    if text.isascii() and "=?" not in text:
        return text
    return Header(text, "utf-8", header_name=name).encode(linesep="\r\n")


def _encoded_body(lines: tuple[str, ...]) -> tuple[str, bytes]:
    """7bit where RFC 2045 2.7 allows it, else quoted-printable (RFC 2045 6.7)."""
    if all(line.isascii() and len(line) <= MAX_LINE_OCTETS for line in lines):
        return "7bit", "".join(f"{line}\r\n" for line in lines).encode("ascii")
    text = "".join(f"{line}\n" for line in lines).encode()
    return "quoted-printable", quopri.encodestring(text).replace(b"\n", b"\r\n")

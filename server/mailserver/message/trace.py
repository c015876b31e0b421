"""The lines that a server adds to a message when it takes it and when it stores it.

All lines end with LF, as in the mailbox file; all times are UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from mailserver.message.envelope import Envelope
from mailserver.message.header import Header
from mailserver.wire.value import value

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


_DELIVERED_TO = re.compile(
    rb"^delivered-to[ \t]*:[ \t]*([^ \t\n]+)[ \t]*$", re.IGNORECASE | re.MULTILINE
)
_RECEIVED = re.compile(rb"^received[ \t]*:", re.IGNORECASE | re.MULTILINE)


@value(frozen=True, slots=True)
class Stamp:
    """A moment in the three forms in which it is written into a message."""

    date_time: str
    """RFC 5322 3.3: `Mon, 23 Nov 2026 14:05:09 +0000`."""
    ctime: str
    """As in an mbox From_ line: `Mon Nov 23 14:05:09 2026`."""
    stored: str
    """The stored form's own: `2026-11-23 : 14 : 05`."""


@lru_cache(maxsize=4)
def stamp(seconds: int) -> Stamp:
    """The moment `seconds` after 1970-01-01 UTC. No locale changes the names."""
    t = datetime.fromtimestamp(seconds, UTC)
    day, month = _DAYS[t.weekday()], _MONTHS[t.month - 1]
    clock = f"{t.hour:02}:{t.minute:02}:{t.second:02}"
    return Stamp(
        date_time=f"{day}, {t.day:02} {month} {t.year} {clock} +0000",
        ctime=f"{day} {month} {t.day:2} {clock} {t.year}",
        stored=f"{t.year}-{t.month:02}-{t.day:02} : {t.hour:02} : {t.minute:02}",
    )


def from_line(reverse_path: str, at: Stamp) -> bytes:
    """The line that begins a record of an mbox file (RFC 4155); spaces would end the address."""
    sender = reverse_path.replace(" ", "_") or "MAILER-DAEMON"
    return f"From {sender} {at.ctime}\n".encode("utf-8", "surrogateescape")


def return_path(reverse_path: str) -> bytes:
    """RFC 5321 4.4: added at final delivery only."""
    return f"Return-Path: <{reverse_path}>\n".encode("utf-8", "surrogateescape")


def protocol(envelope: Envelope) -> str:
    """How it came, in the word for `with`: SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA (RFC 3848), or
    UTF8SMTP and so on (RFC 6531 4.3)."""
    client = envelope.client
    if not client.extended:
        return "SMTP"
    name = "UTF8SMTP" if envelope.parameters.utf8 else "ESMTP"
    return f"{name}{'S' if client.tls else ''}{'A' if client.user else ''}"


def received(envelope: Envelope, domain: str, message_id: str, recipient: str, at: Stamp) -> bytes:
    """The trace line (RFC 5321 4.4). `recipient` is the one that this copy is for, so that no
    copy tells of the others (RFC 5321 7.6); "": there are several. A client without an address is
    this server itself."""
    client = envelope.client
    address = f"IPv6:{client.address}" if ":" in client.address else client.address
    came = f"from {client.name} ([{address}]) " if address else ""
    way = f"with {protocol(envelope)} " if address else ""
    whom = f"for <{recipient}>" if recipient else ""
    suite = f"tls {client.tls}" if client.tls else ""  # RFC 8314 4.3
    more = " ".join(filter(None, (whom, suite)))
    return (f"Received: {came}by {domain} {way}id {message_id}\n\t{more}; {at.date_time}\n").encode(
        "utf-8", "surrogateescape"
    )


def delivered_to(address: str) -> bytes:
    """RFC 9228: the address here that a message was forwarded from."""
    return f"Delivered-To: {address}\n".encode("utf-8", "surrogateescape")


def was_delivered_to(header_block: bytes, address: str) -> bool:
    """It was forwarded from this address before, perhaps in other letters: a loop (RFC 9228 4)."""
    found = _DELIVERED_TO.findall(header_block)
    return address.lower().encode("utf-8", "surrogateescape") in map(bytes.lower, found)


def hops(header_block: bytes) -> int:
    """How many servers a message has been through, by its Received fields (RFC 5321 6.3)."""
    return len(_RECEIVED.findall(header_block))


def stored_stamp(at: Stamp) -> bytes:
    """The stored form's own stamp, date : hour : minute, also a valid RFC 5321 trace line."""
    return f'Received: "{at.stored}"; {at.date_time}\n'.encode()


def separator(found: Header) -> bytes:
    """What goes behind the header block: a message whose text begins where its header should gets
    the empty line that it lacks, or the lines above would swallow its first words."""
    return b"" if found.end or found.separated else b"\n"


def stamped(block: bytes, found: Header, at: Stamp) -> bytes:
    """The header block with the stored stamp right behind the subject, or at its end."""
    after = found.after_subject
    return block[:after] + stored_stamp(at) + block[after:] + separator(found)

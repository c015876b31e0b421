"""A message in the queue as a value, and the lines in which it is kept.

A file of the queue is one line of JSON (the entry), the content, and a line for each thing that
happened since (notes). Each line begins with its checksum: what a crash left half written, or full
of zeros, is recognised and does not count.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from mailserver.message.envelope import (
    MailParameters,
    Notify,
    RcptParameters,
    Recipient,
    Return,
)
from mailserver.message.outcome import Fate, Outcome
from mailserver.relay.wish import Wish
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath
from mailserver.wire.value import value

VERSION = 1


class BadLine(Exception):
    """A line that was not written whole, or not by us. Says why."""


@value(frozen=True, slots=True)
class Entry:
    """What never changes."""

    id: str
    arrived: float
    """Seconds since the epoch."""
    reverse_path: ReversePath
    parameters: MailParameters
    recipients: tuple[Recipient, ...]
    octets: int
    """Of the content, CRLF line ends."""
    eight_bit: bool = False
    """The content has octets above 127."""
    utf8_header: bool = False
    """Its header has."""
    tls_optional: bool = False
    """Its header says TLS-Required: No (RFC 8689 3)."""

    @property
    def wish(self) -> Wish:
        """What its sender asks of TLS. A report is not lost for it (RFC 8689 5)."""
        if self.parameters.require_tls:
            return Wish.REQUIRED if self.reverse_path.mailbox else Wish.NONE
        return Wish.OPTIONAL if self.tls_optional else Wish.NONE


class Order(Enum):
    """What an operator can say about a message; see `mailadmin queue`."""

    RETRY = "retry"
    HOLD = "hold"
    RELEASE = "release"


@value(frozen=True, slots=True)
class Tried:
    """A note: what became of some recipients in one try."""

    at: float
    numbers: tuple[int, ...]
    outcome: Outcome
    next_try: float
    """Of no meaning unless the outcome is temporary."""


@value(frozen=True, slots=True)
class Told:
    """A note: the sender has been sent a report about these recipients."""

    numbers: tuple[int, ...]
    delayed: bool = False
    """It was only a warning."""


@value(frozen=True, slots=True)
class Ordered:
    """A note: an operator's word."""

    order: Order


Note = Tried | Told | Ordered


def lasts(note: Note) -> bool:
    """Somebody would get a message or a report again if it were forgotten; a try that failed for
    now is only made again."""
    return not (isinstance(note, Tried) and note.outcome.fate is Fate.TEMPORARY)


@value(frozen=True, slots=True)
class Record:
    """What is to be written down of a message."""

    message_id: str
    notes: tuple[Note, ...]
    done: bool = False
    """With these nothing is left to do: that it leaves the queue says as much."""


@value(frozen=True, slots=True)
class Progress:
    """How far one recipient is."""

    tries: int = 0
    outcome: Outcome | None = None
    """Of the last try; None: there was none."""
    last_try: float = 0.0
    next_try: float = 0.0
    """Seconds since the epoch; 0: at once."""
    told: bool = False
    """The sender knows what became of it."""
    warned: bool = False
    """The sender knows that it takes longer."""

    @property
    def open(self) -> bool:
        """It is to be tried."""
        return self.outcome is None or self.outcome.fate is Fate.TEMPORARY

    def due(self, now: float) -> float:
        """When it is to be tried, seconds since the epoch. If the last try is still to come the
        clock was set back since, and what was noted then means nothing: at once."""
        return self.next_try if self.last_try <= now else 0.0


_UNTRIED = Progress()


@dataclass(slots=True)
class QueuedMessage:
    """An entry and what its notes say."""

    entry: Entry
    progress: list[Progress] = field(default_factory=list)
    held: bool = False
    content: bytes | None = None
    """All of it; None: it is longer, and has to be read (`Spool.content`)."""

    def __post_init__(self) -> None:
        self.progress = self.progress or [_UNTRIED] * len(self.entry.recipients)

    def take(self, note: Note) -> None:
        """Let the note count; raises IndexError for a recipient that is not there."""
        match note:
            case Tried(at, numbers, outcome, next_try):
                for number in numbers:
                    known = self.progress[number]
                    tries, told, warned = known.tries + 1, known.told, known.warned
                    self.progress[number] = Progress(tries, outcome, at, next_try, told, warned)
            case Told(numbers, delayed):
                for number in numbers:
                    known = self.progress[number]
                    told, warned = known.told or not delayed, known.warned or delayed
                    self.progress[number] = replace(known, told=told, warned=warned)
            case Ordered(Order.RETRY):
                self.progress = [replace(known, next_try=0.0) for known in self.progress]
            case Ordered(order):
                self.held = order is Order.HOLD


# -- lines -----------------------------------------------------------------------------------------


def line_of(value: Entry | Note) -> bytes:
    """`<crc32> <JSON>` and LF."""
    text = json.dumps(_encode(value), separators=(",", ":")).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _known(line: bytes) -> dict[str, Any]:
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        raise BadLine("the checksum is wrong")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadLine(str(error)) from None
    if not isinstance(found, dict):
        raise BadLine("not an object")
    return found


def read_entry(line: bytes) -> Entry:
    """Raises BadLine."""
    found = _known(line)
    try:
        if found["version"] != VERSION:
            raise BadLine(f"version {found['version']} is not known here")
        mail = found["mail"]
        return Entry(
            id=str(found["id"]),
            arrived=float(found["arrived"]),
            reverse_path=ReversePath(Mailbox(*mail["from"]) if mail["from"] else None),
            parameters=MailParameters(
                eight_bit=mail["eight_bit"],
                utf8=mail["utf8"],
                returned=Return(mail["returned"]) if mail["returned"] else None,
                envelope_id=mail["envelope_id"],
                require_tls=mail["require_tls"],
            ),
            recipients=tuple(map(_recipient, found["recipients"])),
            octets=int(found["octets"]),
            eight_bit=found["eight_bit"],
            utf8_header=found["utf8_header"],
            tls_optional=found.get("tls_optional", False),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadLine(f"{type(error).__name__}: {error}") from None


def read_note(line: bytes) -> Note:
    """Raises BadLine."""
    found = _known(line)
    try:
        if "order" in found:
            return Ordered(Order(found["order"]))
        numbers = tuple(map(int, found["n"]))
        if "outcome" not in found:
            return Told(numbers, found["delayed"])
        fate, *words = found["outcome"]
        return Tried(found["at"], numbers, Outcome(Fate(fate), *words), found["next"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadLine(f"{type(error).__name__}: {error}") from None


def _recipient(found: dict[str, Any]) -> Recipient:
    notify = found["notify"]
    wanted = None if notify is None else frozenset(map(Notify, notify))
    path = ForwardPath(Mailbox(*found["to"]))
    return Recipient(path, RcptParameters(wanted, found["original"]))


def _encode(value: Entry | Note) -> dict[str, object]:
    match value:
        case Entry():
            return _entry(value)
        case Ordered(order):
            return {"order": order.value}
        case Told(numbers, delayed):
            return {"n": numbers, "delayed": delayed}
        case Tried(at, numbers, outcome, next_try):
            words = (outcome.status, outcome.text, outcome.said_by, outcome.reports)
            told = (outcome.fate.value, *words)
            return {"at": at, "n": numbers, "outcome": told, "next": next_try}


def _entry(entry: Entry) -> dict[str, object]:
    asked, sender = entry.parameters, entry.reverse_path.mailbox
    return {
        "version": VERSION,
        "id": entry.id,
        "arrived": entry.arrived,
        "octets": entry.octets,
        "eight_bit": entry.eight_bit,
        "utf8_header": entry.utf8_header,
        "tls_optional": entry.tls_optional,
        "mail": {
            "from": _mailbox(sender) if sender else None,
            "eight_bit": asked.eight_bit,
            "utf8": asked.utf8,
            "returned": asked.returned.value if asked.returned else None,
            "envelope_id": asked.envelope_id,
            "require_tls": asked.require_tls,
        },
        "recipients": [
            {
                "to": _mailbox(recipient.forward_path.mailbox),
                "notify": _notify(recipient.parameters.notify),
                "original": recipient.parameters.original,
            }
            for recipient in entry.recipients
        ],
    }


def _mailbox(mailbox: Mailbox) -> tuple[str, str]:
    return mailbox.local_part, mailbox.domain


def _notify(notify: Iterable[Notify] | None) -> list[str] | None:
    return None if notify is None else sorted(one.value for one in notify)

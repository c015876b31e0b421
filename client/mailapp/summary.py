"""A line of the list: what a header block says, and how it is kept from one session to the next."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, replace

from mailapp import headers, people
from mailapp.value import value

MAX_REFERENCES = 30
MAX_TEXT = 500  # characters of a field in the list
NEW, OLD, READ, ANSWERED = "new", "old", "read", "answered"


@value(frozen=True)
class Summary:
    """Texts are decoded, not yet visible."""

    number: int
    sender: str  # the display name, or the address
    received: str  # `YYYY-MM-DD : HH : MM`, or empty
    subject: str
    address: str = ""  # of the sender, as it stands there
    to: str = ""
    date: str = ""  # ISO 8601 with its zone, or empty
    size: int = 0  # octets as POP3 counts them
    unique_id: str = ""  # empty where the server has no UIDL
    status: str = NEW
    has_attachment: bool = False  # by the header alone: a guess
    message_id: str = ""
    references: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # why the sender may not be who it seems


_KEPT_APART = ("number", "size", "unique_id", "status")


def summarise(number: int, block: bytes | None) -> Summary:
    """Of a header block; None is a message that the server does not show."""
    if block is None:
        return Summary(number, "", "", "(the server does not show this message)")
    found = headers.read_headers(io.BytesIO(block))
    return Summary(
        number,
        people.sender(found)[:MAX_TEXT],
        headers.received(found),
        found.text("subject")[:MAX_TEXT],
        address=people.first_sender(found).address[:MAX_TEXT],
        to=found.text("to")[:MAX_TEXT],
        date=headers.date(found),
        has_attachment=headers.announces_attachment(found),
        message_id=headers.message_id(found),
        references=headers.references(found)[-MAX_REFERENCES:],
        warnings=people.warnings(found),
    )


def to_text(summary: Summary) -> str:
    """For the state: without what belongs to one session."""
    kept = {name: value for name, value in asdict(summary).items() if name not in _KEPT_APART}
    return json.dumps(kept, ensure_ascii=True)


def from_text(text: str) -> Summary | None:
    """None for what cannot be read (any more)."""
    try:
        kept = json.loads(text)
        summary = Summary(number=0, **kept)
        return replace(
            summary, references=tuple(summary.references), warnings=tuple(summary.warnings)
        )
    except (ValueError, TypeError):
        return None

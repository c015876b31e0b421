"""What became of a recipient at the next server, in no protocol's words."""

from __future__ import annotations

from enum import Enum

from mailserver.wire.value import value


class Fate(Enum):
    """How it ended."""

    DELIVERED = "delivered"
    """The next server answers for the message (RFC 5321 4.2.5)."""
    TEMPORARY = "temporary"
    """Worth another try."""
    PERMANENT = "permanent"
    """The same in every try."""


@value(frozen=True, slots=True)
class Outcome:
    """Of one try for one recipient."""

    fate: Fate
    status: str
    """Enhanced status code (RFC 3463): `5.1.1`."""
    text: str
    """The next server's reply with its code, on one line, or what was found here. Printable."""
    said_by: str = ""
    """The host whose reply it is; "" when it was found here."""
    reports: bool = False
    """What the sender wants to hear of it was passed on: the next server tells (RFC 3461 5.2)."""


def failed(fate: Fate, detail: str, text: str) -> Outcome:
    """What was found here. `detail`: the status without its class, such as `4.1`."""
    return Outcome(fate, f"{5 if fate is Fate.PERMANENT else 4}.{detail}", text)

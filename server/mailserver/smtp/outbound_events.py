"""What the client's side of a session tells the one who drives it."""

from __future__ import annotations

from enum import Enum

from mailserver.message.outcome import Outcome
from mailserver.smtp.events import NeedData
from mailserver.wire.value import value


class Step(Enum):
    """What a session waits for; each has a time limit of its own (RFC 5321 4.5.3.2)."""

    GREETING = "the greeting"
    COMMAND = "the answer to a command"
    DATA = "the answer to DATA"
    CONTENT = "room for the content"
    END = "the answer to the message"


@value(frozen=True, slots=True)
class Ready:
    """Go on with `start_tls`, `authenticate`, `transact` or `quit`."""


@value(frozen=True, slots=True)
class BeginTls:
    """The server waits for the handshake. This session is over: a new one begins behind it (RFC
    3207 4.2)."""


@value(frozen=True, slots=True)
class TlsRefused:
    """There is no TLS; the session is as before."""

    text: str


@value(frozen=True, slots=True)
class AuthRefused:
    """The password was not taken, or there is no way to send it; the session is as before."""

    outcome: Outcome


@value(frozen=True, slots=True)
class SendContent:
    """At least one recipient is welcome: `send_content` in pieces, then `end_content`."""


@value(frozen=True, slots=True)
class TransactionEnd:
    """What became of each recipient, in their order."""

    outcomes: tuple[Outcome, ...]


@value(frozen=True, slots=True)
class Closed:
    """Nothing more can be sent on this connection: close it when all is sent."""

    outcome: Outcome | None
    """Why; None after `quit`."""


OutboundEvent = (
    NeedData | Ready | BeginTls | TlsRefused | AuthRefused | SendContent | TransactionEnd | Closed
)

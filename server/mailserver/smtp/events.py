"""What a session tells the one who drives it. Those marked * wait for `session.reply(...)`, those
marked ** also take the answers that they name."""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from mailserver.message.envelope import Envelope, Recipient
from mailserver.wire.address import Mailbox
from mailserver.wire.value import value


class NeedData(Enum):
    """Nothing more to do before octets come in."""

    NEED_DATA = "need data"


NEED_DATA = NeedData.NEED_DATA


@value(frozen=True, slots=True)
class MailFrom:
    """* MAIL: is this sender welcome, is there room? The envelope is the one proposed."""

    envelope: Envelope


@value(frozen=True, slots=True)
class RcptTo:
    """* RCPT: may this recipient have mail?"""

    recipient: Recipient


@value(frozen=True, slots=True)
class MessageStart:
    """* DATA or the first BDAT: prepare to take content. 354 says that it may come, anything else
    that it may not."""

    envelope: Envelope


@value(frozen=True, slots=True)
class MessageData:
    """A piece of the content, CRLF line ends, transparency removed."""

    content: bytes


@value(frozen=True, slots=True)
class MessageEnd:
    """* All content has come and is fit to be stored."""

    envelope: Envelope


@value(frozen=True, slots=True)
class MessageRefused:
    """The content was refused by the session itself, or given up by the client: forget what there
    is of it."""


@value(frozen=True, slots=True)
class Verify:
    """* VRFY: is there such a mailbox?"""

    mailbox: Mailbox


@value(frozen=True, slots=True)
class StartTls:
    """* STARTTLS: 220 is sent, then the connection goes into TLS and this session is over: a new
    one begins (RFC 3207 4.2). Anything else: it goes on in the clear."""


@value(frozen=True, slots=True)
class AuthStart:
    """** AUTH: begin an exchange. `session.challenge(octets)` or `session.authenticated(user)`."""

    mechanism: str
    response: bytes | None = field(repr=False)
    """The initial response, decoded; None when there was none."""


@value(frozen=True, slots=True)
class AuthResponse:
    """** The answer to the challenge, decoded. As AuthStart."""

    response: bytes = field(repr=False)


@value(frozen=True, slots=True)
class SendFirst:
    """So much waits to be sent that it has to go before the next command is read."""


@value(frozen=True, slots=True)
class Disconnect:
    """Send what waits and close."""


Event = (
    NeedData
    | MailFrom
    | RcptTo
    | MessageStart
    | MessageData
    | MessageEnd
    | MessageRefused
    | Verify
    | StartTls
    | AuthStart
    | AuthResponse
    | SendFirst
    | Disconnect
)

"""What a session tells the one who drives it. Those marked * wait for `session.reply(...)`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailserver.message.envelope import Envelope
from mailserver.wire.address import ForwardPath


class NeedData(Enum):
    """Nothing more to do before octets come in."""

    NEED_DATA = "need data"


NEED_DATA = NeedData.NEED_DATA


@dataclass(frozen=True, slots=True)
class MailFrom:
    """* MAIL: is this sender welcome, is there room? The envelope is the one proposed."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class RcptTo:
    """* RCPT: may this recipient have mail?"""

    forward_path: ForwardPath


@dataclass(frozen=True, slots=True)
class MessageStart:
    """* DATA: prepare to take content. 354 says that it may come, anything else that it may not."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class MessageData:
    """A piece of the content, CRLF line ends, transparency removed."""

    content: bytes


@dataclass(frozen=True, slots=True)
class MessageEnd:
    """* All content has come and is fit to be stored."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class MessageRefused:
    """All content has come and was refused by the session itself: forget what there is of it."""


@dataclass(frozen=True, slots=True)
class SendFirst:
    """So much waits to be sent that it has to go before the next command is read."""


@dataclass(frozen=True, slots=True)
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
    | SendFirst
    | Disconnect
)

"""What a session tells the one who drives it. Those marked * wait for an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class NeedData(Enum):
    """Nothing more to do before octets come in."""

    NEED_DATA = "need data"


NEED_DATA = NeedData.NEED_DATA


class Listing(Protocol):
    """A maildrop as it was at login; messages are numbered from 1 (RFC 1939 5)."""

    @property
    def octets(self) -> Sequence[int]:
        """Each message's size as it is sent, line ends CRLF, without added full stops."""

    @property
    def unique_ids(self) -> Sequence[str]:
        """Each message's unique id (RFC 1939 7)."""


@dataclass(frozen=True, slots=True)
class Login:
    """* USER and PASS: `session.logged_in(listing)` or `session.refuse(reply)`."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Retrieve:
    """* RETR or TOP: `session.send_message(content)` any number of times, then
    `session.message_sent()`; or `session.refuse(reply)` before the first octet."""

    number: int
    lines: int | None
    """Lines of the body that are wanted; None: all."""


@dataclass(frozen=True, slots=True)
class Update:
    """* QUIT: carry out these deletions; `session.updated()` or `session.refuse(reply)`."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SendFirst:
    """So much waits to be sent that it has to go before the next command is read."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Send what waits and close."""


Event = NeedData | Login | Retrieve | Update | SendFirst | Disconnect

"""What a session tells the one who drives it. Those marked * wait for an answer."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import field
from enum import Enum
from typing import Protocol

from mailserver.wire.value import value


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


@value(frozen=True, slots=True)
class Login:
    """* USER and PASS: `session.logged_in(listing)` or `session.refuse(reply)`."""

    user: str
    password: str = field(repr=False)


@value(frozen=True, slots=True)
class ApopLogin:
    """* APOP: as Login, if `right` says so of the user's password."""

    user: str
    timestamp: str
    digest: str

    def right(self, password: str) -> bool:
        """RFC 1939 7: the digest is MD5 of the greeting's timestamp and the password."""
        text = f"{self.timestamp}{password}".encode()
        expected = hashlib.md5(text, usedforsecurity=False).hexdigest()
        return hmac.compare_digest(expected, self.digest)


@value(frozen=True, slots=True)
class AuthStart:
    """* AUTH: begin an exchange of this mechanism; `response` is what came with the command.
    As Login, or `session.challenge(octets)` to ask for an AuthResponse."""

    mechanism: str
    response: bytes | None = field(repr=False)


@value(frozen=True, slots=True)
class AuthResponse:
    """* The client's response to the last challenge, answered like AuthStart."""

    response: bytes = field(repr=False)


@value(frozen=True, slots=True)
class StartTls:
    """STLS: send what waits, begin TLS, and go on with a new session that knows nothing of this
    one (RFC 2595 4)."""


@value(frozen=True, slots=True)
class Retrieve:
    """* RETR or TOP: `session.send_message(content)` any number of times, then
    `session.message_sent()`; or `session.refuse(reply)` before the first octet."""

    number: int
    lines: int | None
    """Lines of the body that are wanted; None: all."""


@value(frozen=True, slots=True)
class Update:
    """* QUIT: carry out these deletions; `session.updated(n)` or `session.refuse(reply)`."""

    numbers: tuple[int, ...]


@value(frozen=True, slots=True)
class SendFirst:
    """So much waits to be sent that it has to go before the next command is read."""


@value(frozen=True, slots=True)
class Disconnect:
    """Send what waits and close."""


Event = (
    NeedData
    | Login
    | ApopLogin
    | AuthStart
    | AuthResponse
    | StartTls
    | Retrieve
    | Update
    | SendFirst
    | Disconnect
)
LoginEvent = Login | ApopLogin | AuthStart | AuthResponse

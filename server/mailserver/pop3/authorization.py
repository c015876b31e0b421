"""The AUTHORIZATION state (RFC 1939 4): who is it?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailserver.pop3 import replies
from mailserver.pop3.commands import (
    Apop,
    Auth,
    Authorization,
    Pass,
    Refused,
    Stls,
    User,
    Utf8,
)
from mailserver.pop3.events import ApopLogin, AuthStart, Event, Login, StartTls
from mailserver.pop3.offer import Offer

CLEAR_MECHANISMS = {"PLAIN", "LOGIN"}
"""They send the password itself."""


class Introduction:
    """What the client has said of itself so far. Each command is answered by octets or an event."""

    def __init__(self, offer: Offer) -> None:
        self.utf8 = False
        """UTF8 was given: messages may have UTF-8 in their headers (RFC 6856 2.1)."""
        self._offer = offer
        self._user: str | None = None

    def obey(self, command: Authorization) -> bytes | Event:
        """Raises Refused."""
        return _OBEY[type(command)](self, command)

    def _username(self, command: User) -> bytes:
        if not self._offer.clear_passwords:
            raise Refused(replies.CLEAR_PASSWORD)
        # RFC 1939 13: the same answer for those who have no maildrop here
        self._user = command.name
        return replies.ok("now PASS")

    def _password(self, command: Pass) -> Event:
        user, self._user = self._user, None
        if not self._offer.clear_passwords:
            raise Refused(replies.CLEAR_PASSWORD)
        if user is None:
            raise Refused(replies.USER_FIRST)
        return Login(user, command.password)

    def _apop(self, command: Apop) -> Event:
        if not self._offer.timestamp:
            raise Refused(replies.NO_APOP)
        return ApopLogin(command.name, self._offer.timestamp, command.digest)

    def _auth(self, command: Auth) -> bytes | Event:
        if not command.mechanism:  # in no RFC, but old clients ask so instead of CAPA
            return replies.lines("mechanisms follow", self._offer.mechanisms)
        if command.mechanism in self._offer.mechanisms:
            return AuthStart(command.mechanism, command.response)
        if command.mechanism in CLEAR_MECHANISMS and not self._offer.clear_passwords:
            raise Refused(replies.CLEAR_PASSWORD)
        raise Refused(replies.NO_SUCH_MECHANISM)

    def _stls(self, command: Stls) -> Event:
        if not self._offer.stls:
            raise Refused(replies.NO_STLS)
        return StartTls()

    def _utf8(self, command: Utf8) -> bytes:
        self.utf8 = True
        return replies.ok("UTF-8 it is")


_OBEY: dict[type[Authorization], Callable[[Introduction, Any], bytes | Event]] = {
    User: Introduction._username,
    Pass: Introduction._password,
    Apop: Introduction._apop,
    Auth: Introduction._auth,
    Stls: Introduction._stls,
    Utf8: Introduction._utf8,
}

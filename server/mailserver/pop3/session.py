"""One POP3 session as a value (RFC 1939): octets in, events out, octets to send. No I/O.

    session.receive_data(octets)      what the network brought
    session.next_event()              what to do now; NEED_DATA when it can't go on
    session.data_to_send()            what the network is to take

The maildrop is a `Listing` from the login on: STAT, LIST, UIDL, DELE, RSET and NOOP are answered
from it alone. While an event waits, later commands wait in the buffer (PIPELINING, RFC 2449 6.6).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailserver.pop3 import replies
from mailserver.pop3.commands import (
    LINE_LIMIT,
    Capa,
    Command,
    Dele,
    List,
    Noop,
    Pass,
    Quit,
    Refused,
    Retr,
    Rset,
    Stat,
    Top,
    Uidl,
    User,
    read_command,
)
from mailserver.pop3.events import (
    NEED_DATA,
    Disconnect,
    Event,
    Listing,
    Login,
    Retrieve,
    SendFirst,
    Update,
)
from mailserver.pop3.outgoing import OutgoingMessage
from mailserver.pop3.states import TABLE, State
from mailserver.wire.foreign import TLS_HANDSHAKE
from mailserver.wire.lines import LineBuffer, LineFault

_LINE_REPLY = {LineFault.TOO_LONG: replies.LINE_TOO_LONG, LineFault.BARE_LF: replies.BARE_LF}

OUTPUT_LIMIT = 64 * 1024
"""Octets of replies to pipelined commands that may wait to be sent."""
ERROR_LIMIT = 20
"""Faulty commands in a session before it is closed."""
LOGIN_LIMIT = 3
"""Failed logins in a session before it is closed."""


class Pop3Session:
    """The server's side of one connection."""

    def __init__(self, domain: str) -> None:
        """`domain`: what the server calls itself. The greeting waits to be sent at once."""
        self.state = State.AUTHORIZATION
        self._lines = LineBuffer(LINE_LIMIT)
        self._user: str | None = None
        self._listing: Listing | None = None
        self._deleted: set[int] = set()
        self._waiting: Event | None = None
        self._outgoing: OutgoingMessage | None = None
        self._errors = 0
        self._failed_logins = 0
        self._out = bytearray(replies.ok(f"{domain} POP3 ready"))

    def receive_data(self, data: bytes) -> None:
        """Take octets as the network brought them."""
        if self.state is not State.CLOSED:
            self._lines.feed(data)

    def data_to_send(self) -> bytes:
        """What waits to be sent; it is forgotten here."""
        waiting = bytes(self._out)
        self._out.clear()
        return waiting

    @property
    def sending_message(self) -> bool:
        """The answer to a Retrieve has begun and not ended."""
        return self._outgoing is not None

    def next_event(self) -> Event:
        """What to do now."""
        if self._waiting is not None:
            raise RuntimeError("the last event waits for its answer")
        while self.state is not State.CLOSED:
            if len(self._out) > OUTPUT_LIMIT:
                return SendFirst()
            event = self._next_command()
            if event is NEED_DATA:
                return event
            if event is not None:
                self._waiting = event
                return event
        return Disconnect()

    def close(self, reply: str) -> None:
        """End the session from the server's side, without an UPDATE (RFC 1939 6)."""
        self._out += replies.err(reply)
        self.state = State.CLOSED

    # -- answers to events -----------------------------------------------------------------------

    def logged_in(self, listing: Listing) -> None:
        """The answer to Login: this is the maildrop, it is locked for this session."""
        self._answer(Login)
        self._listing = listing
        self.state = State.TRANSACTION
        self._ok(f"maildrop has {self._count(len(listing.octets), sum(listing.octets))}")

    def send_message(self, content: bytes) -> bool:
        """A part of the answer to Retrieve: content with CRLF line ends. False: that is enough."""
        if self._outgoing is None:
            assert isinstance(self._waiting, Retrieve)
            self._outgoing = OutgoingMessage(self._waiting.lines)
            octets = self._maildrop().octets[self._waiting.number - 1]
            self._ok(f"{octets} octets" if self._waiting.lines is None else "top of message")
        self._out += self._outgoing.encode(content)
        return not self._outgoing.complete

    def message_sent(self) -> None:
        """The end of the answer to Retrieve."""
        self._answer(Retrieve)
        assert self._outgoing is not None
        self._out += self._outgoing.end()
        self._outgoing = None

    def updated(self) -> None:
        """The answer to Update: all deletions are on stable storage."""
        deleted = len(self._deleted)
        self._answer(Update)
        self._ok(f"bye, {deleted} deleted" if deleted else "bye")
        self.state = State.CLOSED

    def refuse(self, reply: str) -> None:
        """The answer to any event: no, and why."""
        refused, self._waiting = self._waiting, None
        self._out += replies.err(reply)
        if isinstance(refused, Update):  # RFC 1939 6: the session ends, nothing was deleted
            self.state = State.CLOSED
        elif reply is replies.BAD_LOGIN:
            self._failed_logins += 1
            if self._failed_logins >= LOGIN_LIMIT:
                self.state = State.CLOSED

    # -- commands --------------------------------------------------------------------------------

    def _next_command(self) -> Event | None:
        if self.state is State.AUTHORIZATION and self._lines.first_octet() == TLS_HANDSHAKE:
            self.close(replies.TLS)
            return None
        line = self._lines.next_line()
        if line is None:
            return NEED_DATA
        if isinstance(line, LineFault):
            return self._fault(_LINE_REPLY[line])
        try:
            command = read_command(line)
        except Refused as refused:
            return self._fault(refused.reply)
        out_of_order = TABLE[type(command)].refused.get(self.state)
        if out_of_order is not None:
            return self._fault(out_of_order)
        try:
            return _OBEY[type(command)](self, command)
        except Refused as refused:
            self._out += replies.err(refused.reply)
            return None

    def _fault(self, reply: str) -> Event | None:
        self._errors += 1
        if reply is replies.HTTP:
            self.close(reply)
            return None
        self._out += replies.err(reply)
        if self._errors >= ERROR_LIMIT:
            self.close(replies.TOO_MANY_ERRORS)
        return None

    def _username(self, command: User) -> None:
        # RFC 1939 13: the same answer for those who have no maildrop here
        self._user = command.name
        self._ok("now PASS")

    def _password(self, command: Pass) -> Event:
        user, self._user = self._user, None
        if user is None:
            raise Refused(replies.USER_FIRST)
        return Login(user, command.password)

    def _capabilities(self, command: Capa) -> None:
        """RFC 2449 5 and 6: all that is true in this state."""
        self._ok("capabilities follow")
        self._send_lines(
            [
                "USER",
                "TOP",
                "UIDL",
                "RESP-CODES",
                "AUTH-RESP-CODE",
                "PIPELINING",
                "EXPIRE NEVER",
                "IMPLEMENTATION mailserver",
            ]
        )

    def _quit(self, command: Quit) -> Event | None:
        if self.state is State.TRANSACTION:
            self.state = State.UPDATE
            return Update(tuple(sorted(self._deleted)))
        self._ok("bye")
        self.state = State.CLOSED
        return None

    def _stat(self, command: Stat) -> None:
        octets = self._maildrop().octets
        gone = sum(octets[number - 1] for number in self._deleted)
        self._ok(f"{len(octets) - len(self._deleted)} {sum(octets) - gone}")

    def _list(self, command: List) -> None:
        self._scan(command.number, self._maildrop().octets, "scan listing follows")

    def _uidl(self, command: Uidl) -> None:
        self._scan(command.number, self._maildrop().unique_ids, "unique-id listing follows")

    def _scan(self, number: int | None, column: Any, headline: str) -> None:
        if number is not None:
            self._ok(f"{self._existing(number)} {column[number - 1]}")
            return
        self._ok(headline)
        self._send_lines(
            [f"{n} {value}" for n, value in enumerate(column, 1) if n not in self._deleted]
        )

    def _retr(self, command: Retr) -> Event:
        return Retrieve(self._existing(command.number), None)

    def _top(self, command: Top) -> Event:
        return Retrieve(self._existing(command.number), command.lines)

    def _dele(self, command: Dele) -> None:
        self._deleted.add(self._existing(command.number))
        self._ok(f"message {command.number} deleted")

    def _noop(self, command: Noop) -> None:
        self._ok()

    def _rset(self, command: Rset) -> None:
        self._deleted.clear()
        octets = self._maildrop().octets
        self._ok(f"maildrop has {self._count(len(octets), sum(octets))}")

    # -- helpers ---------------------------------------------------------------------------------

    def _maildrop(self) -> Listing:
        assert self._listing is not None, "states.TABLE lets no such command through"
        return self._listing

    def _existing(self, number: int) -> int:
        if not 1 <= number <= len(self._maildrop().octets):
            raise Refused(replies.NO_SUCH_MESSAGE)
        if number in self._deleted:
            raise Refused(replies.DELETED)
        return number

    def _answer(self, expected: type[Login] | type[Retrieve] | type[Update]) -> None:
        if not isinstance(self._waiting, expected):
            raise RuntimeError(f"no {expected.__name__} waits for an answer")
        self._waiting = None

    def _ok(self, text: str = "") -> None:
        self._out += replies.ok(text)

    def _send_lines(self, lines: list[str]) -> None:
        """A multi-line response (RFC 1939 3); none of these lines begins with a full stop."""
        self._out += "".join(f"{line}\r\n" for line in (*lines, ".")).encode()

    @staticmethod
    def _count(messages: int, octets: int) -> str:
        return f"{messages} message{'s' * (messages != 1)} ({octets} octets)"


_OBEY: dict[type[Command], Callable[[Pop3Session, Any], Event | None]] = {
    User: Pop3Session._username,
    Pass: Pop3Session._password,
    Capa: Pop3Session._capabilities,
    Quit: Pop3Session._quit,
    Stat: Pop3Session._stat,
    List: Pop3Session._list,
    Uidl: Pop3Session._uidl,
    Retr: Pop3Session._retr,
    Top: Pop3Session._top,
    Dele: Pop3Session._dele,
    Noop: Pop3Session._noop,
    Rset: Pop3Session._rset,
}
"""What each command does; `states.TABLE` has already said that it may come now."""
assert _OBEY.keys() == TABLE.keys()

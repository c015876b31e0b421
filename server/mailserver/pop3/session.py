"""One POP3 session as a value (RFC 1939): octets in, events out, octets to send. No I/O.

    session.receive_data(octets)      what the network brought
    session.next_event()              what to do now; NEED_DATA when it can't go on
    session.data_to_send()            what the network is to take

`authorization` and `transaction` know the commands of their states, `offer` what this connection
may use. While an event waits, later commands wait in the buffer (PIPELINING, RFC 2449 6.6).
"""

from __future__ import annotations

from types import UnionType

from mailserver.pop3 import replies
from mailserver.pop3.authorization import Introduction
from mailserver.pop3.commands import (
    LINE_LIMIT,
    Authorization,
    Capa,
    Command,
    Lang,
    Quit,
    Refused,
    read_base64,
    read_command,
)
from mailserver.pop3.events import (
    NEED_DATA,
    AuthResponse,
    AuthStart,
    Disconnect,
    Event,
    Listing,
    LoginEvent,
    Retrieve,
    SendFirst,
    StartTls,
    Update,
)
from mailserver.pop3.offer import COMMANDS_A_MESSAGE, LANGUAGES, Offer, capabilities, languages
from mailserver.pop3.outgoing import OutgoingMessage
from mailserver.pop3.states import TABLE, State
from mailserver.pop3.transaction import OpenMaildrop
from mailserver.wire.foreign import TLS_HANDSHAKE
from mailserver.wire.lines import LineBuffer, LineFault

_LINE_REPLY = {
    LineFault.TOO_LONG: replies.LINE_TOO_LONG,
    LineFault.BARE_LF: replies.BARE_LF,
    LineFault.ENDLESS: replies.ENDLESS_LINE,
}

OUTPUT_LIMIT = 64 * 1024
"""Octets of replies to pipelined commands that may wait to be sent."""
STRANGERS_OUTPUT_LIMIT = 4 * 1024
"""Likewise, before the login: then it is another connection's turn."""
LOGIN_LIMIT = 3
"""Failed logins in a session before it is closed."""
RESPONSE_LIMIT = 12_288
"""Octets of a client's response to a challenge of AUTH, with CRLF; RFC 5034 4 wants room for the
longest of any mechanism, and RFC 4954 4 counts so many for it."""


class Pop3Session:
    """The server's side of one connection."""

    def __init__(self, domain: str, offer: Offer, *, greeting: bool = True) -> None:
        """`domain`: what the server calls itself. The greeting waits to be sent at once, unless
        this is the second session of a connection, behind STLS."""
        self.state = State.AUTHORIZATION
        self._offer = offer
        self._lines = LineBuffer(LINE_LIMIT)
        self._client = Introduction(offer)
        self._maildrop: OpenMaildrop | None = None  # from the login on
        self._waiting: Event | None = None
        self._outgoing: OutgoingMessage | None = None
        self._commands_left = offer.commands
        self._errors = 0
        self._failed_logins = 0
        self._out = bytearray()
        if greeting:
            self._out += replies.ok(f"{domain} POP3 ready {offer.timestamp}".rstrip(" "))

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
    def in_line(self) -> bool:
        """A line has begun and its end has not come."""
        return self._lines.in_line

    @property
    def sending_message(self) -> bool:
        """The answer to a Retrieve has begun and not ended."""
        return self._outgoing is not None and self._outgoing.begun

    def next_event(self) -> Event:
        """What to do now."""
        if self._waiting is not None:
            raise RuntimeError("the last event waits for its answer")
        limit = OUTPUT_LIMIT if self._maildrop is not None else STRANGERS_OUTPUT_LIMIT
        while self.state is not State.CLOSED:
            if len(self._out) > limit:
                return SendFirst()
            answer = self._next_line()
            if isinstance(answer, bytes):
                self._out += answer
            elif answer is NEED_DATA or isinstance(answer, StartTls):
                return answer
            else:
                self._waiting = answer
                return answer
        return Disconnect()

    def close(self, reply: str) -> None:
        """End the session from the server's side, without an UPDATE (RFC 1939 6)."""
        self._out += replies.err(reply)
        self.state = State.CLOSED

    # -- answers to events -----------------------------------------------------------------------

    def challenge(self, octets: bytes) -> None:
        """An answer to AuthStart or AuthResponse: the client is to respond to this."""
        self._answer(AuthStart | AuthResponse)
        self._out += replies.challenge(octets)
        self.state = State.AUTHENTICATING
        self._lines.limit = RESPONSE_LIMIT

    def logged_in(self, listing: Listing) -> None:
        """The answer to a login: this is the maildrop, it is locked for this session."""
        self._answer(LoginEvent)
        self._leave_auth(State.TRANSACTION)
        self._maildrop = OpenMaildrop(listing)
        self._allow_commands()
        self._out += self._maildrop.summary

    def send_message(self, content: bytes) -> bool:
        """A part of the answer to Retrieve: content with CRLF line ends. False: that is enough."""
        if self._outgoing is None:
            assert isinstance(self._waiting, Retrieve)
            assert self._maildrop is not None
            self._outgoing = OutgoingMessage(self._waiting.lines, utf8=self._client.utf8)
        self._send_content(self._outgoing, self._outgoing.encode(content))
        return not self._outgoing.complete

    def message_sent(self) -> None:
        """The end of the answer to Retrieve."""
        assert self._outgoing is not None
        self._send_content(self._outgoing, self._outgoing.end())
        self._answer(Retrieve)
        self._outgoing = None
        self._allow_commands()

    def _send_content(self, outgoing: OutgoingMessage, octets: bytes) -> None:
        """Behind the headline, which waits for them: then it is known how long the header is."""
        if octets and not outgoing.begun:
            assert isinstance(self._waiting, Retrieve)
            assert self._maildrop is not None
            size = self._maildrop.size(self._waiting.number) + outgoing.growth
            whole = self._waiting.lines is None
            self._out += replies.ok(f"{size} octets" if whole else "top of message")
            outgoing.begun = True
        self._out += octets

    def updated(self, deleted: int) -> None:
        """The answer to Update: all deletions are on stable storage, so many. What another program
        has changed is another message, and stays (RFC 1939 7)."""
        self._answer(Update)
        assert self._maildrop is not None
        marked = len(self._maildrop.deleted)
        farewell = f"bye, {deleted} deleted" if marked else "bye"
        if deleted < marked:
            farewell += f"; another program has changed or removed {marked - deleted} meanwhile"
        self._out += replies.ok(farewell)
        self.state = State.CLOSED

    def refuse(self, reply: str) -> None:
        """The answer to any event: no, and why."""
        refused, self._waiting = self._waiting, None
        self._outgoing = None
        self._out += replies.err(reply)
        if isinstance(refused, Update):  # RFC 1939 6: the session ends, nothing was deleted
            self.state = State.CLOSED
            return
        if isinstance(refused, LoginEvent):
            self._leave_auth(State.AUTHORIZATION)
        if reply is replies.BAD_LOGIN:
            self._failed_logins += 1
            if self._failed_logins >= LOGIN_LIMIT:
                self.state = State.CLOSED

    # -- lines -----------------------------------------------------------------------------------

    def _next_line(self) -> bytes | Event:
        if self.state is State.AUTHORIZATION and self._lines.first_octet() == TLS_HANDSHAKE:
            self.close(replies.TLS)
            return b""
        line = self._lines.next_line()
        if line is None:
            return NEED_DATA
        if not self._commands_left:
            self.close(replies.TOO_MANY_COMMANDS)
            return b""
        self._commands_left -= 1
        try:
            if isinstance(line, LineFault):
                raise Refused(_LINE_REPLY[line])
            if self.state is State.AUTHENTICATING:
                return self._response(line)
            command = read_command(line)
            out_of_order = TABLE[type(command)].refused.get(self.state)
            if out_of_order is not None:
                raise Refused(out_of_order)
        except Refused as refused:
            return self._fault(refused.reply)
        try:
            return self._obey(command)
        except Refused as refused:
            return replies.err(refused.reply)

    def _fault(self, reply: str) -> bytes:
        """A line that makes no sense here; it ends an exchange of AUTH (RFC 5034 4)."""
        if self.state is State.AUTHENTICATING:
            self._leave_auth(State.AUTHORIZATION)
        self._errors += 1
        if reply in (replies.HTTP, replies.ENDLESS_LINE):
            self.close(reply)
            return b""
        self._out += replies.err(reply)
        if self._errors >= self._offer.errors:
            self.close(replies.TOO_MANY_ERRORS)
        return b""

    def _response(self, line: bytes) -> Event:
        if line == b"*":
            raise Refused(replies.CANCELLED)
        return AuthResponse(read_base64(line))

    def _obey(self, command: Command) -> bytes | Event:
        match command:
            case Capa():
                logged_in = self.state is State.TRANSACTION
                headline = "capabilities follow"
                return replies.lines(headline, capabilities(self._offer, logged_in=logged_in))
            case Lang(language):
                return self._language(language)
            case Quit():
                return self._quit()
        if isinstance(command, Authorization):
            answer = self._client.obey(command)
            if isinstance(answer, StartTls):
                return self._start_tls(answer)
            return answer
        assert self._maildrop is not None, "states.TABLE lets no such command through"
        return self._maildrop.obey(command)

    def _language(self, wanted: str) -> bytes:
        """RFC 6856 3.2: list, or choose; each reply stays in the one language there is."""
        if not wanted:
            listing = (f"{tag} {name}" for tag, name in LANGUAGES.items())
            return replies.lines("language listing follows", listing)
        found = languages(wanted)
        if not found:
            raise Refused(replies.NO_SUCH_LANGUAGE)
        return replies.ok(f"{found[0]} {LANGUAGES[found[0]]} it is")

    def _quit(self) -> bytes | Event:
        if self._maildrop is not None:
            self.state = State.UPDATE
            return Update(self._maildrop.deleted)
        self.state = State.CLOSED
        return replies.ok("bye")

    def _start_tls(self, event: StartTls) -> bytes | Event:
        """What was sent ahead in the clear may come from anybody: it is never looked at."""
        if len(self._lines):
            self.close(replies.BEHIND_STLS)
            return b""
        self._out += replies.ok("begin TLS now")
        self.state = State.CLOSED
        return event

    def _allow_commands(self) -> None:
        assert self._maildrop is not None
        self._commands_left = self._offer.commands + COMMANDS_A_MESSAGE * self._maildrop.count

    def _leave_auth(self, state: State) -> None:
        self.state = state
        self._lines.limit = LINE_LIMIT

    def _answer(self, expected: type[Event] | UnionType) -> None:
        if not isinstance(self._waiting, expected):
            raise RuntimeError(f"no {expected} waits for an answer")
        self._waiting = None

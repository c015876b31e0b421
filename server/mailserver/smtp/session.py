"""One SMTP session as a value (RFC 5321): octets in, events out, octets to send. No I/O.

    session.receive_data(octets)      what the network brought
    session.next_event()              what to do now; NEED_DATA when it can't go on
    session.reply(reply)              the answer to an event that asks for one
    session.data_to_send()            what the network is to take

While an event waits for its answer, later commands wait in the buffer: pipelining (RFC 2920) costs
nothing. `states.TABLE` has the order of commands, `commands` their grammar, `obey` what each does,
`replies` the answers, `service` what is offered.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from mailserver.message.envelope import Client, Envelope
from mailserver.smtp import obey, replies
from mailserver.smtp.commands import (
    AUTH_LINE_LIMIT,
    Bdat,
    Command,
    read_command,
    read_response,
)
from mailserver.smtp.events import (
    NEED_DATA,
    AuthResponse,
    AuthStart,
    Disconnect,
    Event,
    MessageData,
    MessageEnd,
    MessageRefused,
    SendFirst,
)
from mailserver.smtp.replies import Refused, Reply
from mailserver.smtp.service import DEFAULT, Service
from mailserver.smtp.states import TABLE, State
from mailserver.wire.chunks import ChunkDecoder
from mailserver.wire.dots import ContentFault, DotDecoder
from mailserver.wire.foreign import TLS_HANDSHAKE
from mailserver.wire.lines import LineBuffer, LineFault

OUTPUT_LIMIT = 4 * 1024
"""Octets of replies to pipelined commands that may wait to be sent; then it is another connection's
turn. A flood on each of fifty costs a newcomer fifty turns for each step of its own."""


_LINE_REPLY = {
    LineFault.TOO_LONG: replies.LINE_TOO_LONG,
    LineFault.BARE_LF: replies.BARE_LF,
    LineFault.ENDLESS: replies.ENDLESS_LINE,
}
_CONTENT_REPLY = {
    ContentFault.BARE_LINE_END: replies.BARE_LINE_END,
    ContentFault.NUL: replies.NUL_OCTET,
    ContentFault.TOO_BIG: replies.TOO_BIG,
}


Reader = Callable[["SmtpSession"], Event | None]
"""Takes what comes in now: commands, content, or the answer to a challenge."""


class SmtpSession:
    """The server's side of one connection."""

    def __init__(
        self,
        domain: str,
        client_address: str,
        service: Service | None = None,
        *,
        greeting: bool = True,
    ) -> None:
        """`domain`: what the server calls itself. The greeting waits to be sent at once; behind
        STARTTLS there is none (RFC 3207 4.2)."""
        self.domain = domain
        self.service = service or DEFAULT
        self.client = Client(client_address, tls=self.service.tls)
        self.state = State.CONNECTED
        self.envelope: Envelope | None = None
        self.decoder: DotDecoder | ChunkDecoder | None = None  # set while content comes in
        self.messages = 0  # transactions that were begun
        self._lines = LineBuffer(AUTH_LINE_LIMIT)
        self._read: Reader = SmtpSession._next_command
        self._answered: Callable[[Reply], None] | None = None  # set while an event waits
        self._commands = 0  # since the last message was stored
        self._errors = 0  # likewise
        self._failed_logins = 0
        self._out = bytearray()
        if greeting:
            self.say(replies.greeting(domain))

    # -- for the driver --------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Take octets as the network brought them."""
        if self.state is not State.CLOSED:
            self._lines.feed(data)

    def data_to_send(self) -> bytes:
        """What waits to be sent; it is forgotten here."""
        waiting = bytes(self._out)
        self._out.clear()
        return waiting

    def next_event(self) -> Event:
        """What to do now."""
        if self._answered is not None:
            raise RuntimeError("the last event waits for its reply")
        while True:
            if self.state is State.CLOSED:
                return Disconnect()
            if len(self._out) > OUTPUT_LIMIT:
                return SendFirst()
            event = self._read(self)
            if event is not None:
                return event

    def reply(self, reply: Reply) -> None:
        """Answer the event that waits."""
        answered, self._answered = self._answered, None
        if answered is None:
            raise RuntimeError("no event waits for a reply")
        answered(reply)

    def challenge(self, octets: bytes) -> None:
        """Answer AuthStart or AuthResponse: the client is to answer this."""
        self._answered = None
        self.say(replies.challenge(base64.b64encode(octets).decode()))
        self._read = SmtpSession._next_response

    def authenticated(self, user: str) -> None:
        """Answer AuthStart or AuthResponse: the client is this user."""
        self._answered = None
        self.client = replace(self.client, user=user)
        self.say(replies.AUTHENTICATED)

    def close(self, reply: Reply) -> None:
        """End the session from the server's side, with a 421 (RFC 5321 3.8)."""
        self.say(reply)
        self.end_transaction()
        self.state = State.CLOSED

    # -- for `obey` --------------------------------------------------------------------------------

    def say(self, reply: Reply) -> None:
        """Send this when the time has come."""
        self._out += reply.encode(self.client.extended)

    def fault(self, reply: Reply) -> Event | None:
        """Refuse a faulty command; too many of them end the session."""
        self.say(reply)
        self._errors += 1
        if reply.code == 421:
            self.end_transaction()
            self.state = State.CLOSED
        elif self._errors >= self.service.limits.errors:
            self.close(replies.TOO_MANY_ERRORS)
        return None

    def ask(self, event: Event, answered: Callable[[Reply], None]) -> Event:
        """Hand out an event and wait for its answer."""
        self._answered = answered
        return event

    def transaction(self) -> Envelope:
        """The envelope, where there must be one."""
        assert self.envelope is not None, "states.TABLE lets no such command through"
        return self.envelope

    def advance(self, command: type[Command]) -> None:
        """Go where the command leads."""
        self.state = TABLE[command].then or self.state

    def end_transaction(self) -> MessageRefused | None:
        """Forget sender, recipients and content; the driver has to, if some content came."""
        abandoned = MessageRefused() if self.state is State.CHUNKS else None
        self.envelope = None
        self.decoder = None
        self._read = SmtpSession._next_command
        if self.state is not State.CONNECTED:
            self.state = State.READY
        return abandoned

    def read_content(self, decoder: DotDecoder | ChunkDecoder) -> None:
        """What comes now is content."""
        self.decoder = decoder
        self._read = SmtpSession._next_content

    def drain(self, octets: int, answer: Callable[[], Event | None]) -> None:
        """A chunk that nobody wants: its octets are thrown away before the answer is given (RFC
        3030 2)."""
        left = octets

        def read(session: SmtpSession) -> Event | None:
            nonlocal left
            came = session._lines.take_all()
            left -= len(came)
            if left > 0:
                return None if came else NEED_DATA
            session._lines.feed(came[len(came) + left :])
            session._read = SmtpSession._next_command
            return answer()

        self._read = read

    @property
    def input_waits(self) -> bool:
        """There are octets that nobody has looked at."""
        return len(self._lines) > 0

    @property
    def in_line(self) -> bool:
        """A command, or an answer to a challenge, has begun and its end has not come."""
        return self._lines.in_line

    @property
    def in_content(self) -> bool:
        """What comes now is content, wanted or not."""
        return self._read not in (SmtpSession._next_command, SmtpSession._next_response)

    # -- commands ------------------------------------------------------------------------------

    def _next_command(self) -> Event | None:
        if self.state is State.CONNECTED and self._lines.first_octet() == TLS_HANDSHAKE:
            self.close(replies.TLS)
            return None
        line = self._lines.next_line()
        if line is None:
            return NEED_DATA
        if isinstance(line, LineFault):
            return self.fault(_LINE_REPLY[line])
        self._commands += 1
        if self._commands > self.service.limits.commands:
            self.close(replies.TOO_MANY_COMMANDS)
            return None
        try:
            command = read_command(line)
        except Refused as refused:
            return self.fault(refused.reply)
        row = TABLE[type(command)]
        refusal = row.refused.get(self.state)
        if refusal is None and row.needs_user and self.service.submission and not self.client.user:
            refusal = replies.AUTH_REQUIRED
        if refusal is None:
            return obey.OBEY[type(command)](self, command)
        if isinstance(command, Bdat):
            self.drain(command.octets, partial(self.fault, refusal))
            return None
        return self.fault(refusal)

    # -- AUTH ------------------------------------------------------------------------------------

    def ask_mechanism(self, event: AuthStart | AuthResponse) -> Event:
        """Hand out a step of an exchange."""
        return self.ask(event, self._not_authenticated)

    def _not_authenticated(self, reply: Reply) -> None:
        self.say(reply)
        self._failed_logins += 1
        if self._failed_logins >= self.service.limits.failed_logins:
            self.close(replies.TOO_MANY_ERRORS)

    def _next_response(self) -> Event | None:
        line = self._lines.next_line()
        if line is None:
            return NEED_DATA
        self._read = SmtpSession._next_command
        if line is LineFault.TOO_LONG:
            return self.fault(replies.AUTH_LINE_TOO_LONG)
        if isinstance(line, LineFault):
            return self.fault(_LINE_REPLY[line])
        if line == b"*":
            return self.fault(replies.AUTH_CANCELLED)
        try:
            return self.ask_mechanism(AuthResponse(read_response(line)))
        except Refused as refused:
            return self.fault(refused.reply)

    # -- content -------------------------------------------------------------------------------

    def _next_content(self) -> Event | None:
        decoder = self.decoder
        assert decoder is not None, "set together with this reader"
        if decoder.ended:
            return self._end_content(decoder)
        octets = self._lines.take_all()
        if not octets:
            return NEED_DATA
        content = decoder.decode(octets)
        if decoder.rest is not None:
            self._lines.feed(decoder.rest)  # behind the end it is commands again
        return MessageData(content) if content else None

    def _end_content(self, decoder: DotDecoder | ChunkDecoder) -> Event | None:
        if decoder.fault is not None:
            self.end_transaction()
            self.say(_CONTENT_REPLY[decoder.fault])
            return MessageRefused()
        if not decoder.complete:
            self._read = SmtpSession._next_command
            self.say(replies.CHUNK_OK)
            return None
        envelope = self.transaction()
        self.end_transaction()

        def answered(reply: Reply) -> None:
            self.say(reply)
            if reply.code == 250:
                self._commands = self._errors = 0

        return self.ask(MessageEnd(envelope), answered)

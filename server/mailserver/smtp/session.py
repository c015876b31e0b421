"""One SMTP session as a value (RFC 5321): octets in, events out, octets to send. No I/O.

    session.receive_data(octets)      what the network brought
    session.next_event()              what to do now; NEED_DATA when it can't go on
    session.reply(reply)              the answer to an event that asks for one
    session.data_to_send()            what the network is to take

While an event waits for its answer, later commands wait in the buffer: pipelining (RFC 2920) costs
nothing. `states.TABLE` has the order of commands, `commands` their grammar, `replies` the answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mailserver.message.envelope import Client, Envelope
from mailserver.smtp import replies
from mailserver.smtp.commands import (
    LINE_LIMIT,
    Command,
    Data,
    Ehlo,
    Helo,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Refused,
    Rset,
    Vrfy,
    read_command,
)
from mailserver.smtp.events import (
    NEED_DATA,
    Disconnect,
    Event,
    MailFrom,
    MessageData,
    MessageEnd,
    MessageRefused,
    MessageStart,
    RcptTo,
    SendFirst,
)
from mailserver.smtp.replies import Reply
from mailserver.smtp.states import TABLE, State
from mailserver.wire.dots import ContentFault, DotDecoder
from mailserver.wire.foreign import TLS_HANDSHAKE
from mailserver.wire.lines import LineBuffer, LineFault

OUTPUT_LIMIT = 64 * 1024
"""Octets of replies to pipelined commands that may wait to be sent."""


_LINE_REPLY = {LineFault.TOO_LONG: replies.LINE_TOO_LONG, LineFault.BARE_LF: replies.BARE_LF}
_CONTENT_REPLY = {
    ContentFault.BARE_LINE_END: replies.BARE_LINE_END,
    ContentFault.NUL: replies.NUL_OCTET,
    ContentFault.TOO_BIG: replies.TOO_BIG,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one session may ask for."""

    message_octets: int = 50_000_000
    recipients: int = 1000
    """A message; RFC 5321 4.5.3.1.8 wants at least 100."""
    errors: int = 20
    """Faulty commands without a message stored between them."""


class SmtpSession:
    """The server's side of one connection."""

    def __init__(self, domain: str, client_address: str, limits: Limits | None = None) -> None:
        """`domain`: what the server calls itself. The greeting waits to be sent at once."""
        self.state = State.CONNECTED
        self.envelope: Envelope | None = None
        self._domain = domain
        self._client = Client(client_address)
        self._limits = limits or Limits()
        self._lines = LineBuffer(LINE_LIMIT)
        self._decoder: DotDecoder | None = None  # set while content comes in
        self._answered: Callable[[Reply], None] | None = None  # set while an event waits
        self._errors = 0
        self._out = bytearray()
        self._say(replies.greeting(domain))

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
            decoder = self._decoder
            event = self._next_content(decoder) if decoder else self._next_command()
            if event is not None:
                return event

    def reply(self, reply: Reply) -> None:
        """Answer the event that waits."""
        answered, self._answered = self._answered, None
        if answered is None:
            raise RuntimeError("no event waits for a reply")
        self._say(reply)
        answered(reply)

    def close(self, reply: Reply) -> None:
        """End the session from the server's side, with a 421 (RFC 5321 3.8)."""
        self._say(reply)
        self._close()

    # -- commands ------------------------------------------------------------------------------

    def _next_command(self) -> Event | None:
        if self.state is State.CONNECTED and self._lines.first_octet() == TLS_HANDSHAKE:
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
        return self._obey(command)

    def _fault(self, reply: Reply) -> Event | None:
        self._say(reply)
        self._errors += 1
        if reply.code == 421:
            self._close()
        elif self._errors >= self._limits.errors:
            self.close(replies.TOO_MANY_ERRORS)
        return None

    def _obey(self, command: Command) -> Event | None:
        return _OBEY[type(command)](self, command)

    def _hello(self, command: Ehlo | Helo) -> None:
        # RFC 5321 4.1.4: a second EHLO does what RSET does.
        self._end_transaction()
        extended = isinstance(command, Ehlo)
        self._client = replace(self._client, name=command.name, extended=extended)
        self._advance(type(command))
        if extended:
            self._say(replies.ehlo_ok(self._domain, command.name, self._extensions()))
        else:
            self._say(replies.helo_ok(self._domain, command.name))

    def _extensions(self) -> tuple[str, ...]:
        size = f"SIZE {self._limits.message_octets}"
        return ("PIPELINING", size, "8BITMIME", "ENHANCEDSTATUSCODES", "HELP")

    def _mail(self, command: Mail) -> Event | None:
        # RFC 1870 6.1: a declared size over the limit is refused before the content is sent.
        if command.octets is not None and command.octets > self._limits.message_octets:
            self._say(replies.TOO_BIG)
            return None
        proposed = Envelope(
            self._client,
            command.reverse_path,
            declared_octets=command.octets,
            eight_bit=command.eight_bit,
        )

        def answered(reply: Reply) -> None:
            if reply.code == 250:
                self.envelope = proposed
                self._advance(Mail)

        self._answered = answered
        return MailFrom(proposed)

    def _rcpt(self, command: Rcpt) -> Event | None:
        envelope = self._transaction()
        # RFC 5321 4.5.3.1.10: those over the limit get 452, the others stay.
        if len(envelope.forward_paths) >= self._limits.recipients:
            self._say(replies.TOO_MANY_RECIPIENTS)
            return None

        def answered(reply: Reply) -> None:
            if reply.code == 250:
                self.envelope = envelope.with_recipient(command.forward_path)
                self._advance(Rcpt)

        self._answered = answered
        return RcptTo(command.forward_path)

    def _data(self, command: Data) -> Event:
        def answered(reply: Reply) -> None:
            if reply.code == 354:
                self._advance(Data)
                self._decoder = DotDecoder(self._limits.message_octets)
            else:
                self._end_transaction()

        self._answered = answered
        return MessageStart(self._transaction())

    def _rset(self, command: Rset) -> None:
        self._end_transaction()
        self._say(replies.RESET_OK)

    def _noop(self, command: Noop) -> None:
        self._say(replies.NOOP_OK)

    def _vrfy(self, command: Vrfy) -> None:
        # RFC 5321 3.5.3 and 7.3: 252 tells nobody who has an account here.
        self._say(replies.CANNOT_VERIFY)

    def _help(self, command: Help) -> None:
        self._say(replies.HELP)

    def _quit(self, command: Quit) -> None:
        self.close(replies.closing(self._domain))

    # -- content -------------------------------------------------------------------------------

    def _next_content(self, decoder: DotDecoder) -> Event | None:
        if decoder.ended:
            return self._end_content(decoder)
        octets = self._lines.take_all()
        if not octets:
            return NEED_DATA
        content = decoder.decode(octets)
        if decoder.rest is not None:
            self._lines.feed(decoder.rest)  # behind the end it is commands again
        return MessageData(content) if content else None

    def _end_content(self, decoder: DotDecoder) -> Event:
        envelope = self._transaction()
        self._end_transaction()
        if decoder.fault is not None:
            self._say(_CONTENT_REPLY[decoder.fault])
            return MessageRefused()

        def answered(reply: Reply) -> None:
            if reply.code == 250:
                self._errors = 0

        self._answered = answered
        return MessageEnd(envelope)

    # -- the transaction -------------------------------------------------------------------------

    def _transaction(self) -> Envelope:
        assert self.envelope is not None, "states.TABLE lets no such command through"
        return self.envelope

    def _advance(self, command: type[Command]) -> None:
        self.state = TABLE[command].then or self.state

    def _end_transaction(self) -> None:
        self.envelope = None
        self._decoder = None
        if self.state is not State.CONNECTED:
            self.state = State.READY

    def _close(self) -> None:
        self._end_transaction()
        self.state = State.CLOSED

    def _say(self, reply: Reply) -> None:
        self._out += reply.encode(self._client.extended)


_OBEY: dict[type[Command], Callable[[SmtpSession, Any], Event | None]] = {
    Ehlo: SmtpSession._hello,
    Helo: SmtpSession._hello,
    Mail: SmtpSession._mail,
    Rcpt: SmtpSession._rcpt,
    Data: SmtpSession._data,
    Rset: SmtpSession._rset,
    Noop: SmtpSession._noop,
    Vrfy: SmtpSession._vrfy,
    Help: SmtpSession._help,
    Quit: SmtpSession._quit,
}
"""What each command does; `states.TABLE` has already said that it may come now."""
assert _OBEY.keys() == TABLE.keys()

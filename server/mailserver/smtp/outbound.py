"""The client's side of SMTP as a value (RFC 5321 3, 4.3.2): octets in, events out. No I/O.

    session.receive_data(octets)      what the network brought
    session.next_event()              what to do now; NEED_DATA when a reply has to come first
    session.transact(transaction)     after Ready or TransactionEnd: the next message
    session.data_to_send()            what the network is to take
    session.connection_lost()         the network brings nothing more

What a server has to have for a message and does not (RFC 1870, 6152, 6531, 8689) is known before
anything is sent; those recipients' outcome is found here.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from mailserver.message.outcome import Fate, Outcome, failed
from mailserver.message.transaction import Transaction
from mailserver.smtp import offers
from mailserver.smtp.events import NEED_DATA
from mailserver.smtp.offers import Offers
from mailserver.smtp.outbound_events import (
    AuthRefused,
    BeginTls,
    Closed,
    OutboundEvent,
    Ready,
    SendContent,
    Step,
    TlsRefused,
    TransactionEnd,
)
from mailserver.smtp.received import NoReply, ReceivedReply, ReplyReader, of_recipient
from mailserver.wire.dots import DotEncoder
from mailserver.wire.value import value

Answered = Callable[[ReceivedReply], None]


@value(frozen=True, slots=True)
class _Command:
    step: Step
    line: str
    answered: Answered


class OutboundSession:
    """One connection to a server."""

    def __init__(
        self,
        own_name: str,
        peer: str,
        *,
        tls: bool = False,
        verified: bool = False,
        greeting: bool = True,
    ) -> None:
        """`own_name`: what to say in EHLO. `peer`: the server's name, for outcomes. `verified`: TLS
        has shown that it is who it should be. Behind STARTTLS there is no greeting."""
        self.offers = Offers()
        self.tls = tls
        self.closed = False  # nothing more can be sent
        self._own_name = own_name
        self._peer = peer
        self.verified = verified
        self._replies = ReplyReader()
        self._out = bytearray()
        self._waiting = deque[_Command]()  # not sent yet
        self._expected = deque[_Command]()  # sent, not answered yet
        self._events = deque[OutboundEvent]()
        self._transaction: Transaction | None = None
        self._outcomes: list[Outcome | None] = []  # of its recipients; None: still open
        self._encoder: DotEncoder | None = None  # set while content may be sent
        if greeting:
            self._expected.append(_Command(Step.GREETING, "", self._greeted))
        else:
            self._hello("EHLO", self._ehlo_answered)

    # -- for the driver --------------------------------------------------------------------------

    def receive_data(self, octets: bytes) -> None:
        """Take octets as the network brought them."""
        if self.closed:
            return
        self._replies.feed(octets)
        try:
            while (reply := self._replies.next_reply()) is not None and self._take(reply):
                pass
        except NoReply as problem:
            self._close(failed(Fate.TEMPORARY, "5.0", str(problem)))

    def next_event(self) -> OutboundEvent:
        """What to do now."""
        return self._events.popleft() if self._events else NEED_DATA

    def data_to_send(self) -> bytes:
        """What waits to be sent; it is forgotten here."""
        waiting = bytes(self._out)
        self._out.clear()
        return waiting

    def connection_lost(self, why: str = "the connection was lost") -> None:
        """Nothing more comes. What is not known to be delivered counts as not delivered, also
        behind the final dot (RFC 1047)."""
        self._close(failed(Fate.TEMPORARY, "4.2", f"{why} ({self.step.value} did not come)"))

    @property
    def step(self) -> Step:
        """What it waits for."""
        if self._expected:
            return self._expected[0].step
        return Step.CONTENT if self._encoder is not None else Step.COMMAND

    def start_tls(self) -> None:
        """Ask for TLS: BeginTls or TlsRefused."""
        self._say(Step.COMMAND, "STARTTLS", self._tls_answered)

    def authenticate(self, user: str, password: str) -> None:
        """Show who we are by PLAIN (RFC 4616): Ready or AuthRefused. Whether the password may be
        sent here is for the caller to say."""
        if "PLAIN" not in self.offers.mechanisms:
            text = "the server does not offer AUTH PLAIN"
            self._events.append(AuthRefused(failed(Fate.TEMPORARY, "7.0", text)))
            return
        response = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self._say(Step.COMMAND, f"AUTH PLAIN {response}", self._auth_answered)

    def transact(self, transaction: Transaction) -> None:
        """Begin the next message: SendContent if anybody may have it, and TransactionEnd."""
        assert self._transaction is None, "one transaction after another"
        self._transaction = transaction
        has = self.offers
        self._outcomes = [
            offers.obstacle(has, transaction, recipient, verified=self.verified)
            for recipient in transaction.recipients
        ]
        welcome = [n for n, found in enumerate(self._outcomes) if found is None]
        if self.closed or not welcome:
            self._settle(failed(Fate.TEMPORARY, "4.2", "the connection was closed"))
            return
        self._say(Step.COMMAND, offers.mail_line(has, transaction), self._mail_answered)
        for number in welcome:
            line = offers.rcpt_line(has, transaction.recipients[number])
            self._say(Step.COMMAND, line, self._rcpt_answered(number, number == welcome[-1]))
        self._say(Step.DATA, "DATA", self._data_answered)

    def send_content(self, content: bytes) -> None:
        """The next piece, CRLF line ends, without transparency."""
        if self._encoder is not None:
            self._out += self._encoder.encode(content)

    def end_content(self) -> None:
        """All of it was sent."""
        if self._encoder is not None:
            self._out += self._encoder.end()
            self._encoder = None
            self._expected.append(_Command(Step.END, "", self._end_answered))

    def quit(self) -> None:
        """Say QUIT; nobody has to wait for the answer."""
        if not self.closed:
            self._say(Step.COMMAND, "QUIT", lambda reply: None)
            self.closed = True
            self._events.append(Closed(None))

    # -- commands and their answers --------------------------------------------------------------

    def _say(self, step: Step, line: str, answered: Answered) -> None:
        self._waiting.append(_Command(step, line, answered))
        self._send_next()

    def _send_next(self) -> None:
        """All that may go: with PIPELINING (RFC 2920) everything, else one command at a time."""
        while self._waiting and (self.offers.pipelining or not self._expected):
            command = self._waiting.popleft()
            self._out += f"{command.line}\r\n".encode()
            self._expected.append(command)

    def _take(self, reply: ReceivedReply) -> bool:
        """False: nothing more is looked at."""
        if self._expected:
            self._expected.popleft().answered(reply)
        elif self._encoder is not None:  # it does not wait for the end of the content
            self._settle(self._outcome(reply, Fate.TEMPORARY))
            self._close(self._outcome(reply, Fate.TEMPORARY))
        elif reply.code != 421:
            self._close(failed(Fate.TEMPORARY, "5.0", f"an answer to nothing: {reply.text}"))
        if reply.code == 421:  # RFC 5321 3.8
            self._close(reply.outcome(self._peer))
        elif not self.closed:
            self._send_next()
        return not self.closed

    def _outcome(self, reply: ReceivedReply, least: Fate) -> Outcome:
        """`least`: what an answer that makes no sense here counts as."""
        found = reply.outcome(self._peer)
        if found.fate is Fate.DELIVERED:
            return replace(found, fate=least, status="4.5.0")
        return found

    def _greeted(self, reply: ReceivedReply) -> None:
        if reply.code // 100 == 2:
            self._hello("EHLO", self._ehlo_answered)
        else:
            self._close(self._outcome(reply, Fate.TEMPORARY))

    def _hello(self, verb: str, answered: Answered) -> None:
        self._say(Step.COMMAND, f"{verb} {self._own_name}", answered)

    def _ehlo_answered(self, reply: ReceivedReply) -> None:
        if reply.code // 100 == 2:
            self.offers = offers.read(reply.lines, tls=self.tls)
            self._events.append(Ready())
        elif reply.code >= 500:  # RFC 5321 3.2: a server from before EHLO
            self._hello("HELO", self._helo_answered)
        else:
            self._close(self._outcome(reply, Fate.TEMPORARY))

    def _helo_answered(self, reply: ReceivedReply) -> None:
        if reply.code // 100 == 2:
            self._events.append(Ready())
        else:
            self._close(self._outcome(reply, Fate.TEMPORARY))

    def _tls_answered(self, reply: ReceivedReply) -> None:
        if reply.code != 220:
            self._events.append(TlsRefused(reply.text))
        elif self._replies.waits:  # somebody slips answers in (CVE-2011-0411, the other way round)
            self._close(failed(Fate.TEMPORARY, "7.0", "octets in the clear behind STARTTLS"))
        else:
            self.closed = True
            self._events.append(BeginTls())

    def _auth_answered(self, reply: ReceivedReply) -> None:
        if reply.code == 235:
            self._events.append(Ready())
        else:
            # a wrong password is for a person to mend here, it is no fault of the message
            found = replace(self._outcome(reply, Fate.TEMPORARY), fate=Fate.TEMPORARY)
            self._events.append(AuthRefused(replace(found, status="4.7.8")))

    # -- a transaction ---------------------------------------------------------------------------

    def _mail_answered(self, reply: ReceivedReply) -> None:
        if reply.code // 100 != 2:
            self._refuse_all(self._outcome(reply, Fate.TEMPORARY))
            if self._waiting:  # without PIPELINING the rest was not sent
                self._waiting.clear()
                self._settle(None)

    def _rcpt_answered(self, number: int, last: bool) -> Answered:
        def answered(reply: ReceivedReply) -> None:
            if self._outcomes[number] is None and reply.code // 100 != 2:
                self._outcomes[number] = of_recipient(self._outcome(reply, Fate.TEMPORARY))
            if last and self._waiting and None not in self._outcomes:
                self._waiting.clear()
                self._reset()
                self._settle(None)

        return answered

    def _data_answered(self, reply: ReceivedReply) -> None:
        if reply.code != 354:
            self._reset()
            self._settle(self._outcome(reply, Fate.TEMPORARY))
        elif None in self._outcomes:
            self._encoder = DotEncoder()
            self._events.append(SendContent())
        else:  # RFC 2920 3.1: nobody is welcome, and it wants the content all the same
            self._out += b".\r\n"
            self._expected.append(_Command(Step.END, "", lambda reply: self._settle(None)))

    def _end_answered(self, reply: ReceivedReply) -> None:
        self._settle(replace(reply.outcome(self._peer), reports=self.offers.dsn))

    def _reset(self) -> None:
        # at the front: the next transaction may be waiting already
        self._waiting.appendleft(_Command(Step.COMMAND, "RSET", lambda reply: None))

    def _refuse_all(self, outcome: Outcome) -> None:
        self._outcomes = [found or outcome for found in self._outcomes]

    def _settle(self, outcome: Outcome | None) -> None:
        """The transaction is over; whose recipients are open share this outcome."""
        if outcome is not None:
            self._refuse_all(outcome)
        self._transaction = self._encoder = None
        known = tuple(found for found in self._outcomes if found is not None)
        assert len(known) == len(self._outcomes), "every recipient has an outcome"
        self._outcomes = []
        self._events.append(TransactionEnd(known))

    def _close(self, outcome: Outcome) -> None:
        if self.closed:
            return
        self.closed = True
        if self._transaction is not None:
            self._settle(outcome if outcome.fate is not Fate.DELIVERED else None)
        self._expected.clear()
        self._waiting.clear()
        self._events.append(Closed(outcome))

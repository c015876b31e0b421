"""Leads one SMTP session along one connection: what the session asks, others answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from mailserver.auth import sasl
from mailserver.delivery.accept import Reception
from mailserver.message.envelope import Envelope
from mailserver.message.verdict import Kind, Verdict
from mailserver.net.authentication import Authentication
from mailserver.net.pace import LinePace, Pace, Pacing
from mailserver.net.smtp_access import Access
from mailserver.net.stream import (
    ByteStream,
    ReceiveTimeout,
    ServerStopping,
    SessionOver,
    SessionTimeout,
)
from mailserver.smtp import replies
from mailserver.smtp.events import (
    AuthResponse,
    AuthStart,
    Disconnect,
    Event,
    MailFrom,
    MessageData,
    MessageEnd,
    MessageRefused,
    MessageStart,
    NeedData,
    RcptTo,
    SendFirst,
    StartTls,
    Verify,
)
from mailserver.smtp.replies import Reply
from mailserver.smtp.service import Service
from mailserver.smtp.session import SmtpSession
from mailserver.store.base import Staging
from mailserver.threads import InThread
from mailserver.trust.gate import Gate
from mailserver.wire.address import ForwardPath
from mailserver.wire.value import value

log = logging.getLogger(__name__)

_REPLY = {
    Kind.NO_SUCH_USER: replies.NO_SUCH_USER,
    Kind.NO_RELAYING: replies.NO_RELAYING,
    Kind.TOO_MANY_MESSAGES: replies.TOO_MANY_A_MINUTE,
    Kind.TOO_MANY_HOPS: replies.TOO_MANY_HOPS,
    Kind.TOO_MANY_FORWARDS: replies.TOO_MANY_RECIPIENTS,
    Kind.NOT_YOUR_ADDRESS: replies.NOT_YOUR_ADDRESS,
    Kind.HEADER_TOO_BIG: replies.HEADER_TOO_BIG,
    Kind.SUBJECT_TOO_LONG: replies.SUBJECT_TOO_LONG,
    Kind.NOT_AUTHENTIC: replies.NOT_AUTHENTIC,
    Kind.BLOCK_LISTED: replies.BLOCK_LISTED,
    Kind.NOT_KNOWN_YET: replies.NOT_KNOWN_YET,
    Kind.DISK_FULL: replies.DISK_FULL,
    Kind.MAILBOX_BUSY: replies.MAILBOX_BUSY,
    Kind.MAILBOX_FULL: replies.MAILBOX_FULL,
    Kind.MAILBOX_UNUSABLE: replies.MAILBOX_UNUSABLE,
    Kind.USERS_UNREADABLE: replies.USERS_UNREADABLE,
    Kind.STORAGE_FAILED: replies.STORAGE_FAILED,
}


_FAREWELL: dict[type[SessionOver], Reply] = {
    ServerStopping: replies.SHUTTING_DOWN,
    SessionTimeout: replies.SESSION_TOO_LONG,
}


@value(frozen=True, slots=True)
class Timeouts:
    """Seconds for a command line, or without an octet of a message (RFC 5321 4.5.3.2.7 wants 5
    minutes)."""

    command: float = 300.0
    first_command: float = 60.0
    content: float = 300.0
    send: float = 60.0
    pacing: Pacing = Pacing()


def _reply_to(verdict: Verdict, accepted: Reply) -> Reply:
    if verdict:
        return accepted
    reply = _REPLY[verdict.kind]
    return reply.with_detail(verdict.detail) if verdict.detail else reply


class SmtpDriver:
    """One connection."""

    def __init__(
        self,
        stream: ByteStream,
        domain: str,
        service: Service,
        access: Access,
        timeouts: Timeouts,
        reception: Reception,
        in_thread: InThread,
        clock: Callable[[], float] = time.monotonic,
        gate: Gate | None = None,
    ) -> None:
        """`service`: what this port offers on any connection; `gate`: whom strangers pass."""
        self._stream = stream
        self._domain = domain
        self._at_port = service
        self._access = access
        self._session = SmtpSession(domain, stream.peer, access.service(service, stream))
        self._authentication: Authentication | None = None  # the AUTH that goes on
        self._timeouts = timeouts
        self._reception = reception
        self._gate = gate
        self._in_thread = in_thread
        self._recipients = 0  # counted by `_reception`
        self._forwarded = 0  # of them
        self._staging: Staging | None = None  # set while content comes in
        self._timeout = timeouts.first_command
        self._clock = clock
        self._line_pace = LinePace(clock)
        self._pace: Pace | None = None  # set while content comes in, wanted or not
        self._farewell: Reply | None = None  # set when the connection is to end
        self._waiting: Event | None = None  # came while `_came` took what came
        self._ended = False  # the client says no more

    async def run(self) -> None:
        """Until the client or the session ends it. Raises ConnectionError when the peer is gone."""
        try:
            while True:
                match self._next_event():
                    case NeedData():
                        await self._exchange()
                        if self._ended:
                            return
                    case MessageData():
                        await self._spill()
                    case MessageEnd(envelope):
                        self._session.reply(await self._accept(envelope))
                        self._stop_between_messages()
                    case AuthStart() | AuthResponse() as event:
                        await self._authenticate(event)
                    case RcptTo(recipient) as event:
                        self._session.reply(await self._at_gate(event, recipient.forward_path))
                    case StartTls():
                        await self._start_tls()
                    case SendFirst():
                        await self._flush()
                        await asyncio.sleep(0)  # the other connections have their turn
                    case Disconnect():
                        await self._flush()
                        return
        except ConnectionError:
            raise
        except Exception:  # a fault of ours, the listener logs it
            self._session.close(replies.LOCAL_ERROR)
            await self._flush()
            raise
        finally:
            self._forget()
            self._abandon_authentication()

    def _next_event(self) -> Event:
        """The next one that takes time; those that do not are answered."""
        if self._waiting is not None:
            event, self._waiting = self._waiting, None
            return event
        while True:
            match self._session.next_event():
                case RcptTo() as event if self._gate and self._gate.watches(self._session.client):
                    return event
                case MailFrom() | RcptTo() | MessageStart() | Verify() as event:
                    self._session.reply(self._answer(event))
                case MessageData(content) as event:
                    if self._keep(content):
                        return event
                case MessageRefused():
                    self._forget()
                    self._stop_between_messages()
                case event:
                    return event

    async def _exchange(self) -> None:
        """Send what waits, take what comes, as long as all of it can be answered at once."""
        await self._flush()
        try:
            await self._stream.hand_over(self._came, self._patience())
        except ReceiveTimeout:
            self._give_up()
        except SessionOver as over:
            told_before = self._farewell is not None
            self._farewell = _FAREWELL[type(over)]
            if self._staging is None or told_before:
                self._stop_between_messages()

    def _came(self, octets: bytes) -> float | None:
        """Take what came; the seconds for more, None when there is something to wait for first."""
        if not octets:
            self._ended = True
            return None
        if self._pace is not None:
            self._pace.came(len(octets))
        self._timeout = self._timeouts.command if not self._staging else self._timeouts.content
        self._session.receive_data(octets)
        event = self._next_event()
        if isinstance(event, NeedData) and self._stream.send(self._session.data_to_send()):
            seconds = self._patience()
            if seconds:
                return seconds
            self._give_up()
        else:
            self._waiting = event
        return None

    async def _flush(self) -> None:
        if not self._stream.send(self._session.data_to_send()):
            await self._stream.drain(self._timeouts.send)

    def _patience(self) -> float:
        """Seconds for the next octets."""
        if self._staging is None and not self._session.in_content:
            self._pace = None
        elif self._pace is None:
            self._pace = Pace(self._timeouts.pacing, self._clock())
        if self._pace is not None:
            return min(self._timeout, self._pace.seconds_left(self._clock()))
        return self._line_pace.seconds_left(self._timeout, in_line=self._session.in_line)

    def _give_up(self) -> None:
        too_slow = self._pace is not None and not self._pace.seconds_left(self._clock())
        self._session.close(replies.TOO_SLOW if too_slow else replies.TIMED_OUT)

    def _stop_between_messages(self) -> None:
        if self._farewell is not None:
            self._session.close(self._farewell)

    def _answer(self, event: MailFrom | RcptTo | MessageStart | Verify) -> Reply:
        """To what is decided at once."""
        match event:
            case MailFrom(envelope):
                self._let_go()
                return _reply_to(self._reception.sender(envelope), replies.SENDER_OK)
            case RcptTo(recipient):
                return self._recipient(recipient.forward_path, self._session.transaction())
            case MessageStart():
                return self._stage()
            case Verify(mailbox):
                verdict = self._reception.recipient(ForwardPath(mailbox))
                return _reply_to(verdict, replies.verified(str(mailbox)))

    def _recipient(self, forward_path: ForwardPath, envelope: Envelope) -> Reply:
        """May this one be added?"""
        counted, self._recipients = self._recipients, len(envelope.recipients)
        if not self._reception.has_place(self._recipients, counted):
            return replies.TOO_MANY_RECIPIENTS
        verdict = self._reception.recipient(forward_path, envelope, self._forwarded)
        self._forwarded += verdict.kind is Kind.FORWARDED
        return _reply_to(verdict, replies.RECIPIENT_OK)

    async def _at_gate(self, event: RcptTo, forward_path: ForwardPath) -> Reply:
        """A stranger's recipient, if it is one."""
        assert self._gate is not None, "it watches this client"
        reply = self._answer(event)
        if reply is not replies.RECIPIENT_OK:
            return reply
        return _reply_to(await self._gate.admits(self._session.transaction(), forward_path), reply)

    async def _start_tls(self) -> None:
        """RFC 3207 4.2: what was known of the client before is forgotten."""
        assert self._access.tls is not None, "STARTTLS was not offered"
        self._session.reply(replies.START_TLS)
        await self._flush()
        await self._stream.start_tls(self._access.tls, self._timeouts.first_command)
        service = self._access.service(self._at_port, self._stream)
        self._session = SmtpSession(self._domain, self._stream.peer, service, greeting=False)

    async def _authenticate(self, event: AuthStart | AuthResponse) -> None:
        if isinstance(event, AuthStart):
            self._abandon_authentication()
            self._authentication = self._access.authentication(event.mechanism, self._stream)
        assert self._authentication is not None, "it began with AuthStart"
        answer = await self._authentication.step(event.response)
        if isinstance(answer, sasl.Challenge):
            self._session.challenge(answer.octets)
        elif answer.user is not None:
            self._session.authenticated(answer.user)
        elif answer.wait:
            self._session.reply(replies.wait_for_auth(answer.wait))
        else:
            log.info(
                "login failed for %a from %s", self._authentication.user[:80], self._stream.peer
            )
            self._session.reply(replies.AUTH_FAILED)

    def _abandon_authentication(self) -> None:
        if self._authentication is not None:
            self._authentication.abandon()

    def _stage(self) -> Reply:
        try:
            self._staging = self._reception.stage()
        except OSError as error:
            log.error("no place for a message on its way in: %s", error)
            return replies.STORAGE_FAILED
        return replies.START_INPUT

    def _keep(self, content: bytes) -> bool:
        """True: there is so much by now that it must go to a file."""
        if self._staging is None:
            return False  # it could not be staged; what comes is only counted
        self._staging.write(content)
        if not self._staging.overfull:
            return False
        if not self._staging.urgent:
            return True
        # here and now, though it may block: while it waited for a thread, each of thousands of
        # connections could bring as much again
        try:
            self._staging.spill()
        except OSError as error:
            self._lose(error)
        return False

    async def _spill(self) -> None:
        assert self._staging is not None, "it said that it is overfull"
        try:
            await self._in_thread(self._staging.spill)
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        log.error("a message on its way in could not be kept: %s", error)
        self._forget()

    async def _accept(self, envelope: Envelope) -> Reply:
        staging, self._staging = self._staging, None
        self._pace = None
        if staging is None:
            return replies.DISK_FULL
        try:
            verdict, message_id = await self._reception.accept(envelope, staging.finish())
        finally:
            staging.discard()
            self._let_go()
        log.info(
            "message %s from=<%s> to=%d recipients client=%s %s",
            message_id,
            envelope.reverse_path,
            len(envelope.recipients),
            self._stream.peer,
            verdict.kind.name,
        )
        return _reply_to(verdict, replies.message_ok(message_id))

    def _let_go(self) -> None:
        self._reception.let_go(self._recipients)
        self._recipients = self._forwarded = 0

    def _forget(self) -> None:
        self._let_go()
        self._pace = None
        if self._staging is not None:
            self._staging.discard()
            self._staging = None

"""Leads the client's side of SMTP along a connection to another server."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import field, replace

from mailserver.message.outcome import Fate, Outcome, failed
from mailserver.message.seven_bit import CannotRecode, recoded
from mailserver.message.transaction import Transaction
from mailserver.net.burst import Burst
from mailserver.net.socket_stream import SocketStream
from mailserver.net.stream import ReceiveTimeout
from mailserver.net.tls_client import ClientTls
from mailserver.relay.courier import Content, Unreachable
from mailserver.relay.routing import NextHost
from mailserver.relay.tls_demand import Encrypted, Opportunistic, Pinned, Valid
from mailserver.smtp.events import NEED_DATA
from mailserver.smtp.outbound import OutboundSession
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
from mailserver.threads import InThread
from mailserver.wire.value import value

log = logging.getLogger(__name__)

SMTPS_PORT = 465
_FOREVER = 1e9
_WATCH_SECONDS = 1.0


@value(frozen=True, slots=True)
class Timeouts:
    """Seconds (RFC 5321 4.5.3.2)."""

    connect: float = 30.0
    handshake: float = 60.0
    close: float = 10.0
    steps: dict[Step, float] = field(
        default_factory=lambda: {
            Step.GREETING: 300.0,
            Step.COMMAND: 300.0,
            Step.DATA: 120.0,
            Step.CONTENT: 180.0,
            Step.END: 600.0,
        }
    )


class HandshakeFailed(Unreachable):
    """STARTTLS was offered, and no TLS came about."""


class SmtpConnection:
    """See `relay.courier.Connection`."""

    def __init__(
        self,
        own_name: str,
        host: NextHost,
        tls: ClientTls,
        timeouts: Timeouts,
        in_thread: InThread,
        burst: Burst,
    ) -> None:
        self.usable = False
        self.recipients: int | None = None
        self._sent = 0  # messages
        self._own_name = own_name
        self._host = host
        self._tls = tls
        self._timeouts = timeouts
        self._in_thread = in_thread
        self._burst = burst
        self._stream: SocketStream | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._session = OutboundSession(own_name, host.name)

    async def open(self, address: str, *, starttls: bool) -> None:
        """Up to the point where a message can be sent; raises Unreachable."""
        where = f"{self._host.name} [{address}]:{self._host.port}"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeouts.connect):
                _, self._stream = await loop.create_connection(
                    lambda: SocketStream(lambda stream: None, self._burst), address, self._host.port
                )
        except TimeoutError:
            text = f"no connection to {where} within {self._timeouts.connect:.0f} seconds"
            raise Unreachable(failed(Fate.TEMPORARY, "4.1", text)) from None
        except OSError as error:
            text = f"no connection to {where}: {error.strerror or error}"
            raise Unreachable(failed(Fate.TEMPORARY, "4.1", text)) from None
        self._watch()
        if self._host.port == SMTPS_PORT:  # RFC 8314 3.3
            await self._handshake(greeting=True)
        await self._ready()
        if starttls and self._session.offers.starttls:
            await self._start_tls()
        self._check()
        if self._host.login is not None:
            await self._log_in(self._host.login.user, self._host.login.password)
        self.recipients = self._session.offers.recipients
        self.usable = True

    def _watch(self) -> None:
        """One timer, again and again, instead of one for each wait for a reply."""
        if self._stream is not None:
            loop = asyncio.get_running_loop()
            self._stream.expire(loop.time())
            self._watching = loop.call_later(_WATCH_SECONDS, self._watch)

    async def _start_tls(self) -> None:
        self._session.start_tls()
        event = await self._event()
        if isinstance(event, TlsRefused):
            raise HandshakeFailed(failed(Fate.TEMPORARY, "7.0", f"no STARTTLS: {event.text}"))
        if not isinstance(event, BeginTls):
            raise Unreachable(_outcome_of(event))
        await self._handshake(greeting=False)
        await self._ready()

    async def _handshake(self, *, greeting: bool) -> None:
        assert self._stream is not None, "it is connected"
        try:
            async with asyncio.timeout(self._timeouts.handshake):
                await self._stream.start_tls(self._tls.to(_server_name(self._host)), _FOREVER)
        except (ConnectionError, TimeoutError):
            text = f"TLS with {self._host.name} failed"
            raise HandshakeFailed(failed(Fate.TEMPORARY, "7.0", text)) from None
        demand = self._host.demand
        known = isinstance(demand, Valid | Pinned)
        self._session = OutboundSession(
            self._own_name,
            self._host.name,
            tls=True,
            verified=known and self._tls.satisfies(self._stream.encryption, demand),
            greeting=greeting,
        )

    def _check(self) -> None:
        """What is asked of TLS has to be there before mail, or a password, goes out."""
        assert self._stream is not None, "it is connected"
        host, demand, encryption = self._host, self._host.demand, self._stream.encryption
        match demand:
            case Opportunistic(None):
                pass
            case Opportunistic(tested):
                if tested is not None and not self._tls.satisfies(encryption, tested):
                    log.warning("%s, in testing, would refuse %s", tested.asked_by, host.name)
            case Encrypted(asked_by):
                if encryption is None:
                    text = f"{host.name} offers no TLS, for which {asked_by} asks"
                    raise Unreachable(failed(Fate.TEMPORARY, "7.4", text))
            case Valid() | Pinned():
                if not self._session.verified:
                    text = f"{host.name} has not shown by TLS who it is, for which "
                    text += f"{demand.asked_by} asks"
                    raise Unreachable(failed(Fate.TEMPORARY, "7.5", text))
        if host.promises and not self._session.offers.require_tls:
            text = f"{host.name} does not offer REQUIRETLS (RFC 8689 4.2.1)"
            raise Unreachable(failed(Fate.PERMANENT, "7.30", text))

    async def _log_in(self, user: str, password: str) -> None:
        self._session.authenticate(user, password)
        event = await self._event()
        if not isinstance(event, Ready):
            raise Unreachable(_outcome_of(event))

    async def _ready(self) -> None:
        event = await self._event()
        if not isinstance(event, Ready):
            raise Unreachable(_outcome_of(event))

    # -- messages ----------------------------------------------------------------------------------

    async def send(self, transaction: Transaction, content: Content) -> tuple[Outcome, ...]:
        """See Connection."""
        try:
            return await self._send(transaction, content)
        except BaseException:
            self.abort()
            raise

    async def _send(self, transaction: Transaction, content: Content) -> tuple[Outcome, ...]:
        if transaction.eight_bit and not self._session.offers.eight_bit:
            transaction, content = await self._in_seven_bits(transaction, content)
        self._session.transact(transaction)
        while True:
            event = await self._event()
            if isinstance(event, SendContent):
                await self._send_content(content)
            elif isinstance(event, TransactionEnd):
                self._sent += 1
                if self._session.closed:
                    self.abort()
                elif self._sent == self._session.offers.messages:  # RFC 9422 4.1
                    self.usable = False
                return event.outcomes

    async def _in_seven_bits(
        self, transaction: Transaction, content: Content
    ) -> tuple[Transaction, Content]:
        """RFC 6152 3; both as they were where that cannot be."""
        read = (lambda: iter([content])) if isinstance(content, bytes) else content
        try:
            again, octets = await self._in_thread(lambda: recoded(read))
        except CannotRecode as problem:
            log.info("a message cannot go to %s in seven bits: %s", self._host.name, problem)
            return transaction, content
        return replace(transaction, eight_bit=False, octets=octets), again

    async def _send_content(self, content: Content) -> None:
        if isinstance(content, bytes):
            self._session.send_content(content)
            self._session.end_content()
            return
        pieces = await self._in_thread(content)
        try:
            while piece := await self._in_thread(lambda: next(pieces, b"")):
                self._session.send_content(piece)
                if not await self._flush():
                    return
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        self._session.end_content()

    async def _event(self) -> OutboundEvent:
        """The session's next, with all that has to be sent and received for it."""
        assert self._stream is not None, "it is connected"
        while (event := self._session.next_event()) is NEED_DATA:
            if not await self._flush():
                continue
            seconds = self._timeouts.steps[self._session.step]
            try:
                octets = await self._stream.receive(seconds)
            except ReceiveTimeout:
                self._session.connection_lost(f"nothing came for {seconds:.0f} seconds")
                continue
            if octets:
                self._session.receive_data(octets)
            else:
                self._session.connection_lost()
        return event

    async def _flush(self) -> bool:
        """False: the connection is lost, and the session knows."""
        assert self._stream is not None, "it is connected"
        if self._stream.send(self._session.data_to_send()):
            return True
        seconds = self._timeouts.steps[Step.CONTENT]
        try:
            async with asyncio.timeout(seconds):
                await self._stream.drain(_FOREVER)
        except TimeoutError:
            self._session.connection_lost(f"nothing was taken for {seconds:.0f} seconds")
            return False
        except ConnectionError:
            # what it said before it went may say why
            async with asyncio.timeout(seconds):
                while octets := await self._stream.receive(_FOREVER):
                    self._session.receive_data(octets)
            self._session.connection_lost()
            return False
        return True

    async def close(self) -> None:
        """See Connection."""
        try:
            if self._stream is not None and not self._session.closed:
                self.usable = False
                self._session.quit()
                self._stream.send(self._session.data_to_send())
                # RFC 5321 4.1.1.10: the answer is waited for, whatever it is
                async with asyncio.timeout(self._timeouts.close):
                    await self._stream.receive(_FOREVER)
                    await self._stream.close()
        except TimeoutError:
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        self.usable = False
        if self._watching is not None:
            self._watching.cancel()
        if self._stream is not None:
            self._stream.abort()
            self._stream = None


def _server_name(host: NextHost) -> str:
    """What to ask for by SNI: with DANE the name whose records they are (RFC 7672 8.1)."""
    return host.demand.names[0] if isinstance(host.demand, Pinned) else host.name


def _outcome_of(event: OutboundEvent) -> Outcome:
    if isinstance(event, Closed | AuthRefused) and event.outcome is not None:
        return event.outcome
    return failed(Fate.TEMPORARY, "5.0", f"unexpected: {type(event).__name__}")

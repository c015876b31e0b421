"""One connection over TCP, by a protocol class of our own instead of asyncio's StreamReader: one
buffer, no copy in the usual case, limits on what waits in both directions, and one clock for all
connections' time limits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from mailserver.net.backlog import Backlog
from mailserver.net.burst import Burst
from mailserver.net.stream import ReceiveTimeout, ServerStopping, SessionOver, SessionTimeout, Take
from mailserver.net.tls import Encryption, TlsFailed, TlsLayer, TlsParty

log = logging.getLogger(__name__)

READ_OCTETS = 64 * 1024
"""Of one read. A connection holds what it brings until all of it has been looked at, and a thousand
clients may send more than can be looked at."""
RECEIVE_LIMIT = 32 * 1024
"""Octets that wait to be looked at before reading pauses."""
SMALL_OCTETS = 1024
"""What comes in smaller pieces is put together: a pair of octets that stays alone takes fifty."""
SEND_LIMIT = 256 * 1024
"""Octets that wait to be taken by the peer before `drain` waits."""
GATHER_LIMIT = 16 * 1024
"""Octets of one connection that wait for the end of the round (`Burst`)."""


_READ = memoryview(bytearray(READ_OCTETS))  # what is read is copied before anybody else reads


class SocketStream(asyncio.BufferedProtocol):
    """A ByteStream over a TCP connection."""

    def __init__(
        self,
        on_connect: Callable[[SocketStream], None],
        burst: Burst,
        backlog: Backlog | None = None,
    ) -> None:
        """`on_connect` is called when the connection is there."""
        self.peer = ""
        self.encryption: Encryption | None = None
        self.deadline: float | None = None  # loop time; None while nobody waits for the peer
        self.ends_at: float | None = None  # loop time; None: it may last
        self._on_connect = on_connect
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._tls: TlsLayer | None = None
        self._received: list[bytes] = []
        self._waiting = 0  # octets in `_received`
        self._taken = 0  # octets that the driver took, and may not have looked at yet
        self._ended = False
        self._reading = True
        self._receiver: asyncio.Future[None] | None = None
        self._take: Take | None = None  # set while `hand_over` waits
        self._drained: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] | None = None
        self._sending_paused = False
        self._burst = burst
        self._backlog = backlog or Backlog()
        self._gathered = b""  # waits for the end of the round
        self._over: SessionOver | None = None

    # -- called by the event loop ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self._transport = transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(high=SEND_LIMIT)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0].removeprefix("::ffff:") if isinstance(peer, tuple) else ""
        self._on_connect(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _READ

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(_READ[:nbytes]))

    def data_received(self, data: bytes) -> None:
        if self._tls is not None:
            data = self._decipher(self._tls, data)
            if not data:
                return
        if self._take is not None:
            self._hand_over(self._take, data)
            return
        if self._received and len(data) < SMALL_OCTETS:
            self._received[-1] += data
        else:
            self._received.append(data)
        self._waiting += len(data)
        self._read_or_not()
        self._wake(self._receiver)

    def eof_received(self) -> bool:
        self._ended = True
        self._wake(self._receiver)
        return True  # what waits can still be sent

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._transport = None
        self._backlog.remove(self)
        for waiting in (self._receiver, self._drained, self._closed):
            self._wake(waiting)

    def pause_writing(self) -> None:
        self._sending_paused = True
        self._read_or_not()
        self._backlog.add(self)

    def resume_writing(self) -> None:
        self._sending_paused = False
        self._read_or_not()
        self._backlog.remove(self)
        self._wake(self._drained)

    def _read_or_not(self) -> None:
        """Nothing is read of a peer that reads nothing, or that sent more than anybody looks at."""
        reading = self._waiting <= RECEIVE_LIMIT and not self._sending_paused
        if reading is self._reading or self._transport is None:
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    @property
    def held(self) -> int:
        """Octets that wait, in both directions."""
        sending = self._transport.get_write_buffer_size() if self._transport else 0
        return sending + self._waiting + self._taken

    # -- called by the listener ------------------------------------------------------------------

    def stop(self) -> None:
        """Let the one who waits for the peer know that the server stops."""
        self._end(ServerStopping())

    def _end(self, reason: SessionOver) -> None:
        self._over = reason
        self._wake(self._receiver)

    def expire(self, now: float) -> None:
        """Called now and then: end a wait that has taken too long."""
        if self.deadline is not None and now > self.deadline:
            if self._drained is not None or self._closed is not None:
                self.abort()
            self._wake(self._receiver)
        if self.ends_at is not None and now > self.ends_at:
            self.ends_at = None
            self._end(SessionTimeout())

    def give_back(self, octets: bytes) -> None:
        """Put octets that were received back in front of those that wait."""
        if octets:
            self._received.insert(0, octets)
            self._waiting += len(octets)

    def abort(self) -> None:
        """Close at once, whatever waits."""
        if self._transport is not None:
            self._transport.abort()

    # -- called by the driver --------------------------------------------------------------------

    async def receive(self, timeout: float) -> bytes:
        """See ByteStream."""
        if not self._received and not self._ended:
            await self._wait(timeout)
        return self._take_waiting()

    async def hand_over(self, take: Take, timeout: float) -> None:
        """See ByteStream."""
        seconds: float | None = timeout
        while seconds is not None:
            if self._received or self._ended:
                seconds = take(self._take_waiting())
                continue
            self._take = take
            try:
                await self._wait(seconds)
            finally:
                enough, self._take = self._take is None, None
            if enough:
                return

    def _hand_over(self, take: Take, octets: bytes) -> None:
        """The one who waits sees them without having to be woken, which is half of the work that a
        short command makes."""
        assert self._receiver is not None, "set together with `_take`"
        try:
            seconds = take(octets)
        except Exception as error:  # noqa: BLE001 # it belongs to the one who waits
            self._take = None
            if not self._receiver.done():
                self._receiver.set_exception(error)
            return
        if seconds is None:
            self._take = None
            self._taken = len(octets)
            self._wake(self._receiver)
        else:
            self.deadline = self._loop.time() + seconds

    async def _wait(self, timeout: float) -> None:
        """Until something has come, or has been taken, or the connection has ended."""
        self._taken = 0
        self.deadline = self._loop.time() + timeout
        self._receiver = self._loop.create_future()
        taking = self._take is not None
        try:
            if self._over is None:
                await self._receiver
            if self._received or (taking and self._take is None):
                return
            if self._over is not None:
                over, self._over = self._over, None
                raise over
            if not self._ended:
                raise ReceiveTimeout
        finally:
            self._receiver = self.deadline = None

    def _take_waiting(self) -> bytes:
        received = self._received[0] if len(self._received) == 1 else b"".join(self._received)
        self._received.clear()
        self._waiting = 0
        self._taken = len(received)
        self._read_or_not()
        return received

    def send(self, octets: bytes) -> bool:
        """See ByteStream."""
        if self._transport is None:
            return False
        if self._tls is not None:
            self._tls.send(octets)
            octets = self._tls.data_to_send()
        if octets:
            if not self._gathered:
                self._burst.add(self)
            self._gathered += octets
            if len(self._gathered) > GATHER_LIMIT:
                self.flush()
        return not self._sending_paused

    def flush(self) -> None:
        """Hand on what was gathered."""
        octets, self._gathered = self._gathered, b""
        if octets and self._transport is not None:
            self._transport.write(octets)

    async def drain(self, timeout: float) -> None:
        """See ByteStream."""
        if self._sending_paused and self._transport is not None:
            self.deadline = self._loop.time() + timeout
            self._drained = self._loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = self.deadline = None
        if self._transport is None:
            raise ConnectionError("the connection was lost")

    async def start_tls(self, tls: TlsParty, timeout: float) -> None:
        """See ByteStream."""
        self.flush()
        layer = self._tls = tls.layer()
        if self._transport is not None:
            self._transport.write(layer.data_to_send())
        self.deadline = self._loop.time() + timeout
        self._receiver = self._loop.create_future()
        try:
            early = self._take_waiting()
            if early:
                self.data_received(early)
            if not layer.established and not self._ended:
                await self._receiver
        finally:
            self._receiver = self.deadline = None
        if not layer.established:
            raise ConnectionError("no TLS came about")
        self.encryption = layer.encryption()

    def _decipher(self, tls: TlsLayer, ciphertext: bytes) -> bytes:
        """What is for the driver; wakes the one who waits for the handshake or for the end."""
        octets = b""
        try:
            octets = tls.receive(ciphertext)
        except TlsFailed as problem:
            log.info("TLS with %s failed: %s", self.peer, problem)
            self._ended = True
        self._ended |= tls.ended
        self.flush()
        answer = tls.data_to_send()
        if answer and self._transport is not None:
            self._transport.write(answer)
        if self._ended or (tls.established and self.encryption is None):
            self._wake(self._receiver)
        return octets

    async def close(self) -> None:
        """See ByteStream."""
        if self._transport is None:
            return
        self.flush()
        if self._tls is not None:
            self._tls.close()
            self._transport.write(self._tls.data_to_send())
        self.deadline = self._loop.time() + 10.0
        self._closed = self._loop.create_future()
        self._transport.close()
        await self._closed

    @staticmethod
    def _wake(waiting: asyncio.Future[None] | None) -> None:
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

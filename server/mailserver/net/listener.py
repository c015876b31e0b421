"""Accepts connections, runs a driver for each, and ends them all when the server is stopped.

One broken connection never touches another: whatever a driver raises ends here, with that
connection.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from mailserver.net.backlog import Backlog
from mailserver.net.burst import Burst
from mailserver.net.door import Door
from mailserver.net.proxies import Proxies
from mailserver.net.socket_stream import SocketStream
from mailserver.net.tls import ServerTls
from mailserver.wire.value import value

log = logging.getLogger(__name__)

BACKLOG = 1024
HANDSHAKE_SECONDS = 30.0
_SWEEP_SECONDS = 1.0
_LAST_SECONDS = 1.0  # for a last reply, when the patience has ended

Serve = Callable[[SocketStream], Awaitable[None]]


@value(frozen=True, slots=True)
class Refusals:
    """What those are told who may not come in."""

    full: bytes = b""
    """There are too many connections."""
    crowded: bytes = b""
    """There are too many from this address."""
    hurried: bytes = b""
    """Too many came from this address in a minute."""


class Listener:
    """One port."""

    def __init__(
        self,
        serve: Serve,
        door: Door,
        refusals: Refusals,
        tls: ServerTls | None = None,
        proxies: Proxies | None = None,
        session_seconds: float | None = None,
        backlog: Backlog | None = None,
    ) -> None:
        """`serve` leads one connection. With `tls` each begins with a handshake (RFC 8314 3), and
        none is made for a refusal. The `proxies` say who the client is. None lasts much longer than
        `session_seconds`. The `backlog` is shared by all ports of a worker."""
        self._serve = serve
        self._door = door
        self._refusals = refusals
        self._tls = tls
        self._proxies = proxies or Proxies()
        self._session_seconds = session_seconds
        self._backlog = backlog or Backlog()
        self._connections: dict[asyncio.Task[None], SocketStream] = {}
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, bound: socket.socket) -> None:
        """Accept connections on this socket."""
        loop = asyncio.get_running_loop()
        burst = Burst()
        self._server = await loop.create_server(
            lambda: SocketStream(self._connected, burst, self._backlog), sock=bound, backlog=BACKLOG
        )
        self._sweeper = loop.create_task(self._sweep())

    async def stop(self, patience: float) -> None:
        """Accept no more; let those in the middle of a message end it, `patience` seconds long, and
        then tell them that there is no more time."""
        if self._server is not None:
            self._server.close()
        for seconds in (patience, min(patience, _LAST_SECONDS)):
            for stream in self._connections.values():
                stream.stop()
            if self._connections:
                await asyncio.wait(self._connections, timeout=seconds)
        for task in list(self._connections):
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _connected(self, stream: SocketStream) -> None:
        loop = asyncio.get_running_loop()
        if self._session_seconds is not None:
            stream.ends_at = loop.time() + self._session_seconds
        task = loop.create_task(self._run(stream, entered=self._door.enter()))
        self._connections[task] = stream
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._connections[task]
        self._door.leave()

    async def _run(self, stream: SocketStream, *, entered: bool) -> None:
        try:
            if entered:
                await self._lead(stream)
            else:
                self._refuse(stream, self._refusals.full)
            await stream.close()
        except ConnectionError:
            pass  # the peer is gone
        except Exception:
            log.exception("a fault of this server; the connection from %s ends", stream.peer)
            with suppress(ConnectionError):
                await stream.close()  # with what was said before: it may be a 250
        finally:
            stream.abort()

    async def _lead(self, stream: SocketStream) -> None:
        if self._proxies.include(stream.peer):
            await self._proxies.introduce(stream)
        peer = stream.peer
        if not self._door.is_slow_enough(peer):
            log.info("too many new connections from %s", peer)
            self._refuse(stream, self._refusals.hurried)
            return
        if not self._door.enter_from(peer):
            log.info("too many connections from %s", peer)
            self._refuse(stream, self._refusals.crowded)
            return
        try:
            if self._tls is not None:
                await stream.start_tls(self._tls, HANDSHAKE_SECONDS)
            await self._serve(stream)
        finally:
            self._door.leave_from(peer)

    def _refuse(self, stream: SocketStream, refusal: bytes) -> None:
        if self._tls is None:  # a handshake for a refusal is work for nothing
            stream.send(refusal)

    async def _sweep(self) -> None:
        """One clock for all time limits, instead of a timer a wait."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = loop.time()
            for stream in list(self._connections.values()):
                stream.expire(now)


def bind(host: str, port: int, workers: int = 1) -> list[socket.socket]:
    """A socket for each worker, all on one address; without a host on all of the machine's, IPv6
    and IPv4. Raises OSError, also when another program has the port."""
    if workers == 1:
        return [_bind(host, port, shared=False)]
    if port:  # SO_REUSEPORT would let us in beside another server of the same user
        _bind(host, port, shared=False).close()
    first = _bind(host, port, shared=True)
    port = first.getsockname()[1]
    return [first, *(_bind(host, port, shared=True) for _ in range(workers - 1))]


def _bind(host: str, port: int, *, shared: bool) -> socket.socket:
    if not host:
        if socket.has_dualstack_ipv6():
            try:
                return socket.create_server(
                    ("", port),
                    family=socket.AF_INET6,
                    dualstack_ipv6=True,
                    backlog=BACKLOG,
                    reuse_port=shared,
                )
            except OSError as error:
                if error.errno not in (97, 99):  # EAFNOSUPPORT, EADDRNOTAVAIL: no IPv6 here
                    raise
        return socket.create_server(("", port), backlog=BACKLOG, reuse_port=shared)
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(address[:2], family=family, backlog=BACKLOG, reuse_port=shared)

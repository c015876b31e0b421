"""Accepts connections, runs a driver for each, and ends them all when the server is stopped.

One broken connection never touches another: whatever a driver raises ends here, with that
connection.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

from mailserver.net.stream import SocketStream
from mailserver.net.tls import ServerTls

log = logging.getLogger(__name__)

BACKLOG = 1024
HANDSHAKE_SECONDS = 30.0
_SWEEP_SECONDS = 1.0

Serve = Callable[[SocketStream], Awaitable[None]]


class Listener:
    """One port."""

    def __init__(
        self,
        serve: Serve,
        connection_limit: int,
        refusal: bytes,
        tls: ServerTls | None = None,
    ) -> None:
        """`serve` leads one connection; those over the limit get `refusal` and are closed. With
        `tls` every connection begins with a handshake (RFC 8314 3)."""
        self._serve = serve
        self._connection_limit = connection_limit
        self._refusal = refusal
        self._tls = tls
        self._connections: dict[asyncio.Task[None], SocketStream] = {}
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, bound: socket.socket) -> None:
        """Accept connections on this socket."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SocketStream(self._connected), sock=bound, backlog=BACKLOG
        )
        self._sweeper = loop.create_task(self._sweep())

    async def stop(self, patience: float) -> None:
        """Accept no more; let those in the middle of a message end it, `patience` seconds long."""
        if self._server is not None:
            self._server.close()
        for stream in self._connections.values():
            stream.stop()
        if self._connections:
            await asyncio.wait(self._connections, timeout=patience)
        for task in list(self._connections):
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections)
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _connected(self, stream: SocketStream) -> None:
        full = len(self._connections) >= self._connection_limit
        task = asyncio.ensure_future(self._run(stream, self._refuse if full else self._lead))
        self._connections[task] = stream
        task.add_done_callback(self._connections.pop)

    async def _lead(self, stream: SocketStream) -> None:
        if self._tls is not None:
            await stream.start_tls(self._tls, HANDSHAKE_SECONDS)
        await self._serve(stream)

    async def _refuse(self, stream: SocketStream) -> None:
        if self._tls is None:  # a handshake for a refusal is work for nothing
            stream.send(self._refusal)

    async def _run(self, stream: SocketStream, lead: Serve) -> None:
        try:
            await lead(stream)
            await stream.close()
        except ConnectionError:
            pass  # the peer is gone
        except Exception:
            log.exception("a fault of this server; the connection from %s ends", stream.peer)
        finally:
            stream.abort()

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

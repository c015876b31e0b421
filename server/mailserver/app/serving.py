"""What both servers do: settings, data folder, ports, processes, from start to SIGTERM."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import uvloop

from mailserver import settings, workers
from mailserver.accounts.users_file import UsersFile
from mailserver.app.opening import CannotStart, look, open_certificate, open_data
from mailserver.counts import Counts, Presence, Rate
from mailserver.net.backlog import Backlog
from mailserver.net.door import Door
from mailserver.net.listener import Listener, Refusals, Serve, bind
from mailserver.net.proxies import Proxies
from mailserver.net.tls import CertificateUnusable, ServerTls
from mailserver.observe import log
from mailserver.settings import Settings
from mailserver.store.files import FileStore
from mailserver.threads import Threads
from mailserver.wire import peer
from mailserver.wire.value import value

logger = logging.getLogger(__name__)

_CONFIGURATION_ERROR = os.EX_CONFIG

CLEAR_PASSWORDS: dict[str, Callable[[str], bool]] = {
    "never": lambda address: False,
    "own": peer.is_own,
    "near": peer.is_near,
    "always": lambda address: True,
}
"""Whether a client at an IP address may send a password without TLS, by the words of the setting;
what the password itself shows is another matter."""


@value(frozen=True, slots=True)
class Parts:
    """What all connections share; of one process."""

    chosen: Settings
    users: UsersFile
    store: FileStore
    tls: ServerTls
    threads: Threads
    number: int
    """Of the process, from 0."""
    counts: Counts
    """Of all processes."""


@value(frozen=True, slots=True)
class Port:
    """One that is listened on."""

    number: int | None
    """None: it is switched off."""
    purpose: str = ""
    inside_tls: bool = False
    """TLS begins with the first octet."""
    submission: bool = False
    """Only users send there (RFC 6409)."""


class Server(Protocol):
    """What smtpmail and popserver differ in."""

    refusals: Refusals
    protocols: Sequence[bytes]
    """Its names in TLS (ALPN)."""

    def ports(self, chosen: Settings) -> list[Port]:
        """The main one first."""

    def serve(self, parts: Parts) -> Callable[[Port], Serve]:
        """What leads a connection to this port."""

    def check(self, chosen: Settings) -> None:
        """Look at what only this server needs; raises CertificateUnusable and CannotStart."""

    def prepare(self, chosen: Settings) -> None:
        """Open what all processes share, before they are made; raises CannotStart."""

    async def stop(self, patience: float) -> None:
        """End, within so many seconds, what goes on besides connections."""

    def end(self) -> None:
        """Nobody asks for anything any more; wait for what is under way."""


def _listeners(parts: Parts, server: Server, ports: list[Port]) -> list[Listener]:
    """One a port, in their order."""
    chosen = parts.chosen
    door = Door(
        chosen.limits.connections,
        chosen.limits.connections_per_address,
        from_one=parts.counts.connections,
        rate=parts.counts.new_connections,
        worker=parts.number,
    )
    proxies, backlog = Proxies(chosen.access.proxies), Backlog()
    serve = server.serve(parts)
    seconds = chosen.times.session_timeout
    return [
        Listener(
            serve(port),
            door,
            server.refusals,
            parts.tls if port.inside_tls else None,
            proxies,
            seconds,
            backlog,
        )
        for port in ports
    ]


def run(command: str, what: str, server: Server) -> int:
    """A command, from its arguments to its exit status."""
    log.start(command)
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # there would be passwords in it
    try:
        chosen = _share(settings.read(command, what))
        if chosen.check:
            look(chosen)
            server.check(chosen)
            logger.info("settings and data folder are good")
            return 0
        users, store = open_data(chosen)
        tls = open_certificate(chosen, server.protocols)
        server.check(chosen)
        server.prepare(chosen)
        ports = [port for port in server.ports(chosen) if port.number is not None]
        bound = [_listen(chosen, port) for port in ports]
    except (settings.Unusable, CannotStart, CertificateUnusable) as problem:
        sys.stderr.writelines(f"{command}: {line}\n" for line in problem.args)
        return _CONFIGURATION_ERROR

    counts = counts_of(chosen, len(bound[0]), time.monotonic)

    def work(number: int, waited_for: int | None) -> int:
        listeners = lambda: _listeners(  # noqa: E731
            Parts(chosen, users, store, tls, Threads("disk", 8), number, counts), server, ports
        )
        sockets = [of_workers[number] for of_workers in bound]
        uvloop.run(_serve(listeners, sockets, waited_for, chosen.times.stop_timeout, server))
        server.end()
        store.close()
        return 0

    gc.freeze()  # what is there by now stays: nothing looks at it again, and the workers share it
    gc.enable()  # off since the command began, for nothing of that is garbage
    return workers.run(len(bound[0]), work)


async def _serve(
    compose: Callable[[], list[Listener]],
    sockets: list[socket.socket],
    waited_for: int | None,
    patience: float,
    server: Server,
) -> None:
    """From start to SIGTERM."""
    listeners = compose()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if waited_for is not None:
        loop.add_reader(waited_for, stop.set)
    for listener, bound in zip(listeners, sockets, strict=True):
        await listener.start(bound)
    await stop.wait()
    logger.info("stopping")
    await asyncio.gather(
        server.stop(patience), *(listener.stop(patience) for listener in listeners)
    )
    logger.info("stopped")


def _listen(chosen: Settings, port: Port) -> list[socket.socket]:
    """A socket a worker."""
    number = port.number or 0
    try:
        sockets = bind(chosen.listening.host, number, chosen.listening.workers)
    except OSError as error:
        raise CannotStart(_bind_problem(chosen.listening.host, number, error)) from None
    purpose = f" for {port.purpose}" if port.purpose else ""
    where = sockets[0].getsockname()[:2]
    logger.info("listening on %s:%d%s, data in %s", *where, purpose, chosen.data)
    return sockets


def _bind_problem(host: str, port: int, error: OSError) -> str:
    where = f"port {port}" + (f" of {host}" if host else "")
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use by another program"
    if error.errno == errno.EACCES:
        return f"{where} needs more rights; take one above 1023, such as {2000 + port}"
    return f"cannot listen on {where}: {error.strerror or error}"


def _share(chosen: Settings) -> Settings:
    """Say how many workers there are, take as many open files as the system lets us have, and give
    each worker its part of the connections. A connection is a file, and half of the files are for
    mailboxes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # one a core that we may use, but not dozens on a big machine: each costs memory
    workers = chosen.listening.workers or min(len(os.sched_getaffinity(0)), 4)
    connections = min(-(-chosen.limits.connections // workers), most // 2)
    return replace(
        chosen,
        listening=replace(chosen.listening, workers=workers),
        limits=replace(chosen.limits, connections=connections),
    )


def counts_of(chosen: Settings, workers: int, clock: Callable[[], float]) -> Counts:
    """What the workers will count together; to be made before they are."""
    limits = chosen.limits

    def rate(a_minute: int | None) -> Rate | None:
        return Rate(a_minute, clock) if a_minute else None

    return Counts(
        Presence(workers),
        rate(limits.connections_per_minute),
        rate(limits.messages_per_minute),
        rate(limits.messages_per_user),
    )

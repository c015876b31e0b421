"""Puts the parts together: the only place that names concrete backends. No logic."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

import uvloop

from mailserver import durable, settings, workers
from mailserver.accounts.slowdown import Failures
from mailserver.accounts.users_file import AccountsUnusable, UsersFile
from mailserver.delivery.accept import Policy, Reception, Trust
from mailserver.delivery.addressing import Addresses
from mailserver.message.ids import MessageIds
from mailserver.net import pop3_driver, smtp_driver
from mailserver.net.door import Door
from mailserver.net.listener import Listener, Refusals, Serve, bind
from mailserver.net.pace import Pacing
from mailserver.net.proxies import Proxies
from mailserver.net.self_signed import certificate_in
from mailserver.net.smtp_access import Access
from mailserver.net.threads import Threads
from mailserver.net.tls import CertificateUnusable, ServerTls
from mailserver.observe import log
from mailserver.pop3 import replies as pop3_replies
from mailserver.relaying import Relaying, client_tls
from mailserver.settings import Settings
from mailserver.smtp import replies as smtp_replies
from mailserver.smtp.service import Limits, Service
from mailserver.store.base import Usage
from mailserver.store.commit import GroupCommit
from mailserver.store.files import OPEN_MAILBOXES, FileStore
from mailserver.wire import peer

logger = logging.getLogger(__name__)

_CONFIGURATION_ERROR = os.EX_CONFIG


def smtpmail() -> int:
    """The command `smtpmail`."""
    return _main("smtpmail", "SMTP server (RFC 5321) over a folder of mailboxes.", _Smtp())


def popserver() -> int:
    """The command `popserver`."""
    return _main("popserver", "POP3 server (RFC 1939) over a folder of mailboxes.", _Pop3())


CLEAR_PASSWORDS: dict[str, Callable[[str], bool]] = {
    "never": lambda address: False,
    "own": peer.is_own,
    "near": peer.is_near,
    "always": lambda address: True,
}
"""Whether a client at an IP address may send a password without TLS, by the words of the setting;
what the password itself shows is another matter."""


class _CannotStart(Exception):
    """Says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What all connections share; of one process."""

    chosen: Settings
    users: UsersFile
    store: FileStore
    tls: ServerTls
    threads: Threads
    number: int
    """Of the process, from 0."""


@dataclass(frozen=True, slots=True)
class _Port:
    """One that is listened on."""

    number: int | None
    """None: it is switched off."""
    purpose: str = ""
    inside_tls: bool = False
    """TLS begins with the first octet."""
    submission: bool = False
    """Only users send there (RFC 6409)."""


class _Protocol(Protocol):
    """What smtpmail and popserver differ in."""

    refusals: Refusals

    def ports(self, chosen: Settings) -> list[_Port]:
        """The main one first."""

    def serve(self, parts: _Parts) -> Callable[[_Port], Serve]:
        """What leads a connection to this port."""

    async def stop(self, patience: float) -> None:
        """End, within so many seconds, what goes on besides connections."""


class _Smtp:
    refusals = Refusals(
        smtp_replies.TOO_MANY_CONNECTIONS.encode(extended=False),
        smtp_replies.TOO_MANY_FROM_YOU.encode(extended=False),
    )

    def ports(self, chosen: Settings) -> list[_Port]:
        further = chosen.ports
        inside_tls = "submission inside TLS"
        return [
            _Port(chosen.port),
            _Port(further.submission_port, "submission", submission=True),
            _Port(further.submissions_port, inside_tls, inside_tls=True, submission=True),
        ]

    def serve(self, parts: _Parts) -> Callable[[_Port], Serve]:
        chosen = parts.chosen
        commit = GroupCommit(parts.store)
        new_id = MessageIds(secrets.token_hex(6))
        self._relaying = relaying = Relaying(chosen, parts.threads)
        reception = Reception(
            policy(chosen),
            parts.users,
            parts.store,
            commit.append,
            time.time,
            new_id,
            trust(chosen),
            relaying.outbox,
        )
        if parts.number == 0:
            relaying.start(reception)
        allowed = chosen.limits
        limits = Limits(
            message_octets=allowed.message_limit,
            recipients=allowed.recipient_limit,
            errors=allowed.error_limit,
            messages=allowed.messages_per_session,
            commands=allowed.command_limit,
        )
        service = Service(limits, verifies=chosen.delivery.verify)
        clear_passwords = CLEAR_PASSWORDS[chosen.access.clear_passwords]
        access = Access(parts.users, secrets.token_urlsafe, clear_passwords, parts.tls)
        times = chosen.times
        timeouts = smtp_driver.Timeouts(
            command=times.command_timeout,
            first_command=times.first_command_timeout,
            content=times.command_timeout,
            send=times.send_timeout,
            pacing=Pacing(times.message_pace, times.message_timeout),
        )
        own_name = chosen.listening.domains[0]

        def at(port: _Port) -> Serve:
            here = replace(service, submission=port.submission)
            return lambda stream: smtp_driver.SmtpDriver(
                stream, own_name, here, access, timeouts, reception, parts.threads
            ).run()

        return at

    async def stop(self, patience: float) -> None:
        await self._relaying.stop(patience)


class _Pop3:
    refusals = Refusals(
        pop3_replies.err(pop3_replies.TOO_MANY_CONNECTIONS),
        pop3_replies.err(pop3_replies.TOO_MANY_FROM_YOU),
    )

    def ports(self, chosen: Settings) -> list[_Port]:
        return [
            _Port(chosen.port),
            _Port(chosen.ports.pop3s_port, "POP3 inside TLS", inside_tls=True),
        ]

    def serve(self, parts: _Parts) -> Callable[[_Port], Serve]:
        times = parts.chosen.times
        timeouts = pop3_driver.Timeouts(times.login_timeout, times.idle_timeout, times.send_timeout)
        chosen = parts.chosen.access
        access = pop3_driver.Access(
            nonce=secrets.token_urlsafe,
            clock=time.time,
            clear_passwords=CLEAR_PASSWORDS[chosen.clear_passwords],
            tls=parts.tls,
            apop=chosen.apop,
            login_delay=chosen.login_delay,
            command_limit=parts.chosen.limits.command_limit,
        )
        own_name = parts.chosen.listening.domains[0]
        return lambda port: (
            lambda stream: pop3_driver.Pop3Driver(
                stream, own_name, timeouts, access, parts.users, parts.store, parts.threads
            ).run()
        )

    async def stop(self, patience: float) -> None:
        """There is nothing else."""


def trust(chosen: Settings) -> Trust | None:
    """Who looks into where mail comes from; needs a running event loop."""
    asked = chosen.trust
    if asked.sender_checks == "off":
        return None
    # dnspython takes memory and time to load: only those pay who ask for it
    from mailserver.net.dns import Dns
    from mailserver.net.sender_dns import SenderDns
    from mailserver.trust.checks import Checks, Rules

    rules = Rules(
        chosen.listening.domains, asked.sender_checks == "reject", asked.sender_check_timeout
    )
    resolver = SenderDns(Dns(asked.nameservers))
    return Checks(rules, resolver, Threads("signatures", 2), time.time)


def policy(chosen: Settings) -> Policy:
    """What mail is taken."""
    delivery = chosen.delivery
    addresses = Addresses(
        chosen.listening.domains,
        dict(delivery.aliases),
        delivery.plus_addresses,
        delivery.catch_all,
        delivery.postmaster,
        chosen.listening.own_addresses,
    )
    quota = Usage(delivery.quota_octets or 0, delivery.quota_messages or 0)
    limits = chosen.limits
    return Policy(
        addresses,
        limits.subject_limit,
        quota,
        limits.messages_per_minute,
        limits.messages_per_user,
        chosen.relaying.users_relay,
        chosen.relaying.relay_from,
    )


def _listeners(parts: _Parts, protocol: _Protocol, ports: list[_Port]) -> list[Listener]:
    """One a port, in their order."""
    chosen = parts.chosen
    door = Door(chosen.limits.connections, chosen.limits.connections_per_address)
    proxies = Proxies(chosen.access.proxies)
    serve = protocol.serve(parts)
    seconds = chosen.times.session_timeout
    return [
        Listener(
            serve(port),
            door,
            protocol.refusals,
            parts.tls if port.inside_tls else None,
            proxies,
            seconds,
        )
        for port in ports
    ]


def _main(command: str, what: str, protocol: _Protocol) -> int:
    log.start(command)
    os.umask(0o077)
    try:
        chosen = _share(settings.read(command, what))
        users, store = _open_data(chosen)
        tls = _open_certificate(chosen)
        client_tls(chosen)
        if chosen.check:
            logger.info("settings and data folder are good")
            return 0
        ports = [port for port in protocol.ports(chosen) if port.number is not None]
        bound = [_listen(chosen, port) for port in ports]
    except (settings.Unusable, _CannotStart, CertificateUnusable) as problem:
        sys.stderr.writelines(f"{command}: {line}\n" for line in problem.args)
        return _CONFIGURATION_ERROR

    def work(number: int, waited_for: int | None) -> int:
        listeners = lambda: _listeners(  # noqa: E731
            _Parts(chosen, users, store, tls, Threads("disk", 8), number), protocol, ports
        )
        sockets = [of_workers[number] for of_workers in bound]
        uvloop.run(_serve(listeners, sockets, waited_for, chosen.times.stop_timeout, protocol))
        return 0

    return workers.run(len(bound[0]), work)


async def _serve(
    compose: Callable[[], list[Listener]],
    sockets: list[socket.socket],
    waited_for: int | None,
    patience: float,
    protocol: _Protocol,
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
    await asyncio.gather(*(listener.stop(patience) for listener in listeners))
    await protocol.stop(patience)
    logger.info("stopped")


def _listen(chosen: Settings, port: _Port) -> list[socket.socket]:
    """A socket a worker."""
    number = port.number or 0
    try:
        sockets = bind(chosen.listening.host, number, _workers(chosen))
    except OSError as error:
        raise _CannotStart(_bind_problem(chosen.listening.host, number, error)) from None
    purpose = f" for {port.purpose}" if port.purpose else ""
    where = sockets[0].getsockname()[:2]
    logger.info("listening on %s:%d%s, data in %s", *where, purpose, chosen.data)
    return sockets


def _open_certificate(chosen: Settings) -> ServerTls:
    access, data = chosen.access, chosen.data
    try:
        if access.certificate:
            certificate = data / access.certificate
            return ServerTls(certificate, data / access.key if access.key else certificate)
        folder = data / durable.OWN_FOLDER / "tls"
        return ServerTls(*certificate_in(folder, chosen.listening.domains, datetime.now(UTC)))
    except CertificateUnusable as problem:
        raise _CannotStart(str(problem)) from None
    except OSError as error:
        raise _CannotStart(f"{data}: no certificate could be made: {error.strerror}") from None


def _open_data(chosen: Settings) -> tuple[UsersFile, FileStore]:
    data = chosen.data
    if not data.is_dir():
        raise _CannotStart(f"{data} is not a folder; name the data folder with --data DIR")
    try:
        access = chosen.access
        allowed = Failures(access.auth_failures, access.auth_failures_per_address)
        users = UsersFile(data, allowed=allowed)
        open_mailboxes = min(OPEN_MAILBOXES, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 16)
        memory = chosen.limits.memory_limit
        store = FileStore(data, time.time, open_mailboxes=open_mailboxes, memory_octets=memory)
        return users, store
    except AccountsUnusable as problem:
        raise _CannotStart(str(problem)) from None
    except OSError as error:
        hint = ""
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            hint = f"; it must be writable: chown -R {os.getuid()}:{os.getgid()} {data}"
        raise _CannotStart(f"{data}: {error.strerror}{hint}") from None


def _bind_problem(host: str, port: int, error: OSError) -> str:
    where = f"port {port}" + (f" of {host}" if host else "")
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use by another program"
    if error.errno == errno.EACCES:
        return f"{where} needs more rights; take one above 1023, such as {2000 + port}"
    return f"cannot listen on {where}: {error.strerror or error}"


def _share(chosen: Settings) -> Settings:
    """Take as many open files as the system lets us have, and give each worker its part of the
    connections. A connection is a file, and half of the files are for mailboxes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    limits = chosen.limits
    connections = min(-(-limits.connections // _workers(chosen)), most // 2)
    return replace(chosen, limits=replace(limits, connections=connections))


def _workers(chosen: Settings) -> int:
    """0: one a core that we may use, but not dozens on a big machine: each costs memory."""
    return chosen.listening.workers or min(len(os.sched_getaffinity(0)), 4)

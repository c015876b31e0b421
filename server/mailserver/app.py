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
from dataclasses import replace

import uvloop

from mailserver import settings, workers
from mailserver.accounts.users_file import AccountsUnusable, UsersFile
from mailserver.delivery.accept import Policy, Reception
from mailserver.delivery.addressing import Addresses
from mailserver.message.ids import MessageIds
from mailserver.net import pop3_driver, smtp_driver
from mailserver.net.listener import Listener, Serve, bind
from mailserver.net.threads import DiskThreads
from mailserver.observe import log
from mailserver.pop3 import replies as pop3_replies
from mailserver.settings import Settings
from mailserver.smtp import replies as smtp_replies
from mailserver.smtp.service import Limits, Service
from mailserver.store.base import Usage
from mailserver.store.commit import GroupCommit
from mailserver.store.files import OPEN_MAILBOXES, FileStore

logger = logging.getLogger(__name__)

_CONFIGURATION_ERROR = os.EX_CONFIG


def smtpmail() -> int:
    """The command `smtpmail`."""
    return _main("smtpmail", "SMTP server (RFC 5321) over a folder of mailboxes.", _smtp)


def popserver() -> int:
    """The command `popserver`."""
    return _main("popserver", "POP3 server (RFC 1939) over a folder of mailboxes.", _pop3)


class _CannotStart(Exception):
    """Says what is wrong and what to do."""


Compose = Callable[[Settings, UsersFile, FileStore, DiskThreads], Listener]


def _smtp(chosen: Settings, users: UsersFile, store: FileStore, threads: DiskThreads) -> Listener:
    commit = GroupCommit(store)
    new_id = MessageIds(secrets.token_hex(6))
    reception = Reception(policy(chosen), users, store, commit.append, time.time, new_id)
    limits = Limits(
        chosen.limits.message_limit, chosen.limits.recipient_limit, chosen.limits.error_limit
    )
    service = Service(limits)
    times = chosen.times
    timeouts = smtp_driver.Timeouts(
        command=times.command_timeout,
        first_command=times.first_command_timeout,
        content=times.command_timeout,
        send=times.send_timeout,
    )
    own_name = chosen.listening.domains[0]
    serve: Serve = lambda stream: smtp_driver.SmtpDriver(  # noqa: E731
        stream, own_name, service, timeouts, reception, threads
    ).run()
    refusal = smtp_replies.TOO_MANY_CONNECTIONS.encode(extended=False)
    return Listener(serve, chosen.limits.connections, refusal)


def policy(chosen: Settings) -> Policy:
    """What mail is taken."""
    delivery = chosen.delivery
    addresses = Addresses(
        chosen.listening.domains,
        dict(delivery.aliases),
        delivery.plus_addresses,
        delivery.catch_all,
        delivery.postmaster,
    )
    quota = Usage(delivery.quota_octets or 0, delivery.quota_messages or 0)
    return Policy(addresses, chosen.limits.subject_limit, quota)


def _pop3(chosen: Settings, users: UsersFile, store: FileStore, threads: DiskThreads) -> Listener:
    times = chosen.times
    timeouts = pop3_driver.Timeouts(times.login_timeout, times.idle_timeout, times.send_timeout)
    own_name = chosen.listening.domains[0]
    serve: Serve = lambda stream: pop3_driver.Pop3Driver(  # noqa: E731
        stream, own_name, timeouts, users, store, threads
    ).run()
    refusal = pop3_replies.err(pop3_replies.TOO_MANY_CONNECTIONS)
    return Listener(serve, chosen.limits.connections, refusal)


def _main(command: str, what: str, compose: Compose) -> int:
    log.start(command)
    os.umask(0o077)
    try:
        chosen = _share(settings.read(command, what))
        users, store = _open_data(chosen)
        if chosen.check:
            logger.info("settings and data folder are good")
            return 0
        sockets = _listen(chosen)
    except (settings.Unusable, _CannotStart) as problem:
        sys.stderr.writelines(f"{command}: {line}\n" for line in problem.args)
        return _CONFIGURATION_ERROR

    def work(number: int, waited_for: int | None) -> int:
        listener = lambda: compose(chosen, users, store, DiskThreads())  # noqa: E731
        uvloop.run(_serve(listener, sockets[number], waited_for, chosen.times.stop_timeout))
        return 0

    return workers.run(len(sockets), work)


async def _serve(
    compose: Callable[[], Listener], bound: socket.socket, waited_for: int | None, patience: float
) -> None:
    """From start to SIGTERM."""
    listener = compose()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if waited_for is not None:
        loop.add_reader(waited_for, stop.set)
    await listener.start(bound)
    await stop.wait()
    logger.info("stopping")
    await listener.stop(patience)
    logger.info("stopped")


def _listen(chosen: Settings) -> list[socket.socket]:
    try:
        sockets = bind(chosen.listening.host, chosen.port, _workers(chosen))
    except OSError as error:
        raise _CannotStart(_bind_problem(chosen, error)) from None
    host, port = sockets[0].getsockname()[:2]
    logger.info("listening on %s:%d, data in %s", host, port, chosen.data)
    return sockets


def _open_data(chosen: Settings) -> tuple[UsersFile, FileStore]:
    data = chosen.data
    if not data.is_dir():
        raise _CannotStart(f"{data} is not a folder; name the data folder with --data DIR")
    try:
        users = UsersFile(data)
        open_mailboxes = min(OPEN_MAILBOXES, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 16)
        return users, FileStore(data, time.time, open_mailboxes=open_mailboxes)
    except AccountsUnusable as problem:
        raise _CannotStart(str(problem)) from None
    except OSError as error:
        hint = ""
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            hint = f"; it must be writable: chown -R {os.getuid()}:{os.getgid()} {data}"
        raise _CannotStart(f"{data}: {error.strerror}{hint}") from None


def _bind_problem(chosen: Settings, error: OSError) -> str:
    host = chosen.listening.host
    where = f"port {chosen.port}" + (f" of {host}" if host else "")
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use by another program"
    if error.errno == errno.EACCES:
        return f"{where} needs more rights; take one above 1023, such as {2000 + chosen.port}"
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

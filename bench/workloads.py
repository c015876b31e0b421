"""The workloads, a row each in WORKLOADS; what a row measures is one function.

A function gets a running server with an empty or given mailbox, warms it up, does the work
inside `with Meter(...)` and returns an Outcome. A run whose result can't be verified raises.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.load import Clients, Session
from bench.mailbox import MailboxCounter, mailbox_of
from bench.pop3load import Account
from bench.processes import Memory, MemoryWatch, cpu_seconds
from bench.secure_systems import (
    dovecot_argon2,
    dovecot_scram,
    dovecot_tls,
    dovecot_tls_reused,
    popserver_hashed,
    popserver_tls,
    postfix_tls,
    smtpmail_tls,
)
from bench.smtpload import Visit
from bench.systems import (
    PASSWORD,
    USERS,
    Server,
    Start,
    dovecot,
    dovecot_reused,
    popserver,
    postfix,
    smtpmail,
)

SECONDS_FOR_A_RUN = 300.0
SECONDS_BETWEEN_LOOKS = 0.005
WARM_MESSAGES = 200
WARM_SECONDS = 0.5
MAILBOX_MESSAGES = 10


class VoidRun(Exception):
    """The run did not do what was asked of it: there is no figure."""


@dataclass(frozen=True)
class Parameters:
    """What the command line says about every run."""

    messages: int
    octets: int
    connections: int
    seconds: float


class Meter:
    """Context manager: a server's CPU seconds and peak memory over the work in the block."""

    def __init__(self, server: Server) -> None:
        self._root = server.pid
        self.start = self.cpu = 0.0
        self.memory = Memory()

    def __enter__(self) -> Meter:
        self._cpu_before = cpu_seconds(self._root)
        self._watch = MemoryWatch(self._root)
        self.start = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu = cpu_seconds(self._root) - self._cpu_before
        self._watch.stop()
        self.memory = self._watch.peak


@dataclass(frozen=True)
class Outcome:
    """What one run gave: pieces of work in so many seconds, and what they cost the server."""

    done: int
    seconds: float
    meter: Meter
    also: dict[str, float] = field(default_factory=dict)


def _smtp_source(server: Server, parameters: Parameters, messages: int, keep_open: bool) -> None:
    """Sends the messages to alice; raises VoidRun when one is not accepted."""
    command = ["smtp-source", "-s", str(parameters.connections), "-l", str(parameters.octets)]
    command += ["-m", str(messages), "-f", "bob@mailserver", "-t", "alice@mailserver"]
    command += ["-d"] if keep_open else []
    command.append(f"127.0.0.1:{server.port}")
    result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_FOR_A_RUN)
    if result.returncode or result.stderr:
        raise VoidRun(f"{' '.join(command)}: {result.stderr.strip() or result.returncode}")


def _wait_until_delivered(mailbox: Path, expected: int) -> float:
    """The time (of time.monotonic) of the first look that saw them all."""
    counter = MailboxCounter(mailbox)
    deadline = time.monotonic() + SECONDS_FOR_A_RUN
    while (look := time.monotonic()) < deadline:
        if counter.count() >= expected:
            return look
        time.sleep(SECONDS_BETWEEN_LOOKS)
    raise VoidRun(f"{expected} messages expected in {mailbox}, {counter.count()} came")


def _verify(mailbox: Path, expected: int) -> None:
    found = MailboxCounter(mailbox).count()
    if found != expected:
        raise VoidRun(f"{expected} messages expected in {mailbox}, {found} are there")


def receive(server: Server, parameters: Parameters, *, keep_open: bool) -> Outcome:
    """Messages to one mailbox; the clock stops when the last one is in it.

    With a server that delivers before its 250 that is at once; Postfix has a queue in between.
    """
    warm = WARM_MESSAGES
    _smtp_source(server, parameters, warm, keep_open)
    _wait_until_delivered(server.mailbox, warm)
    with Meter(server) as meter:
        _smtp_source(server, parameters, parameters.messages, keep_open)
        accepted = time.monotonic() - meter.start
        seen = _wait_until_delivered(server.mailbox, warm + parameters.messages)
    _verify(server.mailbox, warm + parameters.messages)
    also = {"accepted_per_second": parameters.messages / accepted}
    return Outcome(parameters.messages, seen - meter.start, meter, also)


def look(
    server: Server, parameters: Parameters, *, clients: int, tls: str = "", scram: bool = False
) -> Outcome:
    """Login, STAT, UIDL and QUIT; each client has a mailbox of its own."""
    port, users = server.port_for(tls), USERS[:clients]
    return _one_after_another(
        server,
        parameters,
        [Account(port, user, PASSWORD, MAILBOX_MESSAGES, tls, scram) for user in users],
    )


def visit(server: Server, parameters: Parameters, *, tls: str, login: bool = False) -> Outcome:
    """SMTP sessions without a message, four clients."""
    visits = [Visit(server.port_for(tls), user, PASSWORD, tls, login) for user in USERS]
    return _one_after_another(server, parameters, visits)


def _one_after_another(
    server: Server, parameters: Parameters, sessions: Sequence[Session]
) -> Outcome:
    with Clients(sessions) as pool:
        pool.run(WARM_SECONDS)
        with Meter(server) as meter:
            done = pool.run(parameters.seconds)
    return Outcome(done, parameters.seconds, meter)


@dataclass(frozen=True)
class Workload:
    """A row: what is done, in which unit, by whom, and on which mailbox it begins.

    The first system is ours, the others are compared with it.
    """

    name: str
    title: str
    unit: str
    systems: tuple[Start, ...]
    run: Callable[[Server, Parameters], Outcome]
    mailbox: bytes = b""


_RECEIVERS = (smtpmail, postfix)
_READERS = (popserver, dovecot, dovecot_reused)
_SUBMISSIONS = (smtpmail_tls, postfix_tls)
_TLS_READERS = (popserver_tls, dovecot_tls, dovecot_tls_reused)
_TEN = mailbox_of(MAILBOX_MESSAGES)

WORKLOADS = (
    Workload(
        "smtp-kept-open",
        "messages over connections kept open, delivered to one mailbox",
        "messages",
        _RECEIVERS,
        partial(receive, keep_open=True),
    ),
    Workload(
        "smtp-new-connection",
        "messages over a new connection each, delivered to one mailbox",
        "messages",
        _RECEIVERS,
        partial(receive, keep_open=False),
    ),
    Workload(
        "pop3-look-1",
        "login, STAT, UIDL, QUIT on a mailbox of 10 messages, 1 client",
        "sessions",
        _READERS,
        partial(look, clients=1),
        _TEN,
    ),
    Workload(
        "pop3-look-4",
        "login, STAT, UIDL, QUIT on mailboxes of 10 messages, 4 clients",
        "sessions",
        _READERS,
        partial(look, clients=4),
        _TEN,
    ),
    Workload(
        "smtp-starttls",
        "EHLO, STARTTLS, EHLO, NOOP, QUIT, 4 clients",
        "sessions",
        _SUBMISSIONS,
        partial(visit, tls="STARTTLS"),
    ),
    Workload(
        "smtp-tls",
        "TLS at once, EHLO, NOOP, QUIT, 4 clients",
        "sessions",
        _SUBMISSIONS,
        partial(visit, tls="at once"),
    ),
    Workload(
        "smtp-auth",
        "TLS at once, EHLO, AUTH PLAIN, NOOP, QUIT, 4 clients",
        "sessions",
        _SUBMISSIONS,
        partial(visit, tls="at once", login=True),
    ),
    Workload(
        "pop3-stls",
        "STLS, then as pop3-look-4",
        "sessions",
        _TLS_READERS,
        partial(look, clients=4, tls="STLS"),
        _TEN,
    ),
    Workload(
        "pop3-tls",
        "TLS at once, then as pop3-look-4",
        "sessions",
        _TLS_READERS,
        partial(look, clients=4, tls="at once"),
        _TEN,
    ),
    Workload(
        "pop3-scram",
        "TLS at once, login by SCRAM-SHA-256 with keys that are kept, 4 clients",
        "sessions",
        (popserver_hashed, dovecot_scram),
        partial(look, clients=4, tls="at once", scram=True),
        _TEN,
    ),
    Workload(
        "pop3-argon2",
        "TLS at once, USER and PASS of users with argon2id hashes, 4 clients",
        "sessions",
        (popserver_hashed, dovecot_argon2),
        partial(look, clients=4, tls="at once"),
        _TEN,
    ),
)

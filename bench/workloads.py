"""The workloads, a row each in WORKLOADS; what the first case of a row measures is ours."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from bench.mailbox import Mailbox
from bench.queue_systems import postfix_with_queue, smtpmail_with_queue
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
from bench.systems import (
    Start,
    dovecot,
    dovecot_maildir,
    dovecot_reused,
    popserver,
    popserver_for_many,
    postfix,
    smtp_sink,
    smtpmail,
    smtpmail_for_many,
)
from bench.work.copies import COPY_USERS, receive_copies
from bench.work.crowds import POP3, POP3_LOGGED_IN, SMTP, idle, serve_beside_slow
from bench.work.fetching import FETCHED, LARGE, fetch, handle_large
from bench.work.queue import QUEUED, work_off
from bench.work.receiving import (
    SPREAD_USERS,
    receive,
    receive_huge,
    receive_megabytes,
    receive_spread,
)
from bench.work.sessions import MESSAGES, look, visit
from bench.work.starting import start
from bench.workload import NO_MAILBOX, Case, Run, Workload

_TEN = Mailbox(MESSAGES)


def _beside(run: Run, *starts: Start, mailbox: Mailbox = NO_MAILBOX) -> tuple[Case, ...]:
    """Systems with the same work, each by the name of the function that starts it."""
    return tuple(Case(start.__name__, start, run, mailbox) for start in starts)


def _received(keep_open: bool) -> tuple[Case, ...]:
    """Postfix gets fewer messages: it takes longer for them than the others for all of theirs. New
    connections are fewer than the kernel has local ports: near that it searches long for one."""
    run = partial(receive, keep_open=keep_open)
    ours, sinks = (30_000, 60_000) if keep_open else (12_000, 12_000)
    return (
        Case("smtpmail", smtpmail, partial(run, messages=ours)),
        Case("postfix", postfix, partial(run, messages=4_000)),
        Case("smtp_sink", smtp_sink, partial(run, messages=sinks)),
    )


_READERS = (popserver, dovecot_reused, dovecot, dovecot_maildir)
_SUBMISSIONS = (smtpmail_tls, postfix_tls)
_TLS_READERS = (popserver_tls, dovecot_tls_reused, dovecot_tls)


def _looks(name: str, title: str, clients: int, *starts: Start, tls: str = "") -> Workload:
    return Workload(
        name, title, _beside(partial(look, clients=clients, tls=tls), *starts, mailbox=_TEN)
    )


def _appended(messages: int) -> Case:
    there = replace(LARGE, messages=messages)
    run = partial(receive, messages=6_000, there=there)
    return Case(f"to_{messages}", smtpmail, run, there)


WORKLOADS = (
    Workload(
        "smtp-kept-open",
        "4 KB messages, 20 connections kept open, delivered to one mailbox",
        _received(keep_open=True),
    ),
    Workload(
        "smtp-new-connection",
        "4 KB messages, a new connection each, 20 at once, delivered to one mailbox",
        _received(keep_open=False),
    ),
    Workload(
        "smtp-spread",
        "4 KB messages, 20 connections kept open, to 1,000 mailboxes and to one",
        (
            Case(
                "to_1000",
                partial(smtpmail, users=SPREAD_USERS),
                partial(receive_spread, messages=10_000),
            ),
            Case("to_one", smtpmail, partial(receive_spread, messages=10_000, to_one=True)),
        ),
    ),
    Workload(
        "smtp-megabytes",
        "1 MB messages, 20 connections kept open, delivered to one mailbox",
        (
            Case("smtpmail", smtpmail, partial(receive_megabytes, messages=300)),
            Case("postfix", postfix, partial(receive_megabytes, messages=100)),
        ),
    ),
    Workload(
        "smtp-100-recipients",
        "4 KB messages to 100 users each, 10 clients, a new connection each",
        (
            Case(
                "smtpmail",
                partial(smtpmail, users=COPY_USERS),
                partial(receive_copies, messages=200),
            ),
            Case(
                "postfix",
                partial(postfix, users=COPY_USERS),
                partial(receive_copies, messages=60),
            ),
        ),
    ),
    Workload(
        "smtp-append",
        "4 KB messages, 20 connections kept open, to mailboxes of 10, 1,000 and 100,000 messages",
        tuple(map(_appended, (10, 1_000, LARGE.messages))),
    ),
    _looks("pop3-look-1", "login, STAT, UIDL, QUIT on 10 messages, 1 client", 1, *_READERS),
    _looks("pop3-look-4", "login, STAT, UIDL, QUIT on 10 messages, 4 clients", 4, *_READERS),
    Workload(
        "pop3-fetch",
        "RETR of 2,000 messages of 4 KB, one by one and pipelined",
        _beside(fetch, popserver, dovecot_reused, dovecot_maildir, mailbox=FETCHED),
    ),
    Workload(
        "pop3-large",
        "100,000 messages of 10 KB: opened without an index, with it, the first one deleted",
        _beside(handle_large, popserver, dovecot_reused, dovecot_maildir, mailbox=LARGE),
    ),
    Workload(
        "smtp-idle",
        "memory of an idle connection, after EHLO (10,000; Postfix has 100 processes)",
        (
            Case("smtpmail", smtpmail_for_many, partial(idle, dialogue=SMTP)),
            Case("postfix", postfix, partial(idle, dialogue=SMTP, connections=90)),
        ),
        rounds=3,
    ),
    Workload(
        "pop3-idle",
        "memory of an idle connection, greeted (10,000; Dovecot 1,000), and logged in (2,000)",
        (
            Case("popserver", popserver_for_many, partial(idle, dialogue=POP3)),
            Case(
                "popserver_logged_in",
                popserver_for_many,
                partial(idle, dialogue=POP3_LOGGED_IN, connections=2_000),
            ),
            Case("dovecot_reused", dovecot_reused, partial(idle, dialogue=POP3, connections=1_000)),
        ),
        rounds=3,
    ),
    Workload(
        "smtp-slow-senders",
        "a client's sessions with a 4 KB message, beside 5,000 clients that send an octet a second",
        (Case("smtpmail", smtpmail_for_many, serve_beside_slow),),
        rounds=3,
    ),
    Workload(
        "smtp-100-times-50-mb",
        "memory while 100 clients send 50 MB each",
        _beside(receive_huge, smtpmail),
        rounds=1,
    ),
    Workload(
        "queue",
        "100,000 messages of 4 KB in the queue, for 1,000 servers of which 10 % are dead",
        (
            Case("smtpmail", smtpmail_with_queue, work_off, QUEUED),
            Case("postfix", postfix_with_queue, work_off, QUEUED),
        ),
        rounds=1,
    ),
    Workload(
        "start",
        "from the start to the greeting, in a new data folder",
        _beside(start, smtpmail, popserver, postfix, dovecot),
    ),
    Workload(
        "smtp-starttls",
        "EHLO, STARTTLS, EHLO, NOOP, QUIT, 4 clients",
        _beside(partial(visit, tls="STARTTLS"), *_SUBMISSIONS),
    ),
    Workload(
        "smtp-tls",
        "TLS at once, EHLO, NOOP, QUIT, 4 clients",
        _beside(partial(visit, tls="at once"), *_SUBMISSIONS),
    ),
    Workload(
        "smtp-auth",
        "TLS at once, EHLO, AUTH PLAIN, NOOP, QUIT, 4 clients",
        _beside(partial(visit, tls="at once", login=True), *_SUBMISSIONS),
    ),
    _looks("pop3-stls", "STLS, then as pop3-look-4", 4, *_TLS_READERS, tls="STLS"),
    _looks("pop3-tls", "TLS at once, then as pop3-look-4", 4, *_TLS_READERS, tls="at once"),
    Workload(
        "pop3-scram",
        "TLS at once, login by SCRAM-SHA-256 with keys that are kept, 4 clients",
        _beside(
            partial(look, clients=4, tls="at once", scram=True),
            popserver_hashed,
            dovecot_scram,
            mailbox=_TEN,
        ),
    ),
    _looks(
        "pop3-argon2",
        "TLS at once, USER and PASS of users with argon2id hashes, 4 clients",
        4,
        popserver_hashed,
        dovecot_argon2,
        tls="at once",
    ),
)

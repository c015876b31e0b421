"""From arguments, configuration and environment to a server and an account."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from mailapp.actions import Account, Server
from mailapp.config import AccountConfig, ConfigProblem, config_path, read_config
from mailapp.link import CONNECT_SECONDS, REPLY_SECONDS, Link, Tls
from mailapp.render import visible_line
from mailapp.secret import password
from mailapp.state import open_state, state_folder
from mailapp.trace import Line, Watch, as_text, nobody

LAST_ACCOUNT = "account"


class NoServer(Exception):
    """Neither the arguments nor the configuration name one."""


@dataclass
class Setup:
    """What every face begins with. `account` is None where the person has to say who it is."""

    server: Server
    user: str
    account: Account | None
    address: str  # what the configuration has for From; may be empty
    cleanup: ExitStack


def prepare(words: argparse.Namespace, environment: Mapping[str, str]) -> Setup:
    """Raises NoServer, ConfigProblem, or OSError for a trace that cannot be written."""
    state = open_state(state_folder(environment))
    cleanup = ExitStack()
    cleanup.callback(state.close)
    try:
        if words.host:
            account = AccountConfig(words.host, words.smtp_port, words.pop3_port)
        else:
            last = state.last(LAST_ACCOUNT)
            name, account = _known_account(words.account, environment, last)
            state.set_last(LAST_ACCOUNT, name)
        link = Link(
            tls=Tls(words.tls or account.tls),
            ca_file=_readable(words.ca_file or account.ca_file),
            may_show_password=words.insecure_auth,
            state=state,
            watch=_trace(words.trace, cleanup),
            connect_seconds=words.patience or CONNECT_SECONDS,
            reply_seconds=words.patience or REPLY_SECONDS,
        )
        server = Server(account.server, account.smtp_port, account.pop3_port, link)
        if words.trust:
            for port in (server.smtp_port, server.pop3_port):
                state.trust(server.host, port, words.trust)
        user = words.user or account.user
        secret = password(words.password_file or "", environment, account) if user else None
    except BaseException:
        cleanup.close()
        raise
    who = Account(user, secret) if user and secret is not None else None
    return Setup(server, user, who, account.address, cleanup)


def _known_account(
    name: str | None, environment: Mapping[str, str], last: str
) -> tuple[str, AccountConfig]:
    """The account that is named, else the one opened last, else the first."""
    path = config_path(environment)
    accounts = read_config(path)
    if name and name not in accounts:
        raise ConfigProblem(f"{path} has no [accounts.{name}]")
    if not accounts:
        raise NoServer(f"server_IP, smtp_port and pop3_port are required: {path} has no account")
    chosen = name or (last if last in accounts else next(iter(accounts)))
    return chosen, accounts[chosen]


def _readable(ca_file: str) -> str:
    if ca_file and not os.access(ca_file, os.R_OK):
        raise ConfigProblem(f"the file of authorities {ca_file} cannot be read")
    return ca_file


def _trace(path: str | None, cleanup: ExitStack) -> Watch:
    """Lines to this file, which nobody else may read: there is mail in it."""
    if not path:
        return nobody
    descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    file = cleanup.enter_context(os.fdopen(descriptor, "a", encoding="utf-8"))

    def write(line: Line) -> None:
        file.write(visible_line(as_text(line)) + "\n")

    return write


def with_watch(server: Server, watch: Watch) -> Server:
    """The same server, with one more who looks on."""
    before = server.link.watch

    def both(line: Line) -> None:
        before(line)
        watch(line)

    return replace(server, link=replace(server.link, watch=both))

"""Sessions one after another for some seconds: what logging in and looking costs."""

from __future__ import annotations

from collections.abc import Sequence

from bench.load import Clients, Session
from bench.pop3load import Account
from bench.smtpload import Visit
from bench.systems import PASSWORD, USERS, Server
from bench.workload import Meter, Outcome, Parameters

WARM_SECONDS = 0.5
SECONDS = 3.0
MESSAGES = 10


def look(
    server: Server, parameters: Parameters, *, clients: int, tls: str = "", scram: bool = False
) -> Outcome:
    """Login, STAT, UIDL and QUIT on 10 messages; each client has a mailbox of its own."""
    port, users = server.port_for(tls), USERS[:clients]
    accounts = [Account(port, user, PASSWORD, MESSAGES, tls, scram) for user in users]
    return _one_after_another(server, parameters, accounts)


def visit(server: Server, parameters: Parameters, *, tls: str, login: bool = False) -> Outcome:
    """SMTP sessions without a message, four clients."""
    visits = [Visit(server.port_for(tls), user, PASSWORD, tls, login) for user in USERS]
    return _one_after_another(server, parameters, visits)


def _one_after_another(
    server: Server, parameters: Parameters, sessions: Sequence[Session]
) -> Outcome:
    seconds = parameters.seconds(SECONDS)
    with Clients(sessions) as pool:
        pool.run(WARM_SECONDS)
        with Meter(server) as meter:
            done = pool.run(seconds)
    return Outcome({"per_second": done / seconds}, meter, done)

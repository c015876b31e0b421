"""One message to many users here, each of whom gets his own copy."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from bench.smtpload import Circular
from bench.systems import OWNER, Server
from bench.work.receiving import deliver, outcome
from bench.workload import Outcome, Parameters

COPIES = 100
COPY_USERS = tuple(f"{OWNER}{number}" for number in range(COPIES))
CLIENTS = 10
SECONDS_FOR_A_CLIENT = 120.0


def receive_copies(server: Server, parameters: Parameters, *, messages: int) -> Outcome:
    """Messages to 100 recipients each, a new connection each; what is counted are deliveries.

    smtp-source gives each message recipients of its own, so these are clients in Python. They
    pipeline their commands (RFC 2920), as Postfix does when it sends.
    """
    circular = Circular(server.port, COPY_USERS)
    each = parameters.count(messages // CLIENTS)
    with ProcessPoolExecutor(CLIENTS, mp_context=get_context("spawn")) as pool:
        work = partial(_send, pool, circular)
        counts = (0, CLIENTS * COPIES, CLIENTS * COPIES * (1 + each))
        times = deliver(server, COPY_USERS, partial(work, 1), partial(work, each), counts)
    return outcome(CLIENTS * COPIES * each, times)


def _send(pool: ProcessPoolExecutor, circular: Circular, each: int) -> None:
    """So many by each client, all at once."""
    futures = [pool.submit(_some, circular, each) for _ in range(CLIENTS)]
    for future in futures:
        future.result(SECONDS_FOR_A_CLIENT)


def _some(circular: Circular, messages: int) -> None:
    for _ in range(messages):
        circular()

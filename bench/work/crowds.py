"""What many connections cost: idle ones their memory, slow ones the others' time."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median, quantiles

from bench.crowd import Crowd, Manner
from bench.processes import memory
from bench.smtpload import Letter
from bench.systems import OWNER, PASSWORD, Server
from bench.workload import Meter, Outcome, Parameters

IDLE = 10_000
SLOW = 5_000
LETTERS = 1_000
SECONDS_FOR_LETTERS = 120.0
SMTP = (("", "220"), ("EHLO client\r\n", "250 "))
POP3 = (("", "+OK"), ("CAPA\r\n", "."))
POP3_LOGGED_IN = (
    ("", "+OK"),
    ("USER user{number}\r\n", "+OK"),
    (f"PASS {PASSWORD}\r\n", "+OK"),
    ("STAT\r\n", "+OK"),
)
SLOW_SENDER = (
    *SMTP,
    ("MAIL FROM:<bob@mailserver>\r\n", "250 "),
    (f"RCPT TO:<{OWNER}@mailserver>\r\n", "250 "),
    ("DATA\r\n", "354"),
)


def idle(
    server: Server,
    parameters: Parameters,
    *,
    dialogue: tuple[tuple[str, str], ...],
    connections: int = IDLE,
) -> Outcome:
    """Memory that a connection takes which does nothing; the kernel's part is not in it.

    PSS and RSS of the server's processes, before the first connection and with all of them.
    """
    count = connections if connections < IDLE else parameters.count(connections)
    before = memory(server.pid)
    with Meter(server) as meter, Crowd(Manner(server.port, dialogue), count):
        held = memory(server.pid)
    figures = {
        "kib_each": (held.pss - before.pss) / count,
        "rss_kib_each": (held.rss - before.rss) / count,
    }
    return Outcome(figures, meter, count)


def serve_beside_slow(server: Server, parameters: Parameters) -> Outcome:
    """A client's sessions with a message of 4 KB, alone, and beside those of the slow senders."""
    letters = parameters.count(LETTERS, 200)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:

        def seconds() -> list[float]:
            work = pool.submit(_write, Letter(server.port), letters)
            return work.result(SECONDS_FOR_LETTERS)

        seconds()
        alone = seconds()
        manner = Manner(server.port, SLOW_SENDER, trickles=True)
        with Crowd(manner, parameters.count(SLOW)), Meter(server) as meter:
            beside = seconds()
    p99_alone, p99_beside = _p99(alone), _p99(beside)
    figures = {
        "times_p99": p99_beside / p99_alone,
        "ms_p99_alone": 1000 * p99_alone,
        "ms_p99_beside": 1000 * p99_beside,
        "ms_median_alone": 1000 * median(alone),
        "ms_median_beside": 1000 * median(beside),
    }
    return Outcome(figures, meter, letters)


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


def _write(letter: Letter, letters: int) -> list[float]:
    """Seconds that each session took."""
    result = []
    for _ in range(letters):
        begin = time.monotonic()
        letter()
        result.append(time.monotonic() - begin)
    return result

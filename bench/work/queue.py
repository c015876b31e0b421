"""A queue that is worked off after a start."""

from __future__ import annotations

import time

from bench import queue_systems
from bench.mailbox import Mailbox
from bench.systems import Server
from bench.workload import Meter, Outcome, Parameters, VoidRun

QUEUED = Mailbox(100_000, scales=True)
SECONDS_FOR_A_RUN = 900.0
SECONDS_BETWEEN_LOOKS = 0.02


def work_off(server: Server, parameters: Parameters) -> Outcome:
    """Until each message whose server is alive is there: from the start of the first process."""
    expected = queue_systems.living(QUEUED.of_share(parameters.share).messages)
    first = 0.0
    with Meter(server) as meter:
        deadline = time.monotonic() + SECONDS_FOR_A_RUN
        while (taken := queue_systems.taken()) < expected:
            first = first or (time.monotonic() if taken else 0.0)
            if time.monotonic() > deadline:
                raise VoidRun(f"{expected} messages expected, {taken} came")
            time.sleep(SECONDS_BETWEEN_LOOKS)
        seconds = time.monotonic() - server.started
    if taken > expected:
        raise VoidRun(f"{expected} messages expected, {taken} came")
    figures = {
        "per_second": expected / seconds,
        "seconds_to_greeting": server.seconds_to_start,
        "seconds_to_first": (first or meter.start) - server.started,
        "mb_at_peak": meter.memory.pss * 1024 / 1e6,
    }
    return Outcome(figures, meter, expected)

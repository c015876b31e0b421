"""How long a start takes."""

from __future__ import annotations

from bench.processes import cpu_seconds
from bench.systems import Server
from bench.workload import Meter, Outcome, Parameters


def start(server: Server, _: Parameters) -> Outcome:
    """To the greeting of the first connection, in a new data folder."""
    cpu = cpu_seconds(server.pid)
    with Meter(server) as meter:
        figures = {"seconds_to_greeting": server.seconds_to_start, "cpu_seconds_to_greeting": cpu}
    return Outcome(figures, meter)

"""How long a start takes."""

from __future__ import annotations

from bench.systems import Server
from bench.workload import Meter, Outcome, Parameters


def start(server: Server, _: Parameters) -> Outcome:
    """To the greeting of the first connection, in a new data folder."""
    with Meter(server) as meter:
        return Outcome({"seconds_to_greeting": server.seconds_to_start}, meter)

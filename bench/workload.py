"""What a workload is: who does which work, how it is metered, and what comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.mailbox import Mailbox
from bench.processes import Memory, MemoryWatch, cpu_seconds
from bench.systems import Server, Start

NO_MAILBOX = Mailbox()


class VoidRun(Exception):
    """The run did not do what was asked of it: there is no figure."""


@dataclass(frozen=True)
class Parameters:
    """What the command line says about every run."""

    share: float = 1.0
    """Of the full counts and times."""

    def count(self, full: int, least: int = 1) -> int:
        return max(least, round(full * self.share))

    def seconds(self, full: float) -> float:
        return max(0.5, full * self.share)


class Meter:
    """Context manager: a server's CPU seconds and peak memory over the work in the block."""

    def __init__(self, server: Server) -> None:
        self._root = server.pid
        self.start = self.cpu = self.seconds = 0.0
        self.memory = Memory()

    def __enter__(self) -> Meter:
        self._cpu_before = cpu_seconds(self._root)
        self._watch = MemoryWatch(self._root)
        self.start = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self.start
        self.cpu = cpu_seconds(self._root) - self._cpu_before
        self._watch.stop()
        self.memory = self._watch.peak


@dataclass(frozen=True)
class Outcome:
    """What one run gave.

    `figures`: by names that hold the unit; those that end in `per_second` are better when they
    are more, all others when they are less. `done`: pieces of work, for CPU seconds per 1,000.
    """

    figures: dict[str, float]
    meter: Meter
    done: int = 0


Run = Callable[[Server, Parameters], Outcome]
"""Warms a running server up, does the work inside `with Meter(server)`, verifies it.

Raises VoidRun, UnexpectedReply or OSError when there is no figure."""


@dataclass(frozen=True)
class Case:
    """A system and its work in a workload."""

    name: str
    start: Start
    run: Run
    mailbox: Mailbox = NO_MAILBOX


@dataclass(frozen=True)
class Workload:
    """A row: what is done, in how many rounds at most, by whom. The first case is ours."""

    name: str
    title: str
    cases: tuple[Case, ...]
    rounds: int = 100

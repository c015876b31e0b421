"""Tests that go on for as long as one likes; docs/storage.md tells what they look for.

power       power cuts on ext4 and xfs, at any write
bugs        the same with bugs planted, each of which must be found
shutdown    power cuts under the two servers
kill        SIGKILL of the containers
queue       SIGKILL of a server that relays; with bugs planted too, each of which must be found
neighbours  procmail, mutt, Python's mailbox and Dovecot at the same mailbox file
all         all of these, a few at once
repro       a seed of `power` again
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import connection
from multiprocessing.context import ForkProcess
from types import FrameType

from tests.torture import bugs, kill, mounts, neighbours, power, queue_kill, shutdown

Job = Callable[[], str]
"""Returns what it did, or raises."""
AT_ONCE = 2 * (os.cpu_count() or 1)
"""Jobs. Most wait for a disk, or for a server to start; with more, programs of others starve."""
LOT = 25
"""Kills of one queue: what it cannot deliver is tried every second, and there is more each time."""

_ENDING = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="torture", description=__doc__, formatter_class=form)
    every = ["kill", "queue", "power", "bugs", "shutdown", "neighbours"]  # the long ones first
    parser.add_argument("what", choices=[*every, "all", "repro"])
    parser.add_argument("seeds", nargs="*", help="for repro, as a failed run printed it: ext4:123")
    parser.add_argument("--cuts", type=int, default=10_000)
    parser.add_argument("--shutdowns", type=int, default=200)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=100, help="of neighbours")
    parser.add_argument("--seed", type=int, default=time.time_ns() // 1_000_000 % 1_000_000_000)
    wanted = parser.parse_args()
    for number in _ENDING:
        signal.signal(number, _end)
    uname = os.uname()
    print(f"{uname.sysname} {uname.release} {uname.machine}, {os.cpu_count()} cores", flush=True)
    chosen = every if wanted.what == "all" else [wanted.what]
    return _at_once([job for what in chosen for job in _jobs(what, wanted)])


def _jobs(what: str, wanted: argparse.Namespace) -> Iterator[tuple[str, str, Job]]:
    """Names, what this machine lacks for them, and what to do."""
    seed = wanted.seed
    if what == "kill":
        yield what, kill.missing(), lambda: kill.rounds(seed, wanted.kills)
    if what == "queue":
        for lot in range(0, wanted.kills // 4, LOT):
            count = min(LOT, wanted.kills // 4 - lot)
            yield what, "", lambda s=seed + lot, n=count: queue_kill.rounds(s, n)
        yield f"{what}, bugs", "", lambda: queue_kill.hunt(seed, count=10)
    if what == "neighbours":
        yield what, neighbours.missing(), lambda: neighbours.rounds(seed, wanted.rounds)
    if what == "bugs":
        yield what, mounts.missing("ext4") or mounts.missing("xfs"), lambda: bugs.hunt(seed)
    for kind in mounts.MAKE:
        seeds = [one for one in wanted.seeds if one.startswith(f"{kind}:")]
        every = map(f"{kind}:{{}}".format, itertools.count(seed))
        jobs: dict[str, Job] = {
            "power": lambda k=kind, s=every: power.cuts(k, s, wanted.cuts // 2),
            "shutdown": lambda k=kind: shutdown.rounds(k, seed, wanted.shutdowns // 2),
        }
        if seeds:
            jobs["repro"] = lambda k=kind, s=seeds: power.cuts(k, iter(s), len(s) * power.CUTS)
        if what in jobs:
            yield f"{what}, {kind}", mounts.missing(kind), jobs[what]


def _at_once(jobs: list[tuple[str, str, Job]]) -> int:
    """Each in a process of its own, a few at a time; 0 when all went well."""
    fork = multiprocessing.get_context("fork")
    waiting = [fork.Process(target=_report, args=job) for job in jobs]
    running, failed = list[ForkProcess](), False
    try:
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                running.append(waiting.pop(0))
                running[-1].start()
            connection.wait([process.sentinel for process in running])
            failed |= any(process.exitcode for process in running)
            running = [process for process in running if process.exitcode is None]
    finally:
        for process in running:
            process.terminate()
    return int(failed)


def _end(number: int, frame: FrameType | None) -> None:
    """Once: whoever is told to end ends what he started, and nothing disturbs him in it."""
    for one in _ENDING:
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


def _report(name: str, lack: str, job: Job) -> None:
    if lack:
        print(f"{name}: SKIPPED, {lack}", flush=True)
        return
    begin = time.monotonic()
    try:
        done = job()
    except Exception:  # noqa: BLE001 - whatever it is, it is told and counts
        print(f"{name}: FAILED\n{traceback.format_exc()}", flush=True)
        sys.exit(1)
    print(f"{name}: {done}, {time.monotonic() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())

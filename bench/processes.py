"""CPU seconds and memory of a server and everything that it started, read from /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
SECONDS_BETWEEN_SAMPLES = 0.5


@dataclass(frozen=True)
class Process:
    """One line of /proc/<pid>/stat, as far as it is used here."""

    pid: int
    parent: int
    ticks: int
    """User and system time, its own and that of the children it has waited for."""
    ended: bool
    """Only its parent has not asked for its status yet (a zombie)."""


def read_process(pid: int) -> Process | None:
    """The process, or None when it has ended."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # proc(5): the name in parentheses may hold anything, the numbers come after the last one.
    fields = text[text.rindex(")") + 2 :].split()
    ticks = sum(map(int, fields[11:15]))
    return Process(pid, int(fields[1]), ticks, ended=fields[0] == "Z")


def tree(root: int) -> list[Process]:
    """The process `root` and all that descend from it."""
    pids = [int(entry) for entry in os.listdir(PROC) if entry.isdigit()]
    children: dict[int, list[Process]] = {}
    found: list[Process] = []
    for process in filter(None, map(read_process, pids)):
        children.setdefault(process.parent, []).append(process)
        if process.pid == root:
            found.append(process)
    for process in found:
        found.extend(children.get(process.pid, ()))
    return found


def cpu_seconds(root: int) -> float:
    """CPU seconds used by the tree since it started, ended children included."""
    return sum(process.ticks for process in tree(root)) / TICKS_PER_SECOND


def stop(root: int, seconds: float) -> None:
    """SIGTERM to the tree, and SIGKILL to what is left of it after so many seconds.

    The whole tree: a master process may have left the process group that it was started in.
    """
    processes = tree(root)
    _signal(processes, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while _alive(processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    _signal(_alive(processes), signal.SIGKILL)


def _alive(processes: list[Process]) -> list[Process]:
    now = (read_process(process.pid) for process in processes)
    return [process for process in now if process and not process.ended]


def _signal(processes: list[Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


@dataclass(frozen=True)
class Memory:
    """Kibibytes of a tree: `rss` counts a page once a process, `pss` shares it out."""

    rss: int = 0
    pss: int = 0

    def peak(self, other: Memory) -> Memory:
        return Memory(max(self.rss, other.rss), max(self.pss, other.pss))


def memory(root: int) -> Memory:
    """What the tree holds now."""
    rss = pss = 0
    for process in tree(root):
        try:
            rollup = (PROC / str(process.pid) / "smaps_rollup").read_text()
        except OSError:  # it has just ended
            continue
        sizes = dict(line.split()[:2] for line in rollup.splitlines()[1:])
        rss += int(sizes.get("Rss:", 0))
        pss += int(sizes.get("Pss:", 0))
    return Memory(rss, pss)


class MemoryWatch:
    """Samples a tree's memory from a thread, from the making until `stop`, and keeps the peak."""

    def __init__(self, root: int) -> None:
        self.peak = Memory()
        self._root = root
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(SECONDS_BETWEEN_SAMPLES):
            self._sample()

    def _sample(self) -> None:
        self.peak = self.peak.peak(memory(self._root))

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        self._sample()  # at least one, however short the run

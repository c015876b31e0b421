"""Worker processes: the same server several times, for machines with several cores.

They share nothing but the port and the data folder, whose locks hold between any two processes.
The first process only waits: it passes SIGTERM on, and when one worker ends, all do. A worker
whose first process was killed sees the end of a pipe and stops by itself.
"""

from __future__ import annotations

import logging
import os
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress

log = logging.getLogger(__name__)

Work = Callable[[int, int | None], int]
"""Called with the worker's number, from 0, and a descriptor that comes to its end when nobody
waits for this worker any more (None: it is alone); returns the exit status."""

_STOP = {signal.SIGTERM, signal.SIGINT}
_SIGNALS = {*_STOP, signal.SIGCHLD}


def run(count: int, work: Work) -> int:
    """Do the work `count` times at once, until the first ends; its exit status, or 0 after a
    signal."""
    if count == 1:
        return work(0, None)
    return _Workers().run(count, work)


class _Workers:
    """Signals are taken one at a time and never interrupt: however many come, none finds this in
    the middle of something, or at its end."""

    def __init__(self) -> None:
        self._alive: set[int] = set()  # or ended, and not asked for their status yet
        self._stopping = False

    def run(self, count: int, work: Work) -> int:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        theirs, ours = os.pipe()
        for number in range(count):
            pid = os.fork()
            if pid == 0:
                os.close(ours)
                _stay_on_a_core(number, count)
                _become(number, theirs, work)
            self._alive.add(pid)
        os.close(theirs)
        status = 0
        while self._alive:
            if signal.sigwait(_SIGNALS) in _STOP:
                self._stop()
            else:
                status = self._ended() or status
        os.close(ours)
        return status

    def _ended(self) -> int:
        """Those that have; the exit status of one that was not told to, else 0."""
        status = 0
        while self._alive:
            pid, ended = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            self._alive.discard(pid)
            if not self._stopping:
                status = abs(os.waitstatus_to_exitcode(ended)) or 1
                log.error("a worker process ended by itself, status %d: stopping", status)
                self._stop()
        return status

    def _stop(self) -> None:
        self._stopping = True
        for pid in self._alive:
            os.kill(pid, signal.SIGTERM)


def _stay_on_a_core(number: int, count: int) -> None:
    """Where each core has its worker. The threads of one share an interpreter, and have no use for
    a second core; to wake each other across cores costs them a tenth of their time."""
    cores = sorted(os.sched_getaffinity(0))
    if count == len(cores):
        with suppress(OSError):  # not allowed here
            os.sched_setaffinity(0, {cores[number]})


def _become(number: int, theirs: int, work: Work) -> None:
    """Be a worker; never returns."""
    status = os.EX_SOFTWARE
    try:
        for known in _STOP:
            signal.signal(known, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        status = work(number, theirs)
    except BaseException:  # noqa: BLE001 # nothing may run on in the first process's place
        traceback.print_exc()
    finally:
        os._exit(status)

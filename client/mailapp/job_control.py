"""Whether somebody wakes the client when it stops itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

NO_SHELL = "Not suspended: there is no shell to come back from."


def has_shell() -> bool:
    """Whether a shell with job control started this process's group, and will be asked for `fg`."""
    if signal.getsignal(signal.SIGTSTP) == signal.SIG_IGN:
        return False
    group = os.getpgrp()
    return can_come_back(_parent(group), group, os.getsid(0))


def stay(say: Callable[[str], None]) -> None:
    """Where nobody would wake the client, Ctrl-Z only has this said."""
    if not has_shell():
        signal.signal(signal.SIGTSTP, lambda *_: say(NO_SHELL))


def can_come_back(parent: int, group: int, session: int) -> bool:
    """By the ids of the process that started the group, of the group, and of its session.

    An init wakes nobody; a session's first group has no shell in its session, and cannot stop.
    """
    return parent != 1 and group != session


def _parent(process: int) -> int:
    """Who started this process; where the system does not say, who started this one."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(errors="replace")
    except OSError:
        return os.getppid()
    return int(stat.rpartition(")")[2].split()[1])

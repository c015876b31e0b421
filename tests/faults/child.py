"""Something done in a child that may not live to its end."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable


def run_in_child(act: Callable[[], None]) -> bool:
    """Whether it was killed; any other end than a good one is a fault of the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads: none is needed in the child
        child = os.fork()
    if not child:
        status = 1
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False

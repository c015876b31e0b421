"""The log: one line an event, on standard error, without a control character from outside."""

from __future__ import annotations

import logging
import sys
import time
from functools import lru_cache


class _OneLine(logging.Formatter):
    """Whatever a peer sent stays on its line and drives no terminal."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if text.isprintable():
            return text
        return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)

    def formatTime(  # noqa: N802, the name is logging's
        self, record: logging.LogRecord, datefmt: str | None = None
    ) -> str:
        return _utc(int(record.created))


@lru_cache(maxsize=2)
def _utc(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def start(name: str) -> None:
    """Log everything from here on, each line headed by time (UTC) and the command's name."""
    # A line a message is a tenth of the server's work when each looks for file, line and thread,
    # none of which it shows ("Optimization" in the standard library's logging HOWTO).
    off = ("logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks")
    vars(logging).update(dict.fromkeys(off, False), _srcfile=None)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(f"%(asctime)s {name} %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)

"""The log: one line an event, on standard error, without a control character from outside."""

from __future__ import annotations

import logging
import os
import time
from functools import lru_cache
from typing import Any

_STANDARD_ERROR = 2  # its descriptor


class _Record(logging.LogRecord):
    """What our lines show. The standard record looks for file, thread and process as well, which
    is a tenth of the server's work when there is a line a message."""

    def __init__(
        self,
        name: str,
        level: int,
        pathname: str,
        lineno: int,
        msg: object,
        args: Any,
        exc_info: Any,
        func: str | None = None,
        sinfo: str | None = None,
    ) -> None:
        self.name, self.msg, self.args = name, msg, args
        self.levelno, self.levelname = level, logging.getLevelName(level)
        self.created = time.time()
        self.exc_info, self.exc_text, self.stack_info = exc_info, None, sinfo


class _OneLine(logging.Formatter):
    """Whatever a peer sent stays on its line and drives no terminal."""

    def __init__(self, command: str) -> None:
        super().__init__()
        self._command = command

    def format(self, record: logging.LogRecord) -> str:
        at = _utc(int(record.created))
        text = f"{at} {self._command} {record.levelname} {_visible(record.getMessage())}"
        if record.exc_info:
            lines = self.formatException(record.exc_info).split("\n")
            text += "".join(f"\n  {_visible(line)}" for line in lines)  # no line of its own
        return text


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


@lru_cache(maxsize=2)
def _utc(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class _StandardError(logging.Handler):
    """A line is one call to the system, so no lock has to keep two of them apart."""

    def handle(self, record: logging.LogRecord) -> bool:
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = f"{self.format(record)}\n"
            os.write(_STANDARD_ERROR, line.encode("utf-8", "backslashreplace"))
        except Exception:  # noqa: BLE001 # as every handler does
            self.handleError(record)


def start(name: str) -> None:
    """Log everything from here on, each line headed by time (UTC) and the command's name."""
    vars(logging)["_srcfile"] = None  # no search for the caller ("Optimization" in its HOWTO)
    logging.setLogRecordFactory(_Record)
    handler = _StandardError()
    handler.setFormatter(_OneLine(name))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)

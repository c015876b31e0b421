"""Exit statuses (sysexits.h)."""

from __future__ import annotations

OK = 0
NOTHING = 1  # no such message, nothing matched
USAGE = 64
DATA = 65
NO_INPUT = 66
NO_HOST = 68
UNAVAILABLE = 69
CANNOT_CREATE = 73
IO = 74
TEMPORARY = 75
PROTOCOL = 76
NO_PERMISSION = 77
CONFIG = 78
INTERRUPTED = 130


class Failed(Exception):
    """A problem that has no kind of its own: in words, its status, and a word for programs."""

    def __init__(self, text: str, status: int, code: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code

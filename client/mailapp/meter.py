"""Progress in words that only follow each other, as a screen reader wants them."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 0.5  # what takes no longer says nothing


class Meter:
    """A `Progress`: `Fetching the list: 10% 20% …`. `end` ends its line."""

    def __init__(self, write: Callable[[str], object], what: str, is_said: bool = False) -> None:
        """`write` has to let the text be seen at once; `is_said`: `what` stands there already."""
        self._write = write
        self._what = what
        self._is_said = is_said
        self._tenths = 0
        self._started = time.monotonic()

    def __call__(self, done: int, all_: int) -> None:
        tenths = min(10, done * 10 // all_) if all_ else 0
        is_time = time.monotonic() - self._started >= PATIENCE_SECONDS
        if tenths > self._tenths and (is_time or self._is_said):
            self._tenths = tenths
            self._write(f"{'' if self._is_said else self._what} {tenths * 10}%")
            self._is_said = True

    def end(self) -> None:
        """Whatever came of it."""
        if self._is_said:
            self._write("\n")
            self._is_said = False

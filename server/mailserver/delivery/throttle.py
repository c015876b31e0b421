"""So many messages a minute, and no more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

TABLE_LIMIT = 10_000
"""Senders that are remembered; the one who was quiet for longest goes first."""


class Throttle:
    """A bucket a sender: each message fills it by one, time empties it within a minute."""

    def __init__(self, a_minute: int | None, clock: Callable[[], float]) -> None:
        """None: any number. `clock` in seconds."""
        self._a_minute = a_minute
        self._clock = clock
        self._empty_at: OrderedDict[str, float] = OrderedDict()  # when time will have emptied it

    def admits(self, sender: str) -> bool:
        """One message more; False: it would be too many, and does not count."""
        if self._a_minute is None:
            return True
        now = self._clock()
        # a clock that was set back must not lock anybody out for longer than a minute
        level = min(max(self._empty_at.get(sender, now) - now, 0.0), 60.0)
        each = 60.0 / self._a_minute
        if level + each > 60.0 + each / 2:
            return False
        self._empty_at[sender] = now + level + each
        self._empty_at.move_to_end(sender)
        if len(self._empty_at) > TABLE_LIMIT:
            self._empty_at.popitem(last=False)
        return True

"""Counts that all workers of a server share: memory made before they are forked, and no lock.

A name has two cells of a table, by its hash; another name may have one of them too, hardly both. So
a count is never too low, and too high for one name in some thousands while there are hundreds of
others at their limit. Nothing grows, and nobody is forgotten because others came. Nobody can choose
names that meet: Python's hash of a text has a secret key, the same in all processes that are forked
from one.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable

from mailserver.wire.value import value

CELLS = 1 << 14
"""Of each of the two halves of a table. A page of memory is taken when a cell in it is used."""


class Rate:
    """So many a minute, and no more: each fills a bucket by one, time empties it within a minute.

    Of two workers that count the same name in the same microsecond one may be lost."""

    def __init__(self, a_minute: int, clock: Callable[[], float]) -> None:
        """`clock` in seconds, the same for all processes."""
        self._each = 60.0 / a_minute
        self._clock = clock
        # when time will have emptied it
        self._empty_at = memoryview(mmap.mmap(-1, 2 * CELLS * 8)).cast("d")

    def admits(self, name: str) -> bool:
        """One more; False: it would be too many, and does not count."""
        now, each, cells = self._clock(), self._each, self._empty_at
        one, other = _places(name)
        level = min(cells[one], cells[other]) - now
        if not 0.0 < level <= 60.0 + each:  # empty; or the clock was set back
            level = 0.0
        if level + each > 60.0 + each / 2:
            return False
        after = now + level + each
        for place in (one, other):
            if not after < cells[place] <= now + 60.0 + each:
                cells[place] = after
        return True


class Presence:
    """How many are there. Each worker changes cells of its own, so that none is ever lost; of two
    that look at the same moment both may take the last place."""

    def __init__(self, workers: int = 1) -> None:
        self._cells = memoryview(mmap.mmap(-1, workers * 2 * CELLS * 4)).cast("I")
        self._parts = range(0, workers * 2 * CELLS, 2 * CELLS)

    def count(self, name: str) -> int:
        """In all workers."""
        cells, parts = self._cells, self._parts
        one, other = _places(name)
        return min(
            sum([cells[part + one] for part in parts]), sum([cells[part + other] for part in parts])
        )

    def change(self, name: str, by: int, worker: int) -> None:
        """So many more, or less, in this worker."""
        part = self._parts[worker]
        for place in _places(name):
            self._cells[part + place] += by


@value(frozen=True, slots=True)
class Counts:
    """All that is counted over the workers of one server; None: there is no limit."""

    connections: Presence
    """By address."""
    new_connections: Rate | None = None
    """By address."""
    messages_of_address: Rate | None = None
    messages_of_user: Rate | None = None


def _places(name: str) -> tuple[int, int]:
    number = hash(name)
    return number % CELLS, CELLS + (number >> 32) % CELLS

"""When to try again (RFC 5321 4.5.4.1): waits that grow, never all at the same moment."""

from __future__ import annotations

from collections.abc import Callable

from mailserver.wire.value import value

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0

JITTER = 0.2
"""A wait is this part longer or shorter, by chance."""


@value(frozen=True, slots=True)
class Patience:
    """How long a message may wait, all in seconds."""

    first: float = 5 * _MINUTE
    """From the first try to the second."""
    longest: float = 4 * _HOUR
    """Between two tries."""
    delay: float | None = 4 * _HOUR
    """In the queue before the sender is told that it takes longer; None: never."""
    lifetime: float = 5 * _DAY
    """In the queue before the message goes back (RFC 5321 4.5.4.1: at least 4 to 5 days)."""

    def wait(self, tries: int, chance: Callable[[], float]) -> float:
        """Seconds after that many tries, 1 or more, have failed: twice as long each time. `chance`
        gives a number from 0 to 1."""
        # 64 doublings are more than any limit
        wait = min(self.first * 2.0 ** min(tries - 1, 64), self.longest)
        return wait * (1.0 - JITTER + 2 * JITTER * chance())

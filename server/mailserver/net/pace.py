"""How fast lines and messages have to come in, so that nobody holds a connection with an octet a
minute."""

from __future__ import annotations

from collections.abc import Callable

from mailserver.wire.value import value

GRACE_SECONDS = 60.0
"""So long any pace will do: a small message over a bad line is no attack."""


@value(frozen=True, slots=True)
class Pacing:
    """What is asked of a client."""

    octets_a_second: int | None = 500
    """On average; None: any."""
    seconds: float | None = 3600.0
    """For a message as a whole; None: any."""


class LinePace:
    """A line has no more time than one octet has: a time limit that each octet began anew would be
    none."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` in seconds."""
        self._clock = clock
        self._began: float | None = None

    def seconds_left(self, allowed: float, *, in_line: bool) -> float:
        """To wait for the next octets; 0: it has taken too long."""
        if not in_line:
            self._began = None
            return allowed
        now = self._clock()
        if self._began is None:
            self._began = now
        return max(0.0, self._began + allowed - now)


class Pace:
    """Of one message. Times are of any clock, in seconds."""

    def __init__(self, pacing: Pacing, now: float) -> None:
        self._pacing = pacing
        self._began = now
        self._octets = 0

    def came(self, octets: int) -> None:
        """So many more."""
        self._octets += octets

    def seconds_left(self, now: float) -> float:
        """Until it would have taken too long if nothing more came; 0: it has."""
        pacing = self._pacing
        ends = []
        if pacing.seconds is not None:
            ends.append(pacing.seconds)
        if pacing.octets_a_second is not None:
            ends.append(max(GRACE_SECONDS, self._octets / pacing.octets_a_second))
        return max(0.0, self._began + min(ends, default=float("inf")) - now)

"""How fast a message has to come in, so that nobody holds a connection with an octet a minute."""

from __future__ import annotations

from dataclasses import dataclass

GRACE_SECONDS = 60.0
"""So long any pace will do: a small message over a bad line is no attack."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """What is asked of a client."""

    octets_a_second: int | None = 500
    """On average; None: any."""
    seconds: float | None = 3600.0
    """For a message as a whole; None: any."""


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

"""Connections whose peers do not take what waits for them hold so much memory, and no more."""

from __future__ import annotations

import logging
from typing import Protocol

log = logging.getLogger(__name__)

LIMIT = 32 * 1024 * 1024
"""Octets, of all connections of a worker."""


class Blocked(Protocol):
    """One of them."""

    peer: str

    @property
    def held(self) -> int:
        """Octets that wait, in both directions."""

    def abort(self) -> None:
        """Close at once."""


class Backlog:
    """When there is too much, the one goes that has taken nothing for longest."""

    def __init__(self, limit: int = LIMIT) -> None:
        """`limit` in octets."""
        self._limit = limit
        self._held: dict[Blocked, int] = {}  # in the order in which they came
        self._octets = 0

    def add(self, one: Blocked) -> None:
        """Its peer takes nothing more."""
        self._held[one] = one.held
        self._octets += self._held[one]
        while self._octets > self._limit and len(self._held) > 1:
            oldest = next(iter(self._held))
            log.info("too much waits for clients that do not read; %s is cut off", oldest.peer)
            self.remove(oldest)
            oldest.abort()

    def remove(self, one: Blocked) -> None:
        """It does again, or is gone."""
        self._octets -= self._held.pop(one, 0)

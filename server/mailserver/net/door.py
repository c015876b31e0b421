"""How many connections there may be: in all, and from one address."""

from __future__ import annotations

from mailserver.wire.peer import is_own, network_of


class Door:
    """Counts those inside, of all ports that share it; only they take memory."""

    def __init__(self, most: int, most_from_one: int | None = None) -> None:
        """`most_from_one`: a client's network (`wire.peer`); None: any number. Programs on this
        machine are as many as they like."""
        self._most = most
        self._most_from_one = most_from_one
        self._inside = 0
        self._from: dict[str, int] = {}

    def enter(self) -> bool:
        """One more; False: there are too many. Whoever entered, or tried to, leaves."""
        self._inside += 1
        return self._inside <= self._most

    def leave(self) -> None:
        """One less."""
        self._inside -= 1

    def enter_from(self, peer: str) -> bool:
        """One more from this address; False: it has too many and this one is not counted."""
        network = network_of(peer)
        here = self._from.get(network, 0)
        if self._most_from_one is not None and here >= self._most_from_one and not is_own(peer):
            return False
        self._from[network] = here + 1
        return True

    def leave_from(self, peer: str) -> None:
        """One less from this address, which entered."""
        network = network_of(peer)
        self._from[network] -= 1
        if not self._from[network]:
            del self._from[network]

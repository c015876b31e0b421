"""How many connections there may be: in all, from one address, and new ones in a minute."""

from __future__ import annotations

from mailserver.counts import Presence, Rate
from mailserver.wire.peer import is_own, network_of


class Door:
    """Counts those inside, of all ports that share it. Programs on this machine are as many as they
    like; an address is a client's network (`wire.peer`)."""

    def __init__(
        self,
        most: int,
        most_from_one: int | None = None,
        *,
        from_one: Presence | None = None,
        rate: Rate | None = None,
        worker: int = 0,
    ) -> None:
        """`most`: in this worker, whose number is `worker`. `most_from_one`, counted in `from_one`,
        and `rate`: from one address, to all workers; None: any number."""
        self._most = most
        self._most_from_one = most_from_one
        self._from_one = from_one or Presence()
        self._rate = rate
        self._worker = worker
        self._inside = 0

    def enter(self) -> bool:
        """One more; False: there are too many. Whoever entered, or tried to, leaves."""
        self._inside += 1
        return self._inside <= self._most

    def leave(self) -> None:
        """One less."""
        self._inside -= 1

    def is_slow_enough(self, peer: str) -> bool:
        """One more has come from this address; False: too many did, and this one is not counted."""
        return self._rate is None or is_own(peer) or self._rate.admits(network_of(peer))

    def enter_from(self, peer: str) -> bool:
        """One more from this address; False: it has too many and this one is not counted."""
        if self._most_from_one is None or is_own(peer):
            return True
        network = network_of(peer)
        if self._from_one.count(network) >= self._most_from_one:
            return False
        self._from_one.change(network, 1, self._worker)
        return True

    def leave_from(self, peer: str) -> None:
        """One less from this address, which entered."""
        if self._most_from_one is not None and not is_own(peer):
            self._from_one.change(network_of(peer), -1, self._worker)

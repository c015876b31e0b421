"""Failed logins slow down those who make them, and nobody else.

Failures are counted for an address together with the account it tried, and for an address alone.
So an attacker who has used up an account's failures has used up those of the own address; the
account's owner logs in from another one. An owner who logged in from the attacker's address before
(behind a gateway all have the same) is held up only by failures for the own account.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mailserver.accounts.table import BoundedTable
from mailserver.wire.peer import network_of

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Failures:
    """How many wrong passwords there may be in so many seconds before one has to wait."""

    of_account: int = 10
    """From one address for one account."""
    of_address: int = 50
    """From one address for any accounts."""
    seconds: float = 600.0


class SlowDown:
    """Counts, in bounded memory; the clock (seconds) is passed in."""

    def __init__(self, allowed: Failures, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._of_account: _Counts[tuple[str, str]] = _Counts(allowed.of_account, allowed.seconds)
        self._of_address: _Counts[str] = _Counts(allowed.of_address, allowed.seconds)
        self._known: BoundedTable[tuple[str, str], None] = BoundedTable()

    def wait(self, user: str, peer: str) -> float:
        """Seconds until this address may try this user again; 0: now."""
        address = network_of(peer)
        pair = address, user.lower()
        now = self._clock()
        wait = self._of_account.wait(pair, now)
        return wait if pair in self._known else max(wait, self._of_address.wait(address, now))

    def note(self, user: str, peer: str, *, right: bool) -> None:
        """What came of a try."""
        address = network_of(peer)
        pair = address, user.lower()
        if right:
            self._known.put(pair, None)
            self._of_account.forget(pair)
        else:
            now = self._clock()
            self._of_account.add(pair, now)
            self._of_address.add(address, now)


class _Counts(Generic[K]):
    """A bucket a key: each failure fills it by one, time empties it, a full one means waiting."""

    def __init__(self, most: int, seconds: float) -> None:
        self._seconds = seconds
        self._seconds_each = seconds / most
        self._empty_at: BoundedTable[K, float] = BoundedTable()  # when time will have emptied it

    def wait(self, key: K, now: float) -> float:
        full_until = self._empty_at.get(key, now) - self._seconds + self._seconds_each
        return max(0.0, full_until - now)

    def add(self, key: K, now: float) -> None:
        self._empty_at.put(key, max(self._empty_at.get(key, now), now) + self._seconds_each)

    def forget(self, key: K) -> None:
        self._empty_at.pop(key, None)

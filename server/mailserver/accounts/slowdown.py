"""Failed logins slow down those who make them, and nobody else.

Failures are counted for an address together with the account it tried, and for an address alone.
So an attacker who has used up an account's failures has used up those of the own address; the
account's owner logs in from another one. An owner who logged in from the attacker's address before
(behind a gateway all have the same) is held up only by failures for the own account.

All servers over one data folder count together, and go on counting when they are started again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from mailserver.shared_rows import Key, SharedFile, SharedRows
from mailserver.wire.peer import network_of
from mailserver.wire.value import value

TABLES = 3
"""That the file must have."""

_KNOWN_SECONDS = 60.0  # so often is written down that somebody logs in again


@value(frozen=True, slots=True)
class Failures:
    """How many wrong passwords there may be in so many seconds before one has to wait."""

    of_account: int = 10
    """From one address for one account."""
    of_address: int = 50
    """From one address for any accounts."""
    seconds: float = 600.0


class SlowDown:
    """Counts, in bounded space."""

    def __init__(self, allowed: Failures, clock: Callable[[], float], file: SharedFile) -> None:
        """`clock`: seconds, the same for all who share the file."""
        self._clock = clock
        self._key = lru_cache(maxsize=1000)(file.key)
        of_account, of_address, self._known = file.tables
        self._of_account = _Counts(allowed.of_account, allowed.seconds, of_account)
        self._of_address = _Counts(allowed.of_address, allowed.seconds, of_address)

    def wait(self, user: str, peer: str) -> float:
        """Seconds until this address may try this user again; 0: now."""
        address = network_of(peer)
        pair = self._key(address, user.lower())
        now = self._clock()
        wait = self._of_account.wait(pair, now)
        if self._known.get(pair) is not None:
            return wait
        return max(wait, self._of_address.wait(self._key(address), now))

    def note(self, user: str, peer: str, *, right: bool) -> None:
        """What came of a try."""
        address = network_of(peer)
        pair = self._key(address, user.lower())
        now = self._clock()
        if right:
            seen = self._known.get(pair)
            if seen is None or abs(now - seen) > _KNOWN_SECONDS:
                self._known.change(pair, lambda _: now)
            self._of_account.forget(pair, now)
        else:
            self._of_account.add(pair, now)
            self._of_address.add(self._key(address), now)


class _Counts:
    """A bucket a key: each failure fills it by one, time empties it, a full one means waiting."""

    def __init__(self, most: int, seconds: float, empty_at: SharedRows) -> None:
        """`empty_at`: when time will have emptied it."""
        self._seconds = seconds
        self._seconds_each = seconds / most
        self._empty_at = empty_at

    def wait(self, key: Key, now: float) -> float:
        full_until = self._at(self._empty_at.get(key), now) - self._seconds + self._seconds_each
        return max(0.0, full_until - now)

    def add(self, key: Key, now: float) -> None:
        def more(empty_at: float | None) -> float:
            return min(self._at(empty_at, now) + self._seconds_each, now + 2 * self._seconds)

        self._empty_at.change(key, more)

    def forget(self, key: Key, now: float) -> None:
        if self._at(self._empty_at.get(key), now) > now:
            self._empty_at.change(key, lambda _: now)

    def _at(self, empty_at: float | None, now: float) -> float:
        """Not before now; and none of a clock that began anew since, with the machine."""
        if empty_at is None or empty_at > now + 2 * self._seconds:
            return now
        return max(empty_at, now)

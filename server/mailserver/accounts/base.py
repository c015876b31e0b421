"""The interface of a directory of accounts."""

from __future__ import annotations

from dataclasses import field
from typing import Protocol

from mailserver.wire.value import value


@value(frozen=True, slots=True)
class ScramKeys:
    """What shows that a client knows a password, and is not the password (RFC 5802 3)."""

    salt: bytes
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


@value(frozen=True, slots=True)
class CheckResult:
    """What came of a password."""

    user: str | None = None
    """The user's name as it is written in the accounts; None: it is not the password."""
    wait: float = 0.0
    """Above 0: too many failures from there; it was not looked at, come again in so many seconds.
    The same for users who are there and those who are not."""


class TooBusy(Exception):
    """So many wait for a hash, or for keys, that this one was not looked at."""

    seconds = 2.0
    """To come again in."""


class Accounts(Protocol):
    """All accounts, as they are now. `peer` is an IP address as text."""

    def find(self, local_part: str) -> str | None:
        """The user who gets mail for this local part; case does not matter. None: nobody."""

    @property
    def uncertain(self) -> bool:
        """They cannot be read just now, and are what they were: who is not found may be there."""

    async def check(self, user: str, password: str, peer: str) -> CheckResult:
        """Is this the user's password? Counts by itself what came of it."""

    def must_wait(self, user: str, peer: str) -> float:
        """Seconds until this client may try this user again, by SCRAM or APOP; 0: now."""

    async def scram_keys(self, user: str) -> ScramKeys:
        """The user's keys; for a user who is not there, or has none, false ones that stay the same
        and cannot be told from true ones. Raises TooBusy."""

    def clear_password(self, user: str) -> str | None:
        """The password of a user for whom it is kept in clear (APOP needs it), as SASLprep makes it
        (RFC 6856 2.2)."""

    def note(self, user: str, peer: str, *, right: bool) -> None:
        """What came of a login by SCRAM or APOP."""

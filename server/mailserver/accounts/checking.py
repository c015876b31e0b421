"""Is this the password? Without the event loop waiting, and at the same cost for everybody.

A password that was right is remembered for some minutes as a keyed digest, made together with the
hash it was checked against: when that changes, the digest fits no more. A wrong one is never
remembered.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mailserver.accounts import credential
from mailserver.accounts.base import TooBusy
from mailserver.accounts.credential import NOBODY, Clear, Credential, Hashed
from mailserver.accounts.password import prepared
from mailserver.accounts.table import BoundedTable
from mailserver.threads import InThread

REMEMBER_SECONDS = 600.0
QUEUE = 64
"""Of those who wait for a hash, for keys, or for their turn; those over it are told to come again.
While they wait, each holds half a megabyte of what its client sent ahead."""


class Checking:
    """Checks passwords and remembers those that were right."""

    def __init__(self, in_thread: InThread, clock: Callable[[], float]) -> None:
        """`clock` in seconds."""
        self._in_thread = in_thread
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._remembered: BoundedTable[bytes, float] = BoundedTable()  # digest, until when
        self._waiting = 0

    async def is_right(self, kept: Credential | None, password: str, *, hashing: bool) -> bool:
        """`kept`: of the user, None for nobody. `hashing`: there are users with a hashed password,
        so that a failure has to cost as much with all the others. Raises TooBusy."""
        clear = kept.password if isinstance(kept, Clear) else ""
        if _equal(clear, password) and clear:
            return True
        if not hashing:
            return False
        hashed = kept if isinstance(kept, Hashed) else NOBODY
        digest = self._digest(hashed, password)
        if self._remembered.get(digest, 0.0) > self._clock():
            return True
        if not await self._verify(hashed, password) or hashed is NOBODY:
            return False
        self._remembered.put(digest, self._clock() + REMEMBER_SECONDS)
        return True

    @contextmanager
    def place(self) -> Iterator[None]:
        """For one who waits; raises TooBusy."""
        if self._waiting >= QUEUE:
            raise TooBusy
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _verify(self, hashed: Hashed, password: str) -> bool:
        with self.place():
            return await self._in_thread(lambda: credential.is_password(hashed, password))

    def _digest(self, hashed: Hashed, password: str) -> bytes:
        text = f"{hashed.argon2}\0{password}".encode()
        return hashlib.blake2b(text, digest_size=32, key=self._secret).digest()


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(prepared(one).encode(), prepared(other).encode())

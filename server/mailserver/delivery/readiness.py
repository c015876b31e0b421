"""Whether mail can be stored at all: now and then, and when a message was not, one for nobody is.

That goes the way of every message up to its promise on stable storage, in the same batch as
others, so it tells what a server that had no mail for hours would say to the next one.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from mailserver.message.verdict import Kind, Verdict
from mailserver.store.base import Append, Deposit

log = logging.getLogger(__name__)

SECONDS = 60.0
"""Between two tries: each is a few writes, for which a disk that rests has to wake."""
SECONDS_WHILE_ILL = 5.0
"""Likewise, until one goes well."""
PATIENCE = 30.0
"""Seconds after which a disk that says nothing counts as one that fails."""


class Readiness:
    """Of one process. A full disk is none of its matters: who has no room says so by itself."""

    def __init__(self, append: Append) -> None:
        """`append` stores one message durably."""
        self._append = append
        self._ready = True
        self._doubt = asyncio.Event()

    async def append(self, deposit: Deposit) -> Verdict:
        """Store one message: if that fails it may be the matter of this one, or of all."""
        verdict = await self._append(deposit)
        if verdict.kind is Kind.STORAGE_FAILED:
            self._doubt.set()
        return verdict

    def __call__(self) -> bool:
        """As the last try showed it."""
        return self._ready

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            if self._ready:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._doubt.wait(), SECONDS)
            else:
                await asyncio.sleep(SECONDS_WHILE_ILL)
            self._doubt.clear()
            was_ready, self._ready = self._ready, await self._try()
            if was_ready and not self._ready:
                log.error("mail cannot be stored: none is taken until it can")
            elif self._ready and not was_ready:
                log.info("mail can be stored again")

    async def _try(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                return (await self._append(())).kind is not Kind.STORAGE_FAILED
        except TimeoutError:
            return False
        except Exception:  # a fault of ours: nothing is known to be stored then
            log.exception("a message for nobody could not be stored")
            return False

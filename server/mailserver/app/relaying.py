"""The relay of one process: the way into the queue, and the way out. No logic."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from mailserver.delivery.accept import Reception
from mailserver.relay.outbox import Sign, SpoolOutbox, unsigned
from mailserver.relay.share import Share
from mailserver.relay.spool import LOOK_SECONDS, Spool
from mailserver.settings import Settings
from mailserver.threads import Threads

if TYPE_CHECKING:
    from mailserver.relay.worker import Relay

log = logging.getLogger(__name__)

_TROUBLE_SECONDS = 60.0


class Bell:
    """Wakes the relay when something has come."""

    def __init__(self) -> None:
        """For use inside a running event loop."""
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """There is something to do."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Until then, or that long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        self._rung.clear()


class Relaying:
    """See above."""

    def __init__(self, chosen: Settings, threads: Threads, spool: Spool) -> None:
        """Raises KeysUnusable."""
        self._chosen = chosen
        self._threads = threads
        self._bell = Bell()
        self._spool = spool
        self._relay: Relay | None = None
        self._task: asyncio.Task[None] | None = None
        self.outbox = SpoolOutbox(self._spool, threads, time.time, self._bell.ring, signing(chosen))

    def start(self, reception: Reception, number: int) -> None:
        """Deliver this process's share, if no other server does. `number`: of the process.
        `reception` takes the reports."""
        allowed = self._chosen.relaying
        workers = self._chosen.listening.workers
        most = min(workers, allowed.relay_connections, allowed.relay_connections_per_host)
        if number < most:
            self._task = asyncio.ensure_future(self._deliver(reception, Share(number, most)))

    async def _deliver(self, reception: Reception, share: Share) -> None:
        while self._relay is None:
            try:
                if await self._threads(lambda: any(name in share for name in self._spool.ids())):
                    self._relay = await self._load(reception, share)
                else:
                    await self._bell.wait(LOOK_SECONDS)
            except Exception:  # too many open files, say, just now
                log.exception("nothing is delivered to other servers; tried again after a while")
                await asyncio.sleep(_TROUBLE_SECONDS)
        await self._relay.run()

    async def _load(self, reception: Reception, share: Share) -> Relay:
        """Its code takes time and memory: a process does without until there is mail to deliver."""
        await self._threads(lambda: import_module("mailserver.app.delivering"))
        from mailserver.app.delivering import relay

        wait, report = self._bell.wait, reception.report
        return relay(self._chosen, self._spool, self._threads, wait, report, share)

    async def stop(self, patience: float) -> None:
        """What is being delivered may take so many seconds."""
        if self._task is None:
            return
        if self._relay is None:
            self._task.cancel()
            await asyncio.wait([self._task])
            return
        stopping = asyncio.ensure_future(self._relay.stop(patience))
        await asyncio.sleep(0)  # it has said so
        self._bell.ring()
        await self._task
        await stopping


def signing(chosen: Settings) -> Sign:
    """What signs mail that leaves; raises KeysUnusable."""
    selectors = chosen.trust.dkim_selectors
    if not selectors:
        return unsigned
    from mailserver.trust.dkim_keys import load_keys
    from mailserver.trust.dkim_sign import Signing

    return Signing(load_keys(chosen.data, chosen.listening.domains, selectors), time.time)

"""`smtpmail` with a bug in its queue, which the kills must find:

python -m tests.torture.planted BUG ARGUMENTS…
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from mailserver.app.smtp import main
from mailserver.message.outcome import Fate, Outcome
from mailserver.relay.courier import Connection
from mailserver.relay.entry import QueuedMessage, Tried
from mailserver.relay.outbox import HeldMessage
from mailserver.relay.spool import Spool
from mailserver.relay.worker import Relay

_LATER = set[asyncio.Future[None]]()
SECONDS = 0.1


def acknowledge_before_it_is_queued() -> None:
    release = HeldMessage.release

    async def soon(self: HeldMessage) -> None:
        async def later() -> None:
            await asyncio.sleep(SECONDS)
            await release(self)

        _LATER.add(asyncio.ensure_future(later()))

    HeldMessage.release = soon  # type: ignore[method-assign]


def record_before_the_reply() -> None:
    send = Relay._send

    async def early(
        self: Relay, connection: Connection, message: QueuedMessage, numbers: Sequence[int]
    ) -> tuple[Outcome, ...]:
        good = Tried(time.time(), tuple(numbers), Outcome(Fate.DELIVERED, "2.0.0", "250"), 0.0)
        await self._world.in_thread(partial(self._spool.note, message.entry.id, good))
        return await send(self, connection, message, numbers)

    Relay._send = early  # type: ignore[method-assign]


def record_after_the_next_message() -> None:
    note, remove = Spool.note, Spool.remove

    def later(call: Callable[..., None]) -> Callable[..., None]:
        return lambda *arguments: threading.Timer(SECONDS, call, arguments).start()

    Spool.note, Spool.remove = later(note), later(remove)  # type: ignore[method-assign]


BUGS: dict[str, Callable[[], None]] = {
    plant.__name__: plant
    for plant in (
        acknowledge_before_it_is_queued,
        record_before_the_reply,
        record_after_the_next_message,
    )
}

if __name__ == "__main__":
    BUGS[sys.argv.pop(1)]()
    sys.exit(main())

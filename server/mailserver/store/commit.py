"""Group commit: messages that come while the disk is busy wait, and share the next sync.

A batch is closed only when the event loop has gone round a few times without a new message: those
that are on their way just now share the sync too. That costs a message that comes alone a few
hundredths of a millisecond, and takes a third off the work of each when many come.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mailserver.message.verdict import Kind, Verdict
from mailserver.store.base import Deposit, MailStore

log = logging.getLogger(__name__)

BATCH_LIMIT = 500
"""Messages that share a sync."""
QUIET_ROUNDS = 12
"""Rounds of the event loop without a new message before a batch is closed."""
BUSY_SECONDS = 10.0
"""How long a message waits for a mailbox that another program has locked."""
_RETRY_SECONDS = 0.005
REST_SECONDS = 2.0
"""Without a message, until the store puts in order what it left for later."""


@dataclass(slots=True)
class _Waiting:
    deposit: Deposit
    stored: asyncio.Future[Verdict]
    give_up: float  # loop time


class GroupCommit:
    """Hands batches to a store, one at a time, in a thread of its own."""

    def __init__(self, store: MailStore) -> None:
        """For use inside a running event loop."""
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._waiting: list[_Waiting] = []
        self._busy = False  # a batch is being gathered or written, or the store settles
        self._last_batch = 0.0  # loop time
        self._rest: asyncio.TimerHandle | None = None

    async def append(self, deposit: Deposit) -> Verdict:
        """Returns when the message is on stable storage for all its recipients, or is not."""
        stored: asyncio.Future[Verdict] = self._loop.create_future()
        self._waiting.append(_Waiting(deposit, stored, self._loop.time() + BUSY_SECONDS))
        self._next_batch()
        return await stored

    def close(self) -> None:
        """Wait for the batch that is under way."""
        if self._rest is not None:
            self._rest.cancel()
        self._thread.shutdown()

    def _next_batch(self) -> None:
        if self._waiting and not self._busy:
            self._busy = True
            self._gather(0, QUIET_ROUNDS)

    def _gather(self, known: int, rounds: int) -> None:
        """Wait until no more messages come, then hand them to the store."""
        waiting = len(self._waiting)
        rounds = QUIET_ROUNDS if waiting > known else rounds - 1
        if rounds and waiting < BATCH_LIMIT:
            self._loop.call_soon(self._gather, waiting, rounds)
            return
        batch, self._waiting = self._waiting[:BATCH_LIMIT], self._waiting[BATCH_LIMIT:]
        deposits = [one.deposit for one in batch]
        work = self._loop.run_in_executor(self._thread, self._store.append, deposits)
        work.add_done_callback(lambda done: self._committed(batch, done))

    def _committed(self, batch: list[_Waiting], done: asyncio.Future[list[Verdict]]) -> None:
        self._busy = False
        error = done.exception()
        if error is not None:
            for waiting in batch:
                if not waiting.stored.done():
                    waiting.stored.set_exception(error)
        else:
            self._answer(batch, done.result())
        self._last_batch = self._loop.time()
        if self._rest is None:
            self._rest = self._loop.call_later(REST_SECONDS, self._settle)
        self._next_batch()

    def _settle(self) -> None:
        """Once no message has come for a while."""
        rested = self._loop.time() - self._last_batch
        if self._busy or rested < REST_SECONDS:
            self._rest = self._loop.call_later(REST_SECONDS - rested % REST_SECONDS, self._settle)
            return
        self._rest = None
        self._busy = True
        work = self._loop.run_in_executor(self._thread, self._store.settle)
        work.add_done_callback(self._settled)

    def _settled(self, done: asyncio.Future[None]) -> None:
        self._busy = False
        error = done.exception()
        if error is not None:
            log.error("mailboxes could not be synced; the journal keeps their mail: %s", error)
        self._next_batch()

    def _answer(self, batch: Sequence[_Waiting], verdicts: list[Verdict]) -> None:
        now = self._loop.time()
        again = []
        for waiting, verdict in zip(batch, verdicts, strict=True):
            if verdict.kind is Kind.MAILBOX_BUSY and now < waiting.give_up:
                again.append(waiting)
            elif not waiting.stored.done():
                waiting.stored.set_result(verdict)
        if again:
            self._loop.call_later(_RETRY_SECONDS, self._wait_again, again)

    def _wait_again(self, again: list[_Waiting]) -> None:
        self._waiting[:0] = again
        self._next_batch()

"""The relay at work: takes jobs from the queue, has them tried, writes down what became of them.

One server of all that share a data folder owns the queue (`Spool.own`); the others put messages in
and wait for their turn. Each of its processes delivers its share. What is in memory is only when to
try what; all else is on disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from mailserver.message.outcome import Fate, Outcome, failed
from mailserver.message.transaction import Transaction
from mailserver.relay import reports
from mailserver.relay.backoff import Patience
from mailserver.relay.courier import Connection, Courier, Unreachable
from mailserver.relay.entry import Order, Ordered, QueuedMessage
from mailserver.relay.ledger import Ledger
from mailserver.relay.queue import Job, Queue
from mailserver.relay.routing import NoRoute, Router
from mailserver.relay.share import ALL, Share
from mailserver.relay.spool import DELETE, LOOK_SECONDS, NEW, Spool, Unreadable
from mailserver.relay.world import World

log = logging.getLogger(__name__)

RECIPIENTS_LIMIT = 100
"""Of one transaction; every server takes so many (RFC 5321 4.5.3.1.8)."""
OWNER_SECONDS = 5.0
"""How often the others look whether the queue has lost its owner."""
TROUBLE_SECONDS = 60.0
"""After a fault of our own disk, or a report that found no place."""

BATCH = 200
"""Messages that are read in one go."""
NOWHERE = ""
"""The destination of a job that only has reports to send."""

_ORDERS = {order.value for order in Order}
_SILENT = failed(Fate.TEMPORARY, "4.1", "the destination did not answer before")


@dataclass(slots=True)
class _Line:
    """What one task has towards a destination."""

    connection: Connection | None = None
    answered: bool | None = None
    """Whether anybody did; None: nobody was asked."""


class Relay:
    """See above."""

    def __init__(
        self,
        own_name: str,
        spool: Spool,
        queue: Queue,
        router: Router,
        courier: Courier,
        patience: Patience,
        world: World,
        share: Share = ALL,
    ) -> None:
        self._share = share
        self._spool = spool
        self._queue = queue
        self._router = router
        self._courier = courier
        self._patience = patience
        self._world = world
        self._jobs: dict[str, set[Job]] = {}  # of each message
        self._at_work = set[asyncio.Task[None]]()
        self._why_silent: dict[str, Outcome] = {}  # by destination
        self._ledger = Ledger(own_name, spool, patience, world)
        self._locks = [asyncio.Lock() for _ in range(64)]  # of messages that are being finished
        self._stopping = False

    # -- the loop ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until `stop`. Whatever goes wrong on the way, it goes on after a while."""
        while not self._stopping:
            try:
                await self._run()
            except Exception:
                log.exception("a fault of this server; the queue is looked at again")
                await self._world.wait(TROUBLE_SECONDS)

    async def _run(self) -> None:
        while not await self._world.in_thread(self._spool.own):
            await self._world.wait(OWNER_SECONDS)
            if self._stopping:
                return
        ids = await self._world.in_thread(self._spool.ids)
        await self._look_at(list(filter(self._is_news, ids)))
        if self._jobs:
            log.info("%d messages for other servers are in the queue", len(self._jobs))
        while not self._stopping:
            await self._obey()
            self._begin_jobs()
            now = self._world.ticks()
            due = self._queue.next_due(now)
            seconds = LOOK_SECONDS if due is None else min(LOOK_SECONDS, max(due - now, 0.0))
            await self._world.wait(seconds)

    def _is_news(self, message_id: str) -> bool:
        return message_id not in self._jobs and message_id in self._share

    async def stop(self, patience: float) -> None:
        """Begin nothing more; what is under way may take so many seconds."""
        self._stopping = True
        if self._at_work:
            await asyncio.wait(self._at_work, timeout=patience)
        for task in list(self._at_work):
            task.cancel()
        if self._at_work:
            await asyncio.wait(self._at_work)
        await self._ledger.close()

    @property
    def busy(self) -> bool:
        """Something is being tried."""
        return bool(self._at_work)

    def _begin_jobs(self) -> None:
        while (job := self._queue.take(self._world.ticks())) is not None:
            task = asyncio.ensure_future(self._serve(job))
            self._at_work.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._at_work.discard(task)
        if not self._stopping:
            self._begin_jobs()  # another destination may have its place

    # -- orders ------------------------------------------------------------------------------------

    async def _obey(self) -> None:
        left = await self._world.in_thread(self._spool.orders)
        orders = [order for order in left if order[1] in self._share]
        new = [message_id for word, message_id in orders if word == NEW]
        await self._look_at(list(filter(self._is_news, new)))
        done = [(NEW, message_id) for message_id in new]
        for word, message_id in orders:
            jobs = self._jobs.get(message_id, ())
            # an order about a message that is being sent waits until that is over
            if word != NEW and not any(map(self._queue.is_at_work, jobs)):
                await self._obey_one(word, message_id)
                done.append((word, message_id))
        if done:
            await self._world.in_thread(partial(self._obeyed, done))

    def _obeyed(self, orders: list[tuple[str, str]]) -> None:
        for word, message_id in orders:
            self._spool.obeyed(word, message_id)

    async def _obey_one(self, word: str, message_id: str) -> None:
        if word == DELETE:
            self._forget(message_id)
            await self._world.in_thread(partial(self._spool.remove, message_id))
            log.info("message %s was deleted by an operator", message_id)
        elif word in _ORDERS:
            note = Ordered(Order(word))
            with suppress(FileNotFoundError, Unreadable):
                await self._world.in_thread(partial(self._spool.note, message_id, note))
                await self._look_at([message_id])

    async def _look_at(self, message_ids: list[str]) -> None:
        """Plan what is to be done for these messages."""
        for begin in range(0, len(message_ids), BATCH):
            batch = message_ids[begin : begin + BATCH]
            loaded = await self._world.in_thread(partial(self._ledger.load_all, batch))
            for message_id, message in zip(batch, loaded, strict=True):
                if isinstance(message, QueuedMessage):
                    await self._plan(message)
                else:
                    self._forget(message_id)
            if self._stopping:
                return
            self._begin_jobs()

    async def _plan(self, message: QueuedMessage) -> None:
        message_id = message.entry.id
        if message.held:
            self._forget(message_id)
            self._jobs[message_id] = set()
            return
        due: dict[Job, float] = {}
        now = self._world.clock()
        gives_up = message.entry.arrived + self._patience.lifetime
        for number, progress in enumerate(message.progress):
            if progress.open:
                job = Job(message_id, self._destination(message, number))
                due[job] = min(due.get(job, gives_up), progress.due(now))
        if not due and reports.due(message, self._patience, now):
            due[Job(message_id, NOWHERE)] = 0.0  # a crash came between the outcome and the report
        if not due:
            await self._world.in_thread(partial(self._spool.remove, message_id))
            self._forget(message_id)
            return
        for job in self._jobs.get(message_id, set()) - due.keys():
            self._queue.discard(job)
        self._jobs[message_id] = set(due)
        for job, at in due.items():
            self._queue.add(job, self._world.ticks() + at - now)

    def _destination(self, message: QueuedMessage, number: int) -> str:
        recipient = message.entry.recipients[number]
        return self._router.destination(recipient.forward_path.mailbox.domain, message.entry.wish)

    def _forget(self, message_id: str) -> None:
        for job in self._jobs.pop(message_id, ()):
            self._queue.discard(job)

    # -- one connection ----------------------------------------------------------------------------

    async def _serve(self, job: Job) -> None:
        """A job, and those after it for the same destination."""
        destination, done = job.destination, 0
        line = _Line()
        try:
            while True:
                await self._try(job, line)
                self._queue.done(job)
                done += 1
                if line.connection is None or not line.connection.usable or self._stopping:
                    break
                following = self._queue.more(destination, done, self._world.ticks())
                if following is None:
                    break
                job = following
            if line.connection is not None:
                await line.connection.close()
        except Exception:  # the others go on, and this one is tried later
            log.exception("a fault of this server; message %s waits", job.message_id)
            self._queue.add(job, self._world.ticks() + TROUBLE_SECONDS)
        finally:
            if self._queue.is_at_work(job):
                self._queue.done(job)
            self._queue.left(destination, self._world.ticks(), answered=line.answered)

    async def _try(self, job: Job, line: _Line) -> None:
        await self._ledger.keep_unsaved(job.message_id)
        alone = self._jobs.get(job.message_id) == {job}
        message = await self._ledger.load(job.message_id)
        if message is None or message.held:
            return
        now = self._world.clock()
        numbers = tuple(
            number
            for number, progress in enumerate(message.progress)
            if progress.open
            and progress.due(now) <= now + 1.0  # what is due at nearly the same time goes along
            and self._destination(message, number) == job.destination
        )
        done = False
        if numbers and line.connection is None:
            refusal = await self._connect(job.destination, line)
            if refusal is not None:
                done = await self._ledger.write(message, {refusal: numbers}, alone=alone)
                numbers = ()
        most = (line.connection and line.connection.recipients) or RECIPIENTS_LIMIT
        most = min(most, RECIPIENTS_LIMIT)
        for begin in range(0, len(numbers), most):
            if line.connection is None or not line.connection.usable:
                break  # the rest comes back at once
            some = numbers[begin : begin + most]
            found: dict[Outcome, tuple[int, ...]] = {}
            outcomes = await self._send(line.connection, message, some)
            for number, outcome in zip(some, outcomes, strict=True):
                found[outcome] = (*found.get(outcome, ()), number)
            done = await self._ledger.write(message, found, alone=alone)
        if done:
            self._forget(job.message_id)
        else:
            await self._finish(message, alone=alone)

    async def _connect(self, destination: str, line: _Line) -> Outcome | None:
        """None: there is a connection. Else why not."""
        if self._queue.is_silent(destination, self._world.ticks()):
            return self._why_silent.get(destination, _SILENT)
        try:
            line.connection = await self._courier.connect(self._router.hosts(destination))
        except (Unreachable, NoRoute) as problem:
            sure = problem.outcome.fate is Fate.PERMANENT
            line.answered = sure
            if not sure:
                self._why_silent[destination] = problem.outcome
            return problem.outcome
        line.answered = True
        self._queue.greeted(destination)
        self._why_silent.pop(destination, None)
        return None

    async def _send(
        self, connection: Connection, message: QueuedMessage, numbers: Sequence[int]
    ) -> tuple[Outcome, ...]:
        entry = message.entry
        recipients = tuple(entry.recipients[number] for number in numbers)
        transaction = Transaction(
            entry.reverse_path,
            entry.parameters,
            recipients,
            entry.octets,
            entry.eight_bit,
            entry.utf8_header,
        )
        content = message.content
        if content is None:
            return await connection.send(transaction, partial(self._spool.content, entry.id))
        return await connection.send(transaction, content)

    async def _finish(self, message: QueuedMessage, *, alone: bool) -> None:
        """Send the reports that are due, and plan what is left. `alone`: the message had no other
        destination, and so nobody else wrote of it meanwhile."""
        message_id = message.entry.id
        async with self._locks[hash(message_id) % len(self._locks)]:
            if not alone:
                fresh = await self._ledger.load(message_id)
                if fresh is None:
                    return
                message = fresh
            if await self._ledger.send_reports(message):
                await self._plan(message)
                return
            job = Job(message_id, NOWHERE)
            self._jobs.setdefault(message_id, set()).add(job)
            self._queue.add(job, self._world.ticks() + TROUBLE_SECONDS)

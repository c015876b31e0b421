"""What became of each message, written down; and told to its sender."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial

from mailserver.message import report as reporting
from mailserver.message.envelope import Return
from mailserver.message.outcome import Fate, Outcome
from mailserver.message.report import About, Action
from mailserver.message.verdict import Kind
from mailserver.relay import reports
from mailserver.relay.backoff import Patience
from mailserver.relay.entry import Note, QueuedMessage, Record, Told, Tried
from mailserver.relay.spool import Spool, Unreadable
from mailserver.relay.together import Together
from mailserver.relay.world import World

log = logging.getLogger(__name__)

_LOST_FOR_GOOD = {Kind.NO_SUCH_USER, Kind.NO_RELAYING, Kind.HEADER_TOO_BIG, Kind.MAILBOX_UNUSABLE}


LANES = 4
"""Threads that write down at once; all that is about one message is written by the same one."""


class Ledger:
    """Of one queue."""

    def __init__(self, own_name: str, spool: Spool, patience: Patience, world: World) -> None:
        self._own_name = own_name
        self._spool = spool
        self._patience = patience
        self._world = world
        self._unsaved: dict[str, tuple[Note, ...]] = {}  # by message
        self._lanes: list[Together[Record, None]] = [
            Together(spool.record, world.in_thread) for _ in range(LANES)
        ]
        self.load: Together[str, QueuedMessage | None] = Together(self.load_all, world.in_thread)

    async def close(self) -> None:
        """When all that was to be written down is."""
        for lane in self._lanes:
            await lane.idle()

    def load_all(self, message_ids: list[str]) -> list[QueuedMessage | OSError | None]:
        """None: it is gone, or cannot be read. In a thread."""
        return [self._load(message_id) for message_id in message_ids]

    def _load(self, message_id: str) -> QueuedMessage | None:
        """One of them; a file that is not what was written is set aside."""
        try:
            return self._spool.load(message_id)
        except FileNotFoundError:
            return None
        except Unreadable as problem:
            log.error("message %s of the queue is set aside: %s", message_id, problem)
            self._spool.set_aside(message_id)
        except OSError as error:
            log.error("message %s of the queue cannot be read: %s", message_id, error)
        return None

    async def write(
        self, message: QueuedMessage, found: dict[Outcome, tuple[int, ...]], *, alone: bool
    ) -> bool:
        """Note outcomes, durably. `alone`: nobody else writes of this message meanwhile. True: with
        these it was done, and has left the queue."""
        now = self._world.clock()
        notes: list[Note] = []
        for outcome, numbers in found.items():
            if outcome.fate is Fate.TEMPORARY:
                notes += self._put_off(message, outcome, numbers, now)
            else:
                notes.append(Tried(now, numbers, outcome, 0.0))
            self._tell_log(message, outcome, numbers)
        return await self._keep(message, *notes, alone=alone)

    async def _keep(self, message: QueuedMessage, *notes: Note, alone: bool = False) -> bool:
        for note in notes:
            message.take(note)
        done = alone and not any(one.open for one in message.progress)
        done = done and not reports.due(message, self._patience, self._world.clock())
        await self._write_down(Record(message.entry.id, notes, done))
        return done

    async def keep_unsaved(self, message_id: str) -> None:
        """Write notes down; raises OSError. On a disk that does not take them they wait in memory,
        and until then the message is not tried again, or it would be delivered again and again."""
        if message_id in self._unsaved:
            await self._write_down(Record(message_id, ()))

    async def _write_down(self, record: Record) -> None:
        notes = self._unsaved.pop(record.message_id, ()) + record.notes
        try:
            lane = self._lanes[hash(record.message_id) % LANES]
            await lane(replace(record, notes=notes))
        except BaseException:  # others may have come meanwhile, by another destination
            self._unsaved[record.message_id] = notes + self._unsaved.get(record.message_id, ())
            raise

    def _put_off(
        self, message: QueuedMessage, outcome: Outcome, numbers: tuple[int, ...], now: float
    ) -> list[Note]:
        gives_up = message.entry.arrived + self._patience.lifetime
        if now >= gives_up:
            log.info("message %s is too old to be tried again", message.entry.id)
            late = replace(outcome, fate=Fate.PERMANENT, status="5.4.7")
            return [Tried(now, numbers, late, 0.0)]
        by_tries: dict[int, list[int]] = {}
        for number in numbers:
            by_tries.setdefault(message.progress[number].tries + 1, []).append(number)
        return [
            Tried(
                now,
                tuple(some),
                outcome,
                min(now + self._patience.wait(tries, self._world.chance), gives_up),
            )
            for tries, some in by_tries.items()
        ]

    @staticmethod
    def _tell_log(message: QueuedMessage, outcome: Outcome, numbers: tuple[int, ...]) -> None:
        paths = [str(message.entry.recipients[number].forward_path) for number in numbers[:5]]
        log.info(
            "message %s to=<%s>%s %s: %s%s",
            message.entry.id,
            ">,<".join(paths),
            f" and {len(numbers) - 5} more" if len(numbers) > 5 else "",
            outcome.fate.value,
            f"{outcome.said_by} said " if outcome.said_by else "",
            outcome.text,
        )

    async def send_reports(self, message: QueuedMessage) -> bool:
        """All that are due; False: one of them found no place and is due again later."""
        placed = True
        now = self._world.clock()
        for action, numbers in reports.due(message, self._patience, now).items():
            placed = await self._report(message, action, numbers) and placed
        return placed

    async def _report(
        self, message: QueuedMessage, action: Action, numbers: tuple[int, ...]
    ) -> bool:
        entry = message.entry
        sender = entry.reverse_path.mailbox
        assert sender is not None, "nobody else gets reports"
        whole = entry.parameters.returned is Return.FULL and action is Action.FAILED
        whole = whole and entry.octets <= reporting.FULL_LIMIT
        whole = whole and not entry.parameters.require_tls  # RFC 8689 5
        original = await self._world.in_thread(partial(self._original, entry.id, whole=whole))
        content = reporting.report(
            About(entry.id, entry.arrived, entry.parameters, str(sender)),
            reports.facts(message, action, numbers, self._patience),
            original,
            whole=whole,
            own_name=self._own_name,
            now=self._world.clock(),
            number=numbers[0],
        )
        verdict = await self._world.send_report(sender, content)
        if not verdict and verdict.kind not in _LOST_FOR_GOOD:
            log.error("message %s: a report waits: %s", entry.id, verdict.kind.name)
            return False
        if not verdict:
            log.error("message %s: nobody takes the report: %s", entry.id, verdict.kind.name)
        await self._keep(message, Told(numbers, delayed=action is Action.DELAYED))
        return True

    def _original(self, message_id: str, *, whole: bool) -> bytes:
        chunks = self._spool.content(message_id)
        try:
            if whole:
                return b"".join(chunks)
            return reporting.header_of(next(chunks, b""))
        finally:
            chunks.close()  # type: ignore[attr-defined] # it is a generator

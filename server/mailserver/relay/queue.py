"""What is tried next, as a value: no disk, no network, no clock of its own.

    queue.add(job, due)              a message for a destination, to be tried at that time
    queue.take(now)                  a job to begin a connection with, or None
    queue.greeted(destination)       a server of it has let us in
    queue.more(job, done, now)       the next job for the same connection, or None
    queue.done(job)                  after each job, however it ended
    queue.left(destination, now, …)  after the last job of a connection
    queue.next_due(now)              when `take` may have something

A destination has few connections at first and more as they go well. One that does not answer is
left alone for a while, longer each time: what is due for it meanwhile is to be put off without a
connection (`is_silent`). Destinations take turns, so that none of them starves another; those of
which it is not known whether they answer have half of all connections at most, so that however
many are dead, and however long a connection to them takes to fail, the others get their mail.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from mailserver.relay.backoff import Patience
from mailserver.wire.value import value

DESTINATIONS_LIMIT = 10_000
"""That are remembered although nothing is to be done for them."""

_READY = -1


class Job(NamedTuple):
    """One message for its recipients at one destination."""

    message_id: str
    destination: str


@value(frozen=True, slots=True)
class Most:
    """How much at once."""

    connections: int = 200
    to_one: int = 20
    """Connections to one destination."""
    in_a_row: int = 100
    """Messages on one connection while others wait."""
    at_first: int = 2
    """Connections to a destination of which nothing is known."""

    def share(self, of: int) -> Most:
        """For one of so many queues that are to have no more than this together."""
        at_first = max(1, self.at_first // of)
        return Most(self.connections // of, self.to_one // of, self.in_a_row, at_first)


@dataclass(slots=True)
class _Destination:
    allowed: int
    ready: deque[Job] = field(default_factory=deque)
    connections: int = 0
    failures: int = 0
    """In a row."""
    silent_until: float = 0.0
    in_turn: bool = False
    answers: bool = False
    """It did, the last time that it was asked."""


class Queue:
    """All jobs."""

    def __init__(self, most: Most, silence: Patience, chance: Callable[[], float]) -> None:
        """`silence`: how long a destination is left alone that does not answer. `chance`: a number
        from 0 to 1."""
        self._most = most
        self._silence = silence
        self._chance = chance
        self._later: list[tuple[float, int, Job]] = []  # a heap
        self._numbers = count()
        # each job that waits, with its number in the heap; _READY: in its destination's deque.
        # What heap or deque have besides that does not count any more.
        self._waiting: dict[Job, int] = {}
        self._at_work: dict[
            Job, float | None
        ] = {}  # when it is to be tried again, if that is known
        self._destinations: dict[str, _Destination] = {}
        # destinations that could have one more connection: those that answer, and the others
        self._turns, self._doubtful_turns = deque[str](), deque[str]()
        self._connections = 0
        self._doubtful = 0  # connections to destinations that may not answer

    def __len__(self) -> int:
        """Jobs that wait or are at work."""
        return len(self._waiting) + len(self._at_work)

    def add(self, job: Job, due: float) -> None:
        """Try it at that time, if it waited for another one, not then. A job that is at work waits
        until it is done."""
        if job in self._at_work:
            self._at_work[job] = due
            return
        number = self._waiting[job] = next(self._numbers)
        heapq.heappush(self._later, (due, number, job))

    def discard(self, job: Job) -> None:
        """Do not try it again."""
        self._waiting.pop(job, None)
        if job in self._at_work:
            self._at_work[job] = None

    def is_at_work(self, job: Job) -> bool:
        """It was taken and is not done."""
        return job in self._at_work

    def take(self, now: float) -> Job | None:
        """A job to begin a connection with; `left` has to follow."""
        self._wake(now)
        while self._connections < self._most.connections:
            name = self._next_turn()
            if name is None:
                return None
            destination = self._destinations[name]
            job = self._next_of(destination)
            if job is not None:
                destination.connections += 1
                self._connections += 1
                self._doubtful += not destination.answers
                self._give_turn(name, destination)
                return job
        return None

    def greeted(self, name: str) -> None:
        """A server of this destination has let us in."""
        destination = self._destinations[name]
        self._note(destination, answers=True)
        if destination.in_turn:  # among the doubtful ones it may have to wait for longer
            self._turns.append(name)

    def more(self, destination: str, done: int, now: float) -> Job | None:
        """A job for a connection on which so many were done."""
        self._wake(now)
        if done >= self._most.in_a_row and (self._turns or self._doubtful_turns):
            return None
        return self._next_of(self._destinations[destination])

    def is_silent(self, destination: str, now: float) -> bool:
        """It did not answer and is to be left alone."""
        return self._destinations[destination].silent_until > now

    def done(self, job: Job) -> None:
        """It is over, one way or the other."""
        due = self._at_work.pop(job)
        if due is not None:
            self.add(job, due)

    def left(self, name: str, now: float, *, answered: bool | None) -> None:
        """A connection has ended. `answered`: the destination did what a mail server does; None:
        it was not asked."""
        destination = self._destinations[name]
        destination.connections -= 1
        self._connections -= 1
        self._doubtful -= not destination.answers
        if answered is not None:
            self._note(destination, answers=answered)
        if answered:
            destination.failures = 0
            destination.silent_until = 0.0
            destination.allowed = min(destination.allowed + 1, self._most.to_one)
        elif answered is not None and not self.is_silent(name, now):
            # those that were under way when it fell silent do not count again
            destination.failures += 1
            destination.allowed = 1
            wait = self._silence.wait(destination.failures, self._chance)
            destination.silent_until = now + wait
        self._give_turn(name, destination)
        if len(self._destinations) > DESTINATIONS_LIMIT:
            self._forget(now)

    def next_due(self, now: float) -> float | None:
        """When `take` may give more; None: only after something else has happened."""
        if self._connections >= self._most.connections:
            return None
        if self._turns or (self._doubtful_turns and self._may_doubt()):
            return now
        return self._later[0][0] if self._later else None

    # -- inside ------------------------------------------------------------------------------------

    def _wake(self, now: float) -> None:
        """Jobs whose time has come are ready."""
        while self._later and self._later[0][0] <= now:
            _, number, job = heapq.heappop(self._later)
            if self._waiting.get(job) == number:
                self._waiting[job] = _READY
                name = job.destination
                destination = self._destination(name)
                destination.ready.append(job)
                self._give_turn(name, destination)

    def _destination(self, name: str) -> _Destination:
        known = self._destinations.get(name)
        if known is None:
            allowed = min(self._most.at_first, self._most.to_one)
            known = self._destinations[name] = _Destination(allowed)
        return known

    def _next_of(self, destination: _Destination) -> Job | None:
        while destination.ready:
            job = destination.ready.popleft()
            if self._waiting.get(job) == _READY:
                del self._waiting[job]
                self._at_work[job] = None
                return job
        return None

    def _give_turn(self, name: str, destination: _Destination) -> None:
        free = destination.connections < destination.allowed
        if destination.ready and free and not destination.in_turn:
            destination.in_turn = True
            (self._turns if destination.answers else self._doubtful_turns).append(name)

    def _next_turn(self) -> str | None:
        """Whose it is, the doubtful ones first: most of them will not be so any more. A name whose
        destination has had its turn elsewhere is passed over."""
        may_doubt = self._may_doubt()
        while turns := (may_doubt and self._doubtful_turns) or self._turns:
            name = turns.popleft()
            destination = self._destinations.get(name)
            if destination is None or not destination.in_turn:
                continue
            if may_doubt or destination.answers:
                destination.in_turn = False
                return name
            self._doubtful_turns.append(name)
        return None

    def _may_doubt(self) -> bool:
        return self._doubtful < max(1, self._most.connections // 2)

    def _note(self, destination: _Destination, *, answers: bool) -> None:
        if answers is not destination.answers:
            destination.answers = answers
            self._doubtful += -destination.connections if answers else destination.connections

    def _forget(self, now: float) -> None:
        """Destinations of which there is nothing to know take no memory."""
        self._destinations = {
            name: known
            for name, known in self._destinations.items()
            if known.ready or known.connections or known.in_turn or known.silent_until > now
        }

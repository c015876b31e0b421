"""Group commit: who waits shares the next sync."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence

import pytest
from tests.contract import post

from mailserver.message.verdict import ACCEPTED, Kind, Verdict
from mailserver.store import commit
from mailserver.store.base import Deposit
from mailserver.store.commit import GroupCommit
from mailserver.store.memory import MemoryStore

SECONDS = 10.0
"""For anything to happen; a bug, not a slow machine, takes that long."""


class Gate(MemoryStore):
    """A store whose disk is busy until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Sequence[Deposit]] = []
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.answer: Callable[[Sequence[Deposit]], list[Verdict]] = super().append

    def append(self, batch: Sequence[Deposit]) -> list[Verdict]:
        self.batches.append(batch)
        self.begun.release()
        assert self.go_on.acquire(timeout=SECONDS)
        return self.answer(batch)

    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


def deposit(user: str = "bob") -> Deposit:
    return post.deposit_of(MemoryStore(), [user])[1]


def run(story: Callable[[Gate, GroupCommit], Coroutine[None, None, None]]) -> Gate:
    store = Gate()

    async def main() -> None:
        group = GroupCommit(store)
        try:
            async with asyncio.timeout(SECONDS):
                await story(store, group)
        finally:
            store.go_on.release(100)
            group.close()

    asyncio.run(main())
    return store


async def begun(store: Gate) -> None:
    assert await asyncio.to_thread(store.begun.acquire, timeout=SECONDS)


def test_what_comes_during_a_sync_shares_the_next() -> None:
    async def story(store: Gate, group: GroupCommit) -> None:
        first = asyncio.create_task(group.append(deposit()))
        await begun(store)
        waiting = [asyncio.create_task(group.append(deposit())) for _ in range(30)]
        await asyncio.sleep(0)
        store.go_on.release()
        assert await first == ACCEPTED
        await begun(store)
        assert not any(task.done() for task in waiting)
        store.go_on.release()
        assert await asyncio.gather(*waiting) == [ACCEPTED] * 30

    store = run(story)
    assert store.sizes() == [1, 30]
    assert len(store.mailboxes["bob"]) == 31


def test_a_batch_is_bounded_and_keeps_the_order() -> None:
    async def story(store: Gate, group: GroupCommit) -> None:
        store.go_on.release(10)
        deposits = [deposit() for _ in range(commit.BATCH_LIMIT + 21)]
        verdicts = await asyncio.gather(*(group.append(one) for one in deposits))
        assert verdicts == [ACCEPTED] * len(deposits)
        assert [one for batch in store.batches for one in batch] == deposits

    assert run(story).sizes() == [commit.BATCH_LIMIT, 21]


def test_what_is_on_its_way_shares_the_sync() -> None:
    async def story(store: Gate, group: GroupCommit) -> None:
        store.go_on.release(10)
        loop = asyncio.get_running_loop()
        late: list[asyncio.Task[Verdict]] = []

        def arrive(rounds: int) -> None:
            """In the last of these rounds of the loop a second message comes."""
            if rounds:
                loop.call_soon(arrive, rounds - 1)
            else:
                late.append(loop.create_task(group.append(deposit())))

        arrive(commit.QUIET_ROUNDS - 3)
        assert await group.append(deposit()) == ACCEPTED
        assert await late[0] == ACCEPTED

    assert run(story).sizes() == [2]


def test_each_gets_its_own_verdict() -> None:
    async def story(store: Gate, group: GroupCommit) -> None:
        store.go_on.release(10)
        store.unusable.add("eve")
        verdicts = await asyncio.gather(*(group.append(deposit(u)) for u in ("bob", "eve", "bob")))
        assert [v.kind for v in verdicts] == [Kind.ACCEPTED, Kind.MAILBOX_UNUSABLE, Kind.ACCEPTED]

    run(story)


def test_a_busy_mailbox_is_tried_again_and_holds_up_nobody() -> None:
    async def story(store: Gate, group: GroupCommit) -> None:
        busy = 3

        def answer(batch: Sequence[Deposit]) -> list[Verdict]:
            nonlocal busy
            verdicts = []
            for one in batch:
                if one[0].user == "eve" and busy:
                    busy -= 1
                    verdicts.append(Verdict(Kind.MAILBOX_BUSY))
                else:
                    verdicts += MemoryStore.append(store, [one])
            return verdicts

        store.answer = answer
        eve = asyncio.create_task(group.append(deposit("eve")))
        store.go_on.release()
        await begun(store)
        store.go_on.release()
        assert await group.append(deposit()) == ACCEPTED
        assert not eve.done()
        store.go_on.release(10)
        assert await eve == ACCEPTED

    store = run(story)
    assert len(store.mailboxes["eve"]) == len(store.mailboxes["bob"]) == 1


def test_a_mailbox_that_stays_busy_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "BUSY_SECONDS", 0.02)

    async def story(store: Gate, group: GroupCommit) -> None:
        store.answer = lambda batch: [Verdict(Kind.MAILBOX_BUSY)] * len(batch)
        store.go_on.release(10_000)
        verdict = await group.append(deposit())
        assert verdict.kind is Kind.MAILBOX_BUSY

    assert len(run(story).batches) > 1


def test_an_error_reaches_all_of_the_batch_and_nobody_else() -> None:
    async def story(store: Gate, group: GroupCommit) -> None:
        working = store.answer

        def broken(batch: Sequence[Deposit]) -> list[Verdict]:
            store.answer = working
            raise RuntimeError("a bug")

        first = asyncio.create_task(group.append(deposit()))
        await begun(store)
        failing = [asyncio.create_task(group.append(deposit())) for _ in range(3)]
        await asyncio.sleep(0)
        store.go_on.release()
        assert await first == ACCEPTED
        await begun(store)
        store.answer = broken
        store.go_on.release()
        errors = await asyncio.gather(*failing, return_exceptions=True)
        assert [str(error) for error in errors] == ["a bug"] * 3
        store.go_on.release()
        assert await group.append(deposit()) == ACCEPTED

    run(story)


def test_who_stops_waiting_stops_nobody_else() -> None:
    async def story(store: Gate, group: GroupCommit) -> None:
        gone = asyncio.create_task(group.append(deposit()))
        await begun(store)
        stays = asyncio.create_task(group.append(deposit()))
        await asyncio.sleep(0)
        gone.cancel()
        store.go_on.release(2)
        assert await stays == ACCEPTED
        assert gone.cancelled()

    # it was under way: stored, though nobody is told
    assert len(run(story).mailboxes["bob"]) == 2


def test_closing_waits_for_the_batch_under_way() -> None:
    async def story(store: Gate, group: GroupCommit) -> None:
        task = asyncio.create_task(group.append(deposit()))
        await begun(store)
        store.go_on.release()
        group.close()
        assert len(store.mailboxes["bob"]) == 1
        assert await task == ACCEPTED

    run(story)

"""Whether mail can be stored, by what became of messages for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mailserver.delivery import readiness
from mailserver.delivery.readiness import Readiness
from mailserver.message.verdict import ACCEPTED, Kind, Verdict
from mailserver.store.base import Delivery, Deposit
from mailserver.store.memory import MemoryBody

Answer = Callable[[], Awaitable[Verdict]]


async def good() -> Verdict:
    return ACCEPTED


async def full() -> Verdict:
    return Verdict(Kind.DISK_FULL)


async def failed() -> Verdict:
    return Verdict(Kind.STORAGE_FAILED)


async def silent() -> Verdict:
    return await asyncio.Future()


async def faulty() -> Verdict:
    raise AssertionError("a fault of ours")


async def seen(*answers: Answer) -> list[bool]:
    """What it says before each of these, and after the last."""
    left, states, done = list(answers), list[bool](), asyncio.Event()

    async def append(deposit: Deposit) -> Verdict:
        assert deposit == ()
        states.append(ready())
        if not left:
            done.set()
            await silent()
        return await left.pop(0)()

    ready = Readiness(append)
    watching = asyncio.ensure_future(ready.watch())
    await done.wait()
    watching.cancel()
    return states


async def after_a_message_that_failed() -> None:
    """One of a user's; what is tried then, and said."""
    tried: asyncio.Future[Deposit] = asyncio.get_running_loop().create_future()
    user = Delivery("alice", b"From x\n", b"", MemoryBody(b""))

    async def append(deposit: Deposit) -> Verdict:
        if deposit != (user,):
            tried.set_result(deposit)
        return await failed()

    ready = Readiness(append)
    watching = asyncio.ensure_future(ready.watch())
    assert not await ready.append((user,))
    assert ready()  # it may be this mailbox alone
    assert await tried == ()
    assert not ready()
    watching.cancel()


def test_a_message_that_is_not_stored_is_a_reason_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "SECONDS", 3600.0)
    asyncio.run(after_a_message_that_failed())


@pytest.mark.parametrize(
    ("answer", "is_ready"),
    [(good, True), (full, True), (failed, False), (silent, False), (faulty, False)],
)
def test_the_last_try_tells(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, is_ready: bool
) -> None:
    monkeypatch.setattr(readiness, "SECONDS", 0.0)
    monkeypatch.setattr(readiness, "SECONDS_WHILE_ILL", 0.0)
    monkeypatch.setattr(readiness, "PATIENCE", 0.05)
    assert asyncio.run(seen(good, answer, answer, good)) == [True, True, is_ready, is_ready, True]

"""Whether mail can be stored, by what became of messages for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mailserver.delivery import readiness
from mailserver.delivery.readiness import Readiness
from mailserver.message.verdict import ACCEPTED, Kind, Verdict
from mailserver.store.base import Deposit

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

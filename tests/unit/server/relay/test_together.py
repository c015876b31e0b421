"""Work that is gathered."""

from __future__ import annotations

import asyncio
import threading

from mailserver.relay.together import Together
from mailserver.threads import Threads


class Halves:
    """Halves even numbers; the first batch waits until it may."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may = threading.Event()

    def __call__(self, items: list[int]) -> list[int | OSError]:
        self.may.wait(5)
        self.batches.append(items)
        if 13 in items:
            raise ArithmeticError
        return [OSError(f"{item} is odd") if item % 2 else item // 2 for item in items]


def ask(halves: Halves, *items: int) -> list[int | BaseException]:
    """The first alone, the others while it is under way."""

    async def story() -> list[int | BaseException]:
        together = Together(halves, Threads("test", 1))
        first = asyncio.ensure_future(together(items[0]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        others = [asyncio.ensure_future(together(item)) for item in items[1:]]
        await asyncio.sleep(0)
        halves.may.set()
        found = await asyncio.gather(first, *others, return_exceptions=True)
        await together.idle()
        return found

    return asyncio.run(story())


def test_what_comes_meanwhile_is_done_together() -> None:
    halves = Halves()
    assert ask(halves, 2, 4, 6, 8) == [1, 2, 3, 4]
    assert halves.batches == [[2], [4, 6, 8]]


def test_a_failure_is_told_to_the_one_it_is_about() -> None:
    good, bad, also_good = ask(Halves(), 2, 3, 6)
    assert (good, also_good) == (1, 3)
    assert isinstance(bad, OSError)


def test_a_fault_is_told_to_all_of_the_batch_and_the_next_goes_on() -> None:
    halves = Halves()
    good, *others = ask(halves, 2, 13, 4)
    assert good == 1
    assert [type(one) for one in others] == [ArithmeticError] * 2


def test_who_goes_away_does_not_disturb_the_others() -> None:
    halves = Halves()

    async def story() -> list[int | BaseException]:
        together = Together(halves, Threads("test", 1))
        tasks = [asyncio.ensure_future(together(item)) for item in (2, 4, 6)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        halves.may.set()
        return await asyncio.gather(tasks[0], tasks[2])

    assert asyncio.run(story()) == [1, 3]


def test_idle_waits_for_what_was_asked() -> None:
    halves = Halves()

    async def story() -> list[int | BaseException]:
        together = Together(halves, Threads("test", 1))
        task = asyncio.ensure_future(together(2))
        await asyncio.sleep(0)
        task.cancel()
        halves.may.set()
        await together.idle()
        return list(halves.batches[0])

    assert asyncio.run(story()) == [2]

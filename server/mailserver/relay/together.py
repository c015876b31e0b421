"""Many small pieces of work that block, done in one go: a thread costs more than most of them, and
a sync costs the same for one as for a hundred."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from mailserver.threads import InThread

Item = TypeVar("Item")
Result = TypeVar("Result")


class Together(Generic[Item, Result]):
    """What is asked for while earlier work is under way waits, and is done all together."""

    def __init__(
        self, work: Callable[[list[Item]], list[Result | OSError]], in_thread: InThread
    ) -> None:
        """`work` blocks; it has a result for each item, or why there is none."""
        self._work = work
        self._in_thread = in_thread
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Result:
        """The result for it; raises what stood there instead."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._go())
        return await future

    async def idle(self) -> None:
        """When all is done that was asked for."""
        if self._task is not None:
            await self._task

    async def _go(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            items = [item for item, _ in batch]
            try:
                results = await self._in_thread(lambda items=items: self._work(items))  # type: ignore[misc]
            except Exception as problem:  # noqa: BLE001 - each who asked gets it
                for _, future in batch:
                    if not future.done():
                        future.set_exception(problem)
                continue
            for result, (_, future) in zip(results, batch, strict=True):
                if future.done():  # who asked has gone away
                    continue
                if isinstance(result, OSError):
                    future.set_exception(result)
                else:
                    future.set_result(result)

"""Calls that block (on the disk) or take long (hashing) run in a few threads, never in the event
loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")


class InThread(Protocol):
    """Runs a call somewhere else than in the event loop."""

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]: ...


class Threads:
    """See InThread: a small pool. It may be made before there is an event loop."""

    def __init__(self, purpose: str, number: int) -> None:
        self._pool = ThreadPoolExecutor(number, thread_name_prefix=purpose)

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        """The call's result, or what it raised."""
        return asyncio.get_running_loop().run_in_executor(self._pool, call)

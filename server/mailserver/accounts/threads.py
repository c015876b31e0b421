"""Hashing passwords takes milliseconds and memory: two threads do it, never the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")

THREADS = 2


class InThread(Protocol):
    """Runs a call that takes long somewhere else than in the event loop."""

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]: ...


class HashingThreads:
    """See InThread."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="hashing")

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        """The call's result, or what it raised."""
        return asyncio.get_running_loop().run_in_executor(self._pool, call)

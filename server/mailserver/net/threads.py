"""Calls that may block on the disk run in a few threads, never in the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")

_THREADS = 8


class InThread(Protocol):
    """Runs a call that may block somewhere else than in the event loop."""

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]: ...


class DiskThreads:
    """See InThread: a small pool, for use inside a running event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="disk")
        self._loop = asyncio.get_running_loop()

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        """The call's result, or what it raised."""
        return self._loop.run_in_executor(self._pool, call)

"""What every target of the fuzzers is."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from tests.fuzz.inputs import composed, mutated

T = TypeVar("T")


class Target:
    """One of them. Some keep something on a disk: a new one is made for each batch of inputs."""

    seeds: Sequence[bytes] = ()
    words: Sequence[bytes] = ()
    end = b""
    """What stands between words, usually."""
    batch = 2000
    """Inputs that one object gets."""
    share = 10.0
    """Of a number of inputs for all targets: some take a hundred times as long as others."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.apart = 0.0
        """Seconds of the processor for what is no reading (`aside`)."""

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is done here is not the input's cost: hashing, which is slow on purpose, or making
        what reads it."""
        began = time.thread_time()
        try:
            yield
        finally:
            self.apart += time.thread_time() - began

    async def hash_aside(self, call: Callable[[], T]) -> T:
        """An `InThread` for hashing."""
        with self.aside():
            return call()

    def timed(self, data: bytes) -> float:
        """Check an input; the seconds of the processor that it cost."""
        began, apart = time.thread_time(), self.apart
        self.check(data)
        return time.thread_time() - began - (self.apart - apart)

    def make(self, chance: random.Random) -> bytes:
        """An input."""
        if not self.seeds or (self.words and chance.random() < 0.4):
            return composed(self.words, self.end, chance)
        return mutated(chance.choice(self.seeds), self.seeds, chance)

    def check(self, data: bytes) -> None:
        """Raises AssertionError, or anything that is not documented."""
        raise NotImplementedError

    def close(self) -> None:
        self.stack.close()

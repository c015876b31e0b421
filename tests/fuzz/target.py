"""What every target of the fuzzers is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import ExitStack

from tests.fuzz.inputs import composed, mutated


class Target:
    """One of them. Some keep something on a disk: a new one is made for each batch of inputs."""

    seeds: Sequence[bytes] = ()
    words: Sequence[bytes] = ()
    end = b""
    """What stands between words, usually."""
    batch = 2000
    """Inputs that one object gets."""
    hashing = 0.0
    """Seconds of the processor more than usual that an input may cost."""

    def __init__(self) -> None:
        self.stack = ExitStack()

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

"""A dictionary that cannot grow without end."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import TypeVar

ROWS = 10_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class BoundedTable(OrderedDict[K, V]):
    """When it is full, the row that was not written for longest goes."""

    def put(self, key: K, value: V) -> None:
        """Write a row."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > ROWS:
            self.popitem(last=False)

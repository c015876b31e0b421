"""Names for messages: short, and never given twice."""

from __future__ import annotations

from itertools import count


class MessageIds:
    """Gives `<prefix>-1`, `<prefix>-2`, …: one server's names."""

    def __init__(self, prefix: str) -> None:
        """`prefix` must differ from that of every server before and beside: make it random."""
        self._prefix = prefix
        self._numbers = count(1)

    def __call__(self) -> str:
        """A new name: letters, digits and hyphens."""
        return f"{self._prefix}-{next(self._numbers):x}"

"""Writing to many connections at once."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Gathering(Protocol):
    """A connection that gathers what it is to send."""

    def flush(self) -> None:
        """Hand on what was gathered."""


class Burst:
    """What all connections send in one round of the event loop goes out together at its end.

    A peer on this machine is woken by the first octets, and finds the others when it looks; sent
    one by one between other work, each would wake it anew, and that costs more than the rest of
    the reply. The replies to pipelined commands share a packet, too (RFC 2920 3.2).
    """

    def __init__(self) -> None:
        """For use inside a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Gathering] = []

    def add(self, stream: Gathering) -> None:
        """It has something to send."""
        if not self._waiting:
            self._loop.call_soon(self._send)
        self._waiting.append(stream)

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for stream in waiting:
            stream.flush()

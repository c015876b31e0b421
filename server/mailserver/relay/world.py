"""What the relay has around it; all of it is injected, the clock and chance too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mailserver.message.verdict import Verdict
from mailserver.wire.address import Mailbox

T = TypeVar("T")


class InThread(Protocol):
    """Runs a call that may block somewhere else than in the event loop."""

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]: ...


SendReport = Callable[[Mailbox, bytes], Awaitable[Verdict]]
"""A message from `<>` to this address; durable when the verdict says so."""


@dataclass(frozen=True, slots=True)
class World:
    """What a relay has around it."""

    in_thread: InThread
    clock: Callable[[], float]
    """Seconds since the epoch."""
    chance: Callable[[], float]
    """A number from 0 to 1."""
    wait: Callable[[float], Awaitable[None]]
    """For so many seconds, or until there is something to do."""
    send_report: SendReport

"""What the relay has around it; all of it is injected, the clock and chance too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mailserver.message.verdict import Verdict
from mailserver.threads import InThread
from mailserver.wire.address import Mailbox
from mailserver.wire.value import value

SendReport = Callable[[Mailbox, bytes], Awaitable[Verdict]]
"""A message from `<>` to this address; durable when the verdict says so."""


@value(frozen=True, slots=True)
class World:
    """What a relay has around it."""

    in_thread: InThread
    clock: Callable[[], float]
    """Seconds since the epoch."""
    ticks: Callable[[], float]
    """Seconds that go on evenly, whatever the clock is set to."""
    chance: Callable[[], float]
    """A number from 0 to 1."""
    wait: Callable[[float], Awaitable[None]]
    """For so many seconds, or until there is something to do."""
    send_report: SendReport

"""Where mail for other servers goes; who keeps it is injected."""

from __future__ import annotations

from typing import Protocol

from mailserver.message.envelope import Envelope
from mailserver.store.base import Body


class Held(Protocol):
    """A message that is on stable storage and will not leave before it is released."""

    async def release(self) -> None:
        """It is in the queue, durably, after this; raises OSError."""

    async def discard(self) -> None:
        """Forget it."""


class Outbox(Protocol):
    """The way out. A crash between `hold` and `release` forgets the message."""

    async def hold(
        self,
        envelope: Envelope,
        message_id: str,
        head: bytes,
        body: Body,
        *,
        signed: bool = True,
    ) -> Held:
        """For all recipients of the envelope. `head`: trace lines and header block, LF line ends.
        `signed`: it is of this server, which may vouch for it. Raises OSError."""

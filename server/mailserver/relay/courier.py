"""How the relay reaches other servers; who does it is injected."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol

from mailserver.message.outcome import Outcome
from mailserver.message.transaction import Transaction
from mailserver.relay.routing import NextHost

Content = bytes | Callable[[], Iterator[bytes]]
"""Of a message: all of it, or what gives it in pieces, which may block and raise OSError."""


class Unreachable(Exception):
    """No server of the destination takes mail now; the outcome is for all its recipients."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome


class Connection(Protocol):
    """To one server that has greeted us."""

    usable: bool
    """Another message can be sent; `close` is called all the same."""
    recipients: int | None
    """That the server takes with a message; None: it does not say."""

    async def send(self, transaction: Transaction, content: Content) -> tuple[Outcome, ...]:
        """One message; an outcome for each recipient. Raises the OSError of reading the content:
        nothing was delivered then."""

    async def close(self) -> None:
        """Say goodbye."""


class Courier(Protocol):
    """Makes connections."""

    async def connect(self, hosts: AsyncIterator[NextHost]) -> Connection:
        """To the first of the hosts that lets us in. Raises Unreachable, or what `hosts` raises."""

"""The TRANSACTION state (RFC 1939 5): what is done with an open maildrop.

The maildrop is a `Listing` from the login on: STAT, LIST, UIDL, DELE, RSET and NOOP are answered
from it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mailserver.pop3 import replies
from mailserver.pop3.commands import (
    Dele,
    List,
    Noop,
    Refused,
    Retr,
    Rset,
    Stat,
    Top,
    Transaction,
    Uidl,
)
from mailserver.pop3.events import Event, Listing, Retrieve


class OpenMaildrop:
    """A listing and what is to be deleted. Each command is answered by octets or an event."""

    def __init__(self, listing: Listing) -> None:
        self._octets = listing.octets
        self._listing = listing
        self._deleted: set[int] = set()

    @property
    def deleted(self) -> tuple[int, ...]:
        """The numbers of those that are marked."""
        return tuple(sorted(self._deleted))

    @property
    def count(self) -> int:
        """Messages, those that are marked too."""
        return len(self._octets)

    @property
    def summary(self) -> bytes:
        """How much mail there is, as a reply."""
        count = len(self._octets)
        messages = f"{count} message{'s' * (count != 1)}"
        return replies.ok(f"maildrop has {messages} ({sum(self._octets)} octets)")

    def size(self, number: int) -> int:
        """Octets of a message as it lies there."""
        return self._octets[number - 1]

    def obey(self, command: Transaction) -> bytes | Event:
        """Raises Refused."""
        return _OBEY[type(command)](self, command)

    def _stat(self, command: Stat) -> bytes:
        gone = sum(self.size(number) for number in self._deleted)
        count = len(self._octets) - len(self._deleted)
        return replies.ok(f"{count} {sum(self._octets) - gone}")

    def _list(self, command: List) -> bytes:
        return self._scan(command.number, self._octets, "scan listing follows")

    def _uidl(self, command: Uidl) -> bytes:
        return self._scan(command.number, self._listing.unique_ids, "unique-id listing follows")

    def _scan(self, number: int | None, column: Sequence[object], headline: str) -> bytes:
        if number is not None:
            return replies.ok(f"{self._existing(number)} {column[number - 1]}")
        deleted = self._deleted
        left = [f"{n} {value}" for n, value in enumerate(column, 1) if n not in deleted]
        return replies.lines(headline, left)

    def _retr(self, command: Retr) -> Event:
        return Retrieve(self._existing(command.number), None)

    def _top(self, command: Top) -> Event:
        return Retrieve(self._existing(command.number), command.lines)

    def _dele(self, command: Dele) -> bytes:
        self._deleted.add(self._existing(command.number))
        return replies.ok(f"message {command.number} deleted")

    def _noop(self, command: Noop) -> bytes:
        return replies.ok()

    def _rset(self, command: Rset) -> bytes:
        self._deleted.clear()
        return self.summary

    def _existing(self, number: int) -> int:
        if not 1 <= number <= len(self._octets):
            raise Refused(replies.NO_SUCH_MESSAGE)
        if number in self._deleted:
            raise Refused(replies.DELETED)
        return number


_OBEY: dict[type[Transaction], Callable[[OpenMaildrop, Any], bytes | Event]] = {
    Stat: OpenMaildrop._stat,
    List: OpenMaildrop._list,
    Uidl: OpenMaildrop._uidl,
    Retr: OpenMaildrop._retr,
    Top: OpenMaildrop._top,
    Dele: OpenMaildrop._dele,
    Noop: OpenMaildrop._noop,
    Rset: OpenMaildrop._rset,
}

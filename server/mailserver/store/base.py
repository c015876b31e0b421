"""The interface of a mail store: what the others may know about where mail lies.

All calls may block on the disk, and those who must not block call them in a thread; but not
`content_at_hand`, nor `open_maildrop` that is told not to wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol

from mailserver.message.header import Header
from mailserver.message.verdict import Verdict
from mailserver.wire.value import value


class MaildropInUse(Exception):
    """Another session has the maildrop (RFC 1939 4: one at a time)."""


class MailboxUnusable(Exception):
    """The mailbox is not what it should be: a link, a folder, not readable. Says what and where."""


class Body(Protocol):
    """A message's body, ready to be stored for any number of recipients."""

    @property
    def octets(self) -> int:
        """Its size as it is sent, line ends CRLF."""

    def read(self) -> Iterator[bytes]:
        """The body as it is sent, in pieces; may be called any number of times. Raises OSError."""


class Staging(Protocol):
    """One message on its way in."""

    def write(self, content: bytes) -> None:
        """Take a piece of content, CRLF line ends; it never ends inside one."""

    @property
    def overfull(self) -> bool:
        """It holds as much memory as it may: call `spill` before writing on."""

    @property
    def urgent(self) -> bool:
        """Call it at once: all messages together hold as much memory as they may."""

    def spill(self) -> None:
        """Move what is held in memory to the disk; raises OSError."""

    def finish(self) -> StagedMessage:
        """All content was written."""

    def discard(self) -> None:
        """Forget it all. Allowed at any time, more than once, and after the message was stored."""


@value(frozen=True, slots=True)
class StagedMessage:
    """One message that has come in whole."""

    header: Header | None
    """None: it is over the limits of `message.header`."""
    header_block: bytes
    """LF line ends, without the empty line behind it."""
    body: Body
    """All behind the header block, the empty line included."""


@value(frozen=True, slots=True)
class Delivery:
    """One message for one mailbox."""

    user: str
    from_line: bytes
    """The line that begins the record (RFC 4155), LF at its end."""
    head: bytes
    """Trace lines and header block, LF line ends."""
    body: Body


Deposit = tuple[Delivery, ...]
"""One message for all its local recipients: all of them get it, or none. Without any it is kept
nowhere, and only shows whether a message could be stored."""

Append = Callable[[Deposit], Awaitable[Verdict]]
"""Stores one message durably."""


@value(frozen=True, slots=True)
class Usage:
    """How full a mailbox is."""

    octets: int = 0
    """Of the mailbox file."""
    messages: int = 0


class Maildrop(Protocol):
    """A mailbox as it was when it was opened, locked for one POP3 session (RFC 1939 4)."""

    @property
    def octets(self) -> Sequence[int]:
        """Each message's size as it is sent."""

    @property
    def unique_ids(self) -> Sequence[str]:
        """Each message's unique id: 1 to 70 of 0x21 to 0x7E, never used again (RFC 1939 7)."""

    def content_at_hand(self, number: int) -> bytes | None:
        """The whole message if it is small and needs no disk, CRLF line ends; else None."""

    def content(self, number: int) -> Iterator[bytes]:
        """The message in pieces, CRLF line ends; raises MailboxUnusable or OSError."""

    def last_login(self) -> int:
        """What `note_login` was called with last; 0: never."""

    def note_login(self, when: int) -> None:
        """Leave word when a session was let in (seconds since the epoch), for LOGIN-DELAY
        (RFC 2449 6.5); raises OSError."""

    def delete(self, numbers: Sequence[int]) -> int:
        """Remove these messages durably, all or none; what arrived meanwhile stays. How many they
        were: those that another program removed or changed are not there. Nothing can be read
        behind it."""

    def close(self) -> None:
        """Free the maildrop for the next session."""


class MailStore(Protocol):
    """All mailboxes."""

    def stage(self) -> Staging:
        """A place for one message on its way in; raises OSError."""

    def has_room(self, octets: int) -> bool:
        """A message of this size would leave enough space."""

    def usage(self, user: str) -> Usage:
        """How full a mailbox is, as cheaply as it can be told; never waits for a lock."""

    def settle(self) -> None:
        """No message came for a while, or none will: put in order what `append` left for later.
        Raises OSError."""

    def append(self, batch: Sequence[Deposit]) -> list[Verdict]:
        """Store messages durably, with as few syncs as can be; a verdict for each."""

    def open_maildrop(self, user: str, *, may_wait: bool = True) -> Maildrop:
        """Lock and list a mailbox; raises MaildropInUse, MailboxUnusable, OSError. If it may not
        wait for the disk: BlockingIOError, or another OSError, where all that it takes is not in
        the kernel's memory, or nobody can tell."""

"""What the system decides about a sender, a recipient or a message, in no protocol's words."""

from __future__ import annotations

from enum import Enum, auto

from mailserver.wire.value import value


class Kind(Enum):
    """The decisions there are; the first two are good ones."""

    ACCEPTED = auto()
    FORWARDED = auto()
    NO_SUCH_USER = auto()
    USERS_UNREADABLE = auto()
    NO_RELAYING = auto()
    TOO_MANY_MESSAGES = auto()
    TOO_MANY_HOPS = auto()
    TOO_MANY_FORWARDS = auto()
    NOT_YOUR_ADDRESS = auto()
    HEADER_TOO_BIG = auto()
    SUBJECT_TOO_LONG = auto()
    NOT_AUTHENTIC = auto()
    BLOCK_LISTED = auto()
    NOT_KNOWN_YET = auto()
    DISK_FULL = auto()
    MAILBOX_BUSY = auto()
    MAILBOX_FULL = auto()
    MAILBOX_UNUSABLE = auto()
    STORAGE_FAILED = auto()


@value(frozen=True, slots=True)
class Verdict:
    """A decision, and what a person should know about it (printable ASCII, one line)."""

    kind: Kind
    detail: str = ""

    def __bool__(self) -> bool:
        return self.kind in (Kind.ACCEPTED, Kind.FORWARDED)


ACCEPTED = Verdict(Kind.ACCEPTED)
FORWARDED = Verdict(Kind.FORWARDED)
"""A recipient who is accepted, and some of whose mail goes on to another server."""

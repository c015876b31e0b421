"""What screens want to have done; behind the arrow the news that comes back. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from mailapp.actions import Account
from mailapp.compose import Draft
from mailapp.ordering import Order
from mailapp.screen.base import Wish
from mailapp.value import value


@value(frozen=True)
class Job(Wish):
    """Work that may take time; `doing` is said when it does."""

    @property
    def doing(self) -> str:
        """In words."""
        raise NotImplementedError


@value(frozen=True)
class SignIn(Job):
    """Is this user name and password right? -> SignedIn"""

    account: Account
    doing = "Signing in"


@value(frozen=True)
class OpenMail(Job):
    """-> Listing"""

    doing = "Opening the mailbox"


@value(frozen=True)
class Load(Job):
    """The list's lines of these messages -> Lines"""

    epoch: int
    numbers: tuple[int, ...]
    doing = "Fetching the list"


@value(frozen=True)
class OfMessage(Job):
    """Something with one message, as long as it still has this unique id."""

    number: int
    unique_id: str
    doing = "Fetching the message"


@value(frozen=True)
class Read(OfMessage):
    """-> Opened"""

    how: str = "text"  # or `HTML`, `headers`, `source`


class Way(Enum):
    """How a message is answered."""

    REPLY = 1
    REPLY_ALL = 2
    FORWARD = 3
    FORWARD_WHOLE = 4


@value(frozen=True)
class Answer(OfMessage):
    """-> Started"""

    way: Way


@value(frozen=True)
class Save(OfMessage):
    """The message itself (part 0) or what is attached, as a new file at this path -> Done"""

    part: int
    path: str


@value(frozen=True)
class OpenOutside(OfMessage):
    """What is attached, by the program that the desktop has for it -> Done"""

    part: int


@value(frozen=True)
class Find(Job):
    """The first of these messages that fits -> Found"""

    epoch: int
    query: str
    numbers: Sequence[int]
    marked: frozenset[int]
    doing = "Searching"


@value(frozen=True)
class CheckMail(Job):
    """A new session over the same mailbox -> Listing"""

    marked: frozenset[int]
    doing = "Looking for new mail"


@value(frozen=True)
class Release(Job):
    """Let others have the mailbox: nobody does anything with it -> Done"""

    doing = "Closing the session"


@value(frozen=True)
class Commit(Job):
    """Delete these now, and stay -> Listing"""

    marked: frozenset[int]
    doing = "Deleting"


@value(frozen=True)
class Leave(Job):
    """Delete these, and close the mailbox -> Left"""

    marked: frozenset[int]
    doing = "Closing the mailbox"


@value(frozen=True)
class Arrange(Job):
    """The messages that fit, in this order -> Arranged"""

    order: Order
    limit: str
    doing = "Fetching the list"


@value(frozen=True)
class Export(Job):
    """These messages as a new mbox file -> Done"""

    epoch: int
    numbers: tuple[int, ...]
    path: str
    doing = "Exporting"


@value(frozen=True)
class StartDraft(Job):
    """An empty message with the own address -> Drafts where some are kept, else Started"""

    is_new: bool = False  # whatever is kept

    doing = "Asking the server for its name"


@value(frozen=True)
class Send(Job):
    """-> Sent"""

    draft: Draft
    kept: int | None = None  # its number among the drafts
    answers: str = ""  # the unique id of the message that it answers
    doing = "Sending"


@value(frozen=True)
class Attach(Job):
    """A file goes along -> Attached"""

    draft: Draft
    path: str
    doing = "Reading the file"


@value(frozen=True)
class Complete(Job):
    """What a field of addresses may mean -> Completed"""

    typed: str
    doing = "Looking for addresses"


@value(frozen=True)
class CompletePath(Job):
    """What the beginning of a path may mean -> Completed"""

    typed: str
    doing = "Looking for files"


@value(frozen=True)
class Keep(Job):
    """As a draft for another day -> Kept"""

    draft: Draft
    kept: int | None
    leaves: bool = False  # the form is closed then
    doing = "Keeping the draft"


@value(frozen=True)
class Drop(Job):
    """A draft that is not wanted -> Drafts"""

    kept: int
    doing = "Dropping the draft"


@value(frozen=True)
class Trust(Job):
    """This certificate from now on, and then what was wanted -> the news of that"""

    port: int
    fingerprint: str
    then: Job
    doing = "Connecting"


@value(frozen=True)
class Quit(Wish):
    """The end of the program."""

    status: int = 0


@value(frozen=True)
class EditOutside(Wish):
    """This text in $VISUAL or $EDITOR -> Edited"""

    text: str

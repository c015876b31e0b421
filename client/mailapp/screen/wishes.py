"""What screens want of the office, and the news that comes back. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailapp.actions import Account
from mailapp.compose import Draft
from mailapp.screen.base import Wish
from mailapp.summary import Summary


@dataclass(frozen=True)
class Job(Wish):
    """Work that may take time; `doing` is said when it does."""

    @property
    def doing(self) -> str:
        """In words."""
        raise NotImplementedError


@dataclass(frozen=True)
class SignIn(Job):
    """Is this user name and password right? -> SignedIn"""

    account: Account
    doing = "Signing in"


@dataclass(frozen=True)
class OpenMail(Job):
    """-> Listing"""

    doing = "Opening the mailbox"


@dataclass(frozen=True)
class Load(Job):
    """The list's lines of these messages -> Lines"""

    epoch: int
    numbers: tuple[int, ...]
    doing = "Fetching the list"


@dataclass(frozen=True)
class Read(Job):
    """One message, still with this unique id -> Opened"""

    number: int
    unique_id: str
    doing = "Fetching the message"


@dataclass(frozen=True)
class CheckMail(Job):
    """A new session over the same mailbox -> Listing"""

    marked: frozenset[int]
    doing = "Looking for new mail"


@dataclass(frozen=True)
class Commit(Job):
    """Delete these now, and stay -> Listing"""

    marked: frozenset[int]
    doing = "Deleting"


@dataclass(frozen=True)
class Leave(Job):
    """Delete these, and close the mailbox -> Left"""

    marked: frozenset[int]
    doing = "Closing the mailbox"


@dataclass(frozen=True)
class StartDraft(Job):
    """An empty message with the own address -> Started"""

    doing = "Asking the server for its name"


@dataclass(frozen=True)
class Send(Job):
    """-> Sent"""

    draft: Draft
    doing = "Sending"


@dataclass(frozen=True)
class Quit(Wish):
    """The end of the program."""

    status: int = 0


@dataclass(frozen=True)
class EditOutside(Wish):
    """This text in $VISUAL or $EDITOR -> Edited"""

    text: str


@dataclass(frozen=True)
class News:
    """What became of a wish."""


@dataclass(frozen=True)
class SignedIn(News):
    """It is right, as far as the server can say; `contents` are words about the mailbox."""

    account: Account
    contents: str
    said: str = ""


@dataclass(frozen=True)
class Listing(News):
    """A mailbox that was opened: numbers and marks hold as long as the epoch does."""

    epoch: int
    count: int
    octets: int
    marked: frozenset[int] = frozenset()
    said: str = ""


@dataclass(frozen=True)
class Lines(News):
    """Of the list, in the epoch that they belong to."""

    epoch: int
    summaries: tuple[Summary, ...]


@dataclass(frozen=True)
class Opened(News):
    """A message as text; `listing` is there when a new session was begun for it."""

    number: int
    text: str = field(repr=False)
    listing: Listing | None = None


@dataclass(frozen=True)
class Left(News):
    """The mailbox is closed; `contents` are words about what is in it now."""

    said: str
    contents: str = ""


@dataclass(frozen=True)
class Started(News):
    """A draft to begin with."""

    draft: Draft


@dataclass(frozen=True)
class Edited(News):
    """What came back from the editor; None when it was given up."""

    text: str | None
    said: str = ""


@dataclass(frozen=True)
class Sent(News):
    """Each recipient's answer in words; a draft that was not sent stays open."""

    answers: tuple[str, ...]
    is_sent: bool


@dataclass(frozen=True)
class Trouble(News):
    """It did not work; the wish can be had again."""

    text: str
    wish: Wish
    is_login: bool = False
    is_in_use: bool = False

"""What became of the screens' wishes. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from mailapp.actions import Account
from mailapp.compose import Draft
from mailapp.ordering import Order
from mailapp.outbox import KeptDraft
from mailapp.saving import Enclosed
from mailapp.screen.base import Wish
from mailapp.summary import Summary
from mailapp.value import value


@value(frozen=True)
class News:
    """What became of a wish."""


@value(frozen=True)
class OfList(News):
    """Something about the list."""


@value(frozen=True)
class SignedIn(News):
    """It is right, as far as the server can say; `contents` are words about the mailbox."""

    account: Account
    contents: str
    said: str = ""
    drafts: int = 0  # how many are kept
    safety: str = ""  # whether the connection was encrypted; empty where there was none
    keeps_drafts: bool = True  # when the client ends


@value(frozen=True)
class Listing(OfList):
    """A mailbox that was opened: numbers and marks hold as long as the epoch does."""

    epoch: int
    count: int
    octets: int
    marked: frozenset[int] = frozenset()
    said: str = ""


@value(frozen=True)
class Lines(OfList):
    """Of the list, in the epoch that they belong to."""

    epoch: int
    summaries: tuple[Summary, ...]


@value(frozen=True)
class Opened(News):
    """A message as text; `listing` is there when a new session was begun for it."""

    number: int
    text: str = field(repr=False)
    listing: Listing | None = None
    unique_id: str = ""
    enclosed: tuple[Enclosed, ...] = ()
    how: str = "text"


@value(frozen=True)
class Left(OfList):
    """The mailbox is closed; `contents` are words about what is in it now."""

    said: str
    contents: str = ""


@value(frozen=True)
class Started(News):
    """A draft to begin with."""

    draft: Draft
    answers: str = ""  # the unique id of the message that it answers


@value(frozen=True)
class Drafts(News):
    """What is kept, by its number."""

    kept: tuple[KeptDraft, ...]


@value(frozen=True)
class Arranged(OfList):
    """The messages that fit, in their order; the depth of those that hang in a thread.

    `listing` is there when a new session was begun for it.
    """

    order: Order
    limit: str
    numbers: range | tuple[int, ...]
    depths: Mapping[int, int]
    listing: Listing | None = None


@value(frozen=True)
class Attached(News):
    """The draft with its files."""

    draft: Draft


@value(frozen=True)
class Completed(News):
    """Forms of the whole field, or of the path up to the cursor; may be empty."""

    typed: str
    offers: tuple[str, ...]


@value(frozen=True)
class Kept(News):
    """A draft is kept under this number, and is one of so many."""

    number: int
    count: int
    leaves: bool = False


@value(frozen=True)
class Done(News):
    """Nothing to show but words."""

    said: str


@value(frozen=True)
class Found(OfList):
    """The message that fits; 0 for none."""

    epoch: int
    number: int


@value(frozen=True)
class Edited(News):
    """What came back from the editor; None when it was given up."""

    text: str | None
    said: str = ""


@value(frozen=True)
class Sent(News):
    """Each recipient's answer in words; a draft that was not sent stays open."""

    answers: tuple[str, ...]
    is_sent: bool
    answered: str = ""  # the unique id of the message that was answered
    kept: int | None = None  # where the draft is kept that was not sent
    drafts: int = 0  # how many are kept now


@value(frozen=True)
class Trouble(News):
    """It did not work; the wish can be had again."""

    text: str
    wish: Wish
    is_login: bool = False
    is_in_use: bool = False
    certificate: tuple[str, int, str] | None = (
        None  # host, port, fingerprint: nobody vouches for it
    )

"""Drafts of one account, kept from one run to the next."""

from __future__ import annotations

from mailapp import drafts
from mailapp.compose import Draft
from mailapp.state import State
from mailapp.value import value


@value(frozen=True)
class KeptDraft:
    """A draft that was not sent, by its number in the state."""

    number: int
    draft: Draft


class Outbox:
    """What was written and not sent: because of the connection, or for later."""

    def __init__(self, state: State, account: str) -> None:
        """`account` as `actions.account_key` names it."""
        self._state = state
        self._account = account

    def keep(self, draft: Draft, number: int | None = None) -> int:
        """A new draft, or another form of the one with this number; returns its number."""
        return self._state.save_draft(self._account, drafts.to_text(draft), number)

    def drop(self, number: int) -> None:
        """It was sent, or is not wanted any more."""
        self._state.drop_draft(number)

    def drafts(self) -> list[KeptDraft]:
        """The oldest first; what an earlier version kept in another form is left out."""
        rows = self._state.drafts(self._account)
        found = ((number, drafts.from_text(text)) for number, text in rows)
        return [KeptDraft(number, draft) for number, draft in found if draft is not None]


def loss(drafts: int) -> str:
    """Said before so many drafts end with the client."""
    if drafts == 1:
        return "The message that was not sent will be lost: no folder keeps it."
    return f"{drafts:,} messages that were not sent will be lost: no folder keeps them."

"""The interface of a directory of accounts."""

from __future__ import annotations

from typing import Protocol


class Accounts(Protocol):
    """All accounts, as they are now."""

    def find(self, local_part: str) -> str | None:
        """The user who gets mail for this local part; case does not matter. None: nobody."""

    def check(self, user: str, password: str) -> str | None:
        """The user's name as it is written in the accounts, if the password is right."""

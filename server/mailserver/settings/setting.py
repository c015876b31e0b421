"""One row of the table of settings (`tree`)."""

from __future__ import annotations

from dataclasses import field
from typing import Any, TypeVar

from mailserver.settings.kinds import Kind
from mailserver.wire.value import value

T = TypeVar("T")

PREFIX = "MAILSERVER_"
"""Of all variables of the environment."""
Values = dict[str, Any]
"""Checked values by the names of their settings."""

SMTP = frozenset({"smtpmail"})
POP3 = frozenset({"popserver"})
BOTH = SMTP | POP3


@value(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    name: str
    kind: Kind[Any]
    default: object
    """As it would stand in the file."""
    sentence: str
    """What it does and what a client is told; units are named."""
    commands: frozenset[str]
    """Those that heed it; the others check it all the same."""
    only_option: str
    """On the command line, where it is not made of the name."""

    @property
    def option(self) -> str:
        """On the command line."""
        return self.only_option or f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """In the environment."""
        return f"{PREFIX}{self.name.upper()}"


def setting(
    kind: Kind[T],
    default: object,
    sentence: str,
    commands: frozenset[str] = BOTH,
    *,
    option: str = "",
) -> T:
    """A field of a group below."""
    row = {"kind": kind, "default": default, "sentence": sentence, "commands": commands}
    return field(default=kind.check(default), metadata=row | {"only_option": option})

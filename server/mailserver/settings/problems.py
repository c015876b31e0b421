"""What is wrong with a setting, in one line that says what would be right."""

from __future__ import annotations

from collections.abc import Iterable

from mailserver.settings.kinds import Unfit
from mailserver.settings.setting import Setting

_SHOWN = 80
"""Characters of a value."""


def fault(name: str, value: object, row: Setting, reason: Unfit) -> str:
    """A value that its kind does not take."""
    shown = ascii(value)
    if len(shown) > _SHOWN:
        shown = f"{shown[:_SHOWN]}…"
    because = f" ({reason})" if str(reason) else ""
    return f"{name} cannot be {shown}{because}; it is {row.kind.allowed}"


def unknown(name: str, known: Iterable[str]) -> str:
    """A name that no setting has."""
    import difflib  # takes longer than all the rest, and is needed this once

    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"; did you mean {near[0]}?" if near else "; docs/settings.md lists those there are"
    return f"there is no setting {name[:_SHOWN]!a}{hint}"

"""Values: dataclasses that stay as they are.

mypy holds everybody to that, as with `dataclass(frozen=True)`. At the start of the client nothing
does: the full screen is made of ninety, and each that is frozen takes three times as long to make.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool) -> object:
        """`dataclass` for what nobody changes; compared by content, never hashed."""
        return dataclass


__all__ = ["value"]

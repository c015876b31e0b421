"""Values: dataclasses that stay as they are.

mypy holds everybody to that, as with `dataclass(frozen=True)`. While the servers run nothing does:
the check costs as much as all the rest of making a value, and a message makes thirty of them
(docs/adr/0009).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool) -> object:
        """`dataclass` for values on a message's way; to be frozen, and compared and hashed so."""
        return dataclass(slots=slots, unsafe_hash=frozen)


__all__ = ["value"]

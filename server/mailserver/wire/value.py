"""Values: dataclasses that stay as they are.

mypy holds everybody to that, as with `dataclass(frozen=True)`. While the servers run nothing does:
the check costs as much as all the rest of making a value, and a message makes thirty of them
(docs/adr/0009). What a value looks like and what it equals is seldom asked but by tests: one method
does for all of them, for each that `dataclass` writes is compiled anew at every start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass, fields

    def value(*, frozen: bool, slots: bool) -> object:
        """`dataclass` for values; to be frozen, and compared and hashed so."""
        methods = {"__eq__": _equal, "__repr__": _repr, "__hash__": _hash if frozen else None}

        def make(cls: type) -> type:
            made = dataclass(slots=slots, eq=False, repr=False)(cls)
            for name, method in methods.items():
                if name not in vars(cls):
                    setattr(made, name, method)
            return made

        return make

    def _content(self: object) -> tuple[object, ...]:
        return tuple([getattr(self, name) for name in self.__dataclass_fields__])

    def _equal(self: object, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return _content(self) == _content(other)

    def _hash(self: object) -> int:
        return hash(_content(self))

    def _repr(self: object) -> str:
        shown = (f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
        return f"{self.__class__.__qualname__}({', '.join(shown)})"


__all__ = ["value"]

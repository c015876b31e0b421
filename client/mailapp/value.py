"""Values: dataclasses that stay as they are.

mypy holds everybody to that, as with `dataclass(frozen=True)`. While the client runs nothing does,
and what a value looks like and what it equals is one method for all of them: the full screen is
made of ninety kinds, and each method that `dataclass` writes is compiled anew at every start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass, fields

    def value(*, frozen: bool) -> object:
        """`dataclass` for what nobody changes; compared by content, never hashed."""

        methods = {"__eq__": _equal, "__repr__": _repr, "__hash__": None}

        def make(cls: type) -> type:
            made = dataclass(eq=False, repr=False)(cls)
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

    def _repr(self: object) -> str:
        shown = (f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
        return f"{self.__class__.__qualname__}({', '.join(shown)})"


__all__ = ["value"]

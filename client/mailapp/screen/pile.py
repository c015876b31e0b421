"""The screens on top of each other; the last is the one that is seen."""

from __future__ import annotations

from typing import TypeVar

from mailapp.screen.base import Screen

S = TypeVar("S", bound=Screen)


class Pile:
    """Never empty."""

    def __init__(self, first: Screen) -> None:
        self._screens = [first]

    @property
    def top(self) -> Screen:
        """The one that is seen."""
        return self._screens[-1]

    def find(self, kind: type[S]) -> S | None:
        """The uppermost of its kind."""
        return next((one for one in reversed(self._screens) if isinstance(one, kind)), None)

    def put(self, old: Screen, new: Screen) -> None:
        """In its place."""
        self._screens[self._screens.index(old)] = new

    def push(self, screen: Screen) -> None:
        """On top."""
        self._screens.append(screen)

    def pop(self) -> None:
        """The last one stays."""
        if len(self._screens) > 1:
            self._screens.pop()

    def remove(self, screen: Screen) -> None:
        """This one, and what lies on it."""
        del self._screens[max(1, self._screens.index(screen)) :]

    def clear_above(self, screen: Screen) -> None:
        """What lies on it."""
        del self._screens[self._screens.index(screen) + 1 :]

    def begin_with(self, screen: Screen) -> None:
        """Nothing else is there."""
        self._screens = [screen]

"""What every screen is: a value that can be drawn, and that a key turns into the next one. Pure."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from mailapp.screen.keys import Key
from mailapp.screen.paint import Hints, Size, View
from mailapp.value import value


@value(frozen=True)
class Wish:
    """Something that a screen cannot do itself; each kind says what."""


@value(frozen=True)
class Back(Wish):
    """To the screen before this one."""


@value(frozen=True)
class Say(Wish):
    """Words for the row above the keys, until the next key."""

    text: str


@value(frozen=True)
class Show(Wish):
    """Another screen on top of this one."""

    screen: Screen


@value(frozen=True)
class Beneath(Wish):
    """The list beneath has this key; with `reads`, the message it then stands on is shown."""

    key: Key
    reads: bool = False


@value(frozen=True)
class Ask(Wish):
    """One key out of a few, asked for in the row above the keys; Esc is always there."""

    text: str
    choices: tuple[tuple[str, str, Wish], ...]  # key, what it does, and the wish


@value(frozen=True)
class Prompt(Wish):
    """A line of text, typed in the row above the keys; it comes back by `answer`."""

    name: str
    label: str
    text: str = ""
    is_path: bool = False  # Tab completes it


Step = tuple["Screen", Wish | None]
"""What a key leads to: the screen as it is then, and what it wants to have done."""


@value(frozen=True)
class Screen:
    """Frozen. `size` is always the room of the body, without title and keys."""

    hints: ClassVar[Hints] = ()  # keys at the bottom
    more_keys: ClassVar[Hints] = ()  # those that only `?` shows
    takes_text: ClassVar[bool] = False  # letters are typed, not obeyed

    @abstractmethod
    def title(self) -> tuple[str, str]:
        """The two ends of the first row; visible text."""

    @abstractmethod
    def view(self, size: Size) -> View:
        """The body."""

    @abstractmethod
    def press(self, key: Key, size: Size) -> Step:
        """What a key does."""

    def answer(self, name: str, text: str, size: Size) -> Step:
        """What came of a Prompt of this name."""
        raise NotImplementedError(f"{type(self).__name__} asked nothing named {name}: {text}")

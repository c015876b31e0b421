"""Keys as screens hear of them, and the movements that all screens share. Pure."""

from __future__ import annotations

from typing import NamedTuple

PASTE = "<bracketed-paste>"


class Key(NamedTuple):
    """A key by prompt_toolkit's name (`up`, `c-d`, `a`), and the text that it types."""

    name: str
    text: str = ""


def typed(key: Key) -> str:
    """The text that a key adds to a field; empty for keys that do something else."""
    if key.name == PASTE:
        return key.text.replace("\r\n", "\n").replace("\r", "\n")
    return key.name if len(key.name) == 1 else ""


UP = {"up", "k", "c-p"}
DOWN = {"down", "j", "c-n"}
PAGE_UP = {"pageup", "b", "c-b"}
PAGE_DOWN = {"pagedown", " ", "c-f"}
FIRST = {"home", "g"}
LAST = {"end", "G"}


def moved(key: Key, at: int, count: int, page: int) -> int | None:
    """Where a movement leads among so many; None when the key is no movement."""
    step = max(1, page - 1)
    for names, to in (
        (UP, at - 1),
        (DOWN, at + 1),
        (PAGE_UP, at - step),
        (PAGE_DOWN, at + step),
        (FIRST, 0),
        (LAST, count - 1),
    ):
        if key.name in names:
            return max(0, min(to, count - 1))
    return None


def top_for(at: int, top: int, count: int, page: int) -> int:
    """The first row to show, so that row `at` is among them and no room is left empty."""
    top = min(max(top, at - page + 1), at)
    return max(0, min(top, count - page))

"""What a person types in Manage Mail: a word or its letter, message numbers, a path."""

from __future__ import annotations

import re

from mailapp.render import cut, visible_line
from mailapp.value import value

_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
_SHOWN = 40  # characters of a word that is repeated to the person


class UnknownWords(ValueError):
    """What was typed makes no sense, and why."""


@value(frozen=True)
class Verb:
    """A word of the conversation, its letters, and a line of help."""

    word: str
    letters: str  # each of them alone means the word
    usage: str
    does: str


def split(line: str, verbs: tuple[Verb, ...]) -> tuple[str, str]:
    """The whole word that is meant, and the rest of the line. Raises UnknownWords.

    A letter of mutt's comes first, then the beginning of a word; a number alone means `read`.
    """
    typed, _, rest = line.strip().partition(" ")
    if _RANGE.fullmatch(typed):
        return "read", line
    if typed[:1] in {"/", "$"} and typed[1:]:
        typed, rest = typed[0], f"{typed[1:]} {rest}"
    for verb in verbs:
        if typed and len(typed) == 1 and typed in verb.letters:
            return verb.word, rest.strip()
    for verb in verbs:
        if typed and verb.word.startswith(typed.lower()):
            return verb.word, rest.strip()
    raise UnknownWords(f'"{shown(typed)}" is not known here; try help')


def numbers(words: str, count: int) -> list[int]:
    """`3 5-7`, commas too; raises UnknownWords for what is not among the `count` messages."""
    found: dict[int, None] = {}
    for word in words.replace(",", " ").split():
        match = _RANGE.fullmatch(word)
        if match is None:
            raise UnknownWords(f'"{shown(word)}" is no message number')
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= count:
            raise UnknownWords(f"There is no message {word} (1 to {count})")
        found.update(dict.fromkeys(range(first, last + 1)))
    if not found:
        raise UnknownWords("Which message? Type its number after the word, such as: delete 3")
    return list(found)


def number(words: str, count: int) -> tuple[int, str]:
    """One message, and what stands behind its number. Raises UnknownWords."""
    first, _, rest = words.strip().partition(" ")
    found = numbers(first, count)
    if len(found) > 1:
        raise UnknownWords("One message at a time, please")
    return found[0], rest.strip()


def shown(word: str) -> str:
    """Fit to be repeated to the person."""
    return cut(visible_line(word), _SHOWN)

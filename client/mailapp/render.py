"""Text from outside made fit for a terminal. Pure functions.

Everything that a message, a header, a file name or a server says passes through `visible`: a
character that could drive the terminal, hide itself or turn the line around is shown, not obeyed.
"""

from __future__ import annotations

import unicodedata

# Letters by their category, yet drawn as nothing.
_BLANK_LETTERS = frozenset({0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0})
# Control, format (bidi, zero width), surrogate, private, unassigned; line, paragraph separators.
_SHOWN_BY_NUMBER = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

TAB_STOP = 8
ELLIPSIS = "…"


class _VisibleForms(dict[int, str]):
    """Code point to what is written for it; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        form = self[code] = _visible_form(code)
        return form


def _visible_form(code: int) -> str:
    if code == 0x0A:
        return "\n"
    if code < 0x20 or code == 0x7F:
        return "^" + chr(code ^ 0x40)
    if code in _BLANK_LETTERS or unicodedata.category(chr(code)) in _SHOWN_BY_NUMBER:
        return f"<U+{code:04X}>"
    return chr(code)


_FORMS = _VisibleForms()


def visible(text: str) -> str:
    """The text with only newlines left of all controls; tabs become spaces. Idempotent."""
    if text.isascii() and text.isprintable():
        return text
    return text.expandtabs(TAB_STOP).translate(_FORMS)


def visible_line(text: str) -> str:
    """`visible`, on one line: a newline is shown as well."""
    return visible(text).replace("\n", "^J")


def width(text: str) -> int:
    """Columns of a visible text: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"} or "\u1161" <= character <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def cut(text: str, columns: int) -> str:
    """The text in at most so many columns; what does not fit ends in an ellipsis."""
    if width(text) <= columns:
        return text
    kept, used = [], 0
    for character in text:
        used += _character_width(character)
        if used > columns - 1:
            break
        kept.append(character)
    return "".join(kept) + ELLIPSIS


def pad(text: str, columns: int) -> str:
    """The text with spaces up to so many columns; a longer text stays as it is."""
    return text + " " * max(0, columns - width(text))


def rows(line: str, columns: int) -> list[str]:
    """A line without newline in pieces of at most so many columns, as a terminal wraps it."""
    if line.isascii():
        return [line[at : at + columns] for at in range(0, len(line), columns)] or [""]
    pieces, start, used = [], 0, 0
    for at, character in enumerate(line):
        wide = _character_width(character)
        if used + wide > columns:
            pieces.append(line[start:at])
            start, used = at, 0
        used += wide
    return [*pieces, line[start:]]


def wrapped_words(text: str, columns: int) -> list[str]:
    """One line in rows, broken at spaces where there are any."""
    if len(text) <= columns and text.isascii():
        return [text]
    made: list[str] = []
    at = 0
    while True:
        first = rows(text[at : at + columns + 1], columns)[0]
        end = at + len(first)
        if end >= len(text):
            return [*made, first]
        space = first.rfind(" ", columns // 2)
        if space > 0 and not text[end].isspace():
            end = at + space + 1
        made.append(text[at:end])
        at = end


def octets(count: int) -> str:
    """A size for people: `980 B`, `1.2 KB`, `50.0 MB`."""
    if count < 1000:
        return f"{count} B"
    if count < 999_950:
        return f"{count / 1e3:.1f} KB"
    if count < 999_950_000:
        return f"{count / 1e6:.1f} MB"
    return f"{count / 1e9:.1f} GB"


def counted(count: int, noun: str) -> str:
    """`1 message`, `2 messages`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"

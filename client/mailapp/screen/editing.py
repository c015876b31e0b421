"""Typing into a field or a text. The value is prompt_toolkit's Document, which never changes."""

from __future__ import annotations

from prompt_toolkit.document import Document

from mailapp.render import ELLIPSIS, visible_line, width
from mailapp.screen.keys import Key, typed

TAB = "    "


def field(text: str = "") -> Document:
    """With the cursor behind the text."""
    return Document(text, len(text))


def edited(document: Document, key: Key, is_one_line: bool = True) -> Document | None:
    """After this key; None when the key does not edit."""
    if text := typed(key):
        if is_one_line:
            text = text.rstrip("\n").replace("\n", " ")
        return _replaced(document, 0, 0, text.replace("\t", TAB))
    before, after = document.text_before_cursor, document.text_after_cursor
    if not is_one_line:  # in a path even a newline is a character like others
        before, after = document.current_line_before_cursor, document.current_line_after_cursor
    ends = len(before), len(after)
    return _erased(document, key.name, *ends) or _moved(document, key.name, *ends)


def _replaced(document: Document, before: int, after: int, text: str = "") -> Document:
    """With so many characters on both sides of the cursor taken away, and a text put in."""
    at = document.cursor_position
    kept = document.text[: at - before] + text
    return Document(kept + document.text[at + after :], len(kept))


def _erased(document: Document, name: str, before: int, after: int) -> Document | None:
    """`before` and `after` are how far it is to both ends of the line."""
    match name:
        case "c-h" | "backspace":
            return _replaced(document, min(1, document.cursor_position), 0)
        case "delete":
            return _replaced(document, 0, min(1, len(document.text) - document.cursor_position))
        case "c-u":
            return _replaced(document, before, 0)
        case "c-k":
            return _replaced(document, 0, after or 1)
        case "c-w":
            start = document.find_start_of_previous_word(WORD=True) or 0
            return _replaced(document, -start, 0)
    return None


def _moved(document: Document, name: str, before: int, after: int) -> Document | None:
    at = document.cursor_position
    match name:
        case "left":
            at = max(0, at - 1)
        case "right":
            at = min(len(document.text), at + 1)
        case "home" | "c-a":
            at -= before
        case "end":
            at += after
        case "c-left":
            at += document.find_previous_word_beginning() or 0
        case "c-right":
            at += document.find_next_word_ending() or 0
        case _:
            return None
    return Document(document.text, at)


def window(document: Document, columns: int, is_hidden: bool = False) -> tuple[str, int]:
    """The part of a one-line field that fits, and the cursor's column in it."""
    columns = max(columns, 4)
    before = visible_line(document.text_before_cursor)
    after = visible_line(document.text_after_cursor)
    if is_hidden:
        before, after = "*" * len(before), "*" * len(after)
    while width(before) >= columns:
        before = ELLIPSIS + before[max(2, width(before) - columns + 1) :]
    at = width(before)
    while width(before + after) > columns:
        after = after[:-1]
    return before + after, at

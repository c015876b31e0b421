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
    return _erased(document, key.name) or _moved(document, key.name)


def _replaced(document: Document, before: int, after: int, text: str = "") -> Document:
    """With so many characters on both sides of the cursor taken away, and a text put in."""
    at = document.cursor_position
    kept = document.text[: at - before] + text
    return Document(kept + document.text[at + after :], len(kept))


def _erased(document: Document, name: str) -> Document | None:
    match name:
        case "c-h" | "backspace":
            return _replaced(document, min(1, document.cursor_position), 0)
        case "delete":
            return _replaced(document, 0, min(1, len(document.text) - document.cursor_position))
        case "c-u":
            return _replaced(document, len(document.current_line_before_cursor), 0)
        case "c-k":
            return _replaced(document, 0, len(document.current_line_after_cursor) or 1)
        case "c-w":
            start = document.find_start_of_previous_word(WORD=True) or 0
            return _replaced(document, -start, 0)
    return None


def _moved(document: Document, name: str) -> Document | None:
    at = document.cursor_position
    match name:
        case "left":
            at = max(0, at - 1)
        case "right":
            at = min(len(document.text), at + 1)
        case "home" | "c-a":
            at -= len(document.current_line_before_cursor)
        case "end":
            at += len(document.current_line_after_cursor)
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

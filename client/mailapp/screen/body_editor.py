"""The text of a message while it is typed: rows on the screen, and keys that move among them."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

from prompt_toolkit.document import Document

from mailapp.render import visible_line, width, wrapped_words
from mailapp.screen import editing
from mailapp.screen.keys import Key


@lru_cache(maxsize=4)
def _rows(text: str, columns: int) -> tuple[list[str], list[int]]:
    """The rows, and where in the text each begins."""
    rows: list[str] = []
    starts: list[int] = []
    at = 0
    for one in text.split("\n"):
        begin = at
        for piece in wrapped_words(one, columns - 1):
            rows.append(visible_line(piece))
            starts.append(begin)
            begin += len(piece)
        at += len(one) + 1
    return rows, starts


def layout(document: Document, columns: int) -> tuple[list[str], tuple[int, int]]:
    """The rows of the text, and row and column of the cursor."""
    rows, starts = _rows(document.text, columns)
    row = _row_at(starts, document.cursor_position)
    column = width(visible_line(document.text[starts[row] : document.cursor_position]))
    return rows, (row, column)


def _row_at(starts: list[int], position: int) -> int:
    return bisect_right(starts, position) - 1


def top_for(row: int, top: int, page: int) -> int:
    """The first row to show, so that the cursor's row is among them."""
    return max(0, min(max(top, row - page + 1), row))


def is_on_first_row(document: Document, columns: int) -> bool:
    """Whether the cursor can go no further up."""
    return layout(document, columns)[1][0] == 0


def edited(document: Document, key: Key, columns: int, page: int) -> Document | None:
    """After this key; None when it does not edit."""
    match key.name:
        case "c-m" | "c-j":
            return editing.edited(document, Key("<bracketed-paste>", "\n"), is_one_line=False)
        case "up":
            return _to_row(document, columns, -1)
        case "down":
            return _to_row(document, columns, 1)
        case "pageup":
            return _to_row(document, columns, 1 - page)
        case "pagedown":
            return _to_row(document, columns, page - 1)
    return editing.edited(document, key, is_one_line=False)


def _to_row(document: Document, columns: int, step: int) -> Document:
    """So many rows further, in the same column as far as the row goes."""
    rows, (row, column) = layout(document, columns)
    starts = _rows(document.text, columns)[1]
    to = max(0, min(row + step, len(rows) - 1))
    end = starts[to + 1] - 1 if to + 1 < len(rows) else len(document.text)
    return Document(document.text, min(starts[to] + column, end))

"""What a screen looks like, as a value: rows of styled text, and where the cursor stands. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mailapp.render import cut, pad, width, wrapped_words
from mailapp.value import value

Row = list[tuple[str, str]]
"""Fragments of a row: a style by its name in `shell`, and visible text."""

MIN_COLUMNS, MIN_ROWS = 20, 6  # below, rows are cut off
SPACIOUS_ROWS = 20  # from here on the keys have two rows


class Size(NamedTuple):
    """Of the terminal, or of the room that a part of it has."""

    columns: int
    rows: int


@value(frozen=True)
class View:
    """Rows from the top; `cursor` is row and column of the terminal's own cursor."""

    rows: list[Row]
    cursor: tuple[int, int] = (0, 0)


Hints = Sequence[tuple[str, str]]
"""Keys and what they do, the most important first."""


def line(text: str, columns: int, style: str = "") -> Row:
    """One style, as wide as there is room."""
    return [(style, pad(cut(text, columns), columns))]


def two_ends(left: str, right: str, columns: int, style: str = "") -> Row:
    """The left text has the right of way; of the right one, what stands last stays longest."""
    while right and width(left) + 2 + width(right) > columns:
        right = right.partition(", ")[2]
    return line(pad(left, columns - width(right)) + right, columns, style)


def hint_rows(hints: Hints, columns: int, count: int) -> list[Row]:
    """As many of the keys as fit into so many rows; the last two, help and the way out, always."""
    for kept in range(len(hints), 1, -1):
        rows = _hint_rows((*hints[: kept - 2], *hints[-2:]), columns)
        if len(rows) <= count:
            break
    else:
        rows = _hint_rows(hints, columns)[:count]
    return rows + [line("", columns)] * (count - len(rows))


def _hint_rows(hints: Hints, columns: int) -> list[Row]:
    rows: list[Row] = [[]]
    left = columns
    for key, what in hints:
        needed = width(key) + 1 + width(what)
        if needed > left and rows[-1]:
            rows.append([])
            left = columns
        rows[-1] += [("key", key), ("hint", f" {what}  ")]
        left -= needed + 2
    return rows


def body_size(size: Size) -> Size:
    """The room between the title and the rows at the bottom."""
    return Size(max(size.columns, MIN_COLUMNS), max(1, size.rows - 2 - _hint_count(size)))


def _hint_count(size: Size) -> int:
    return 2 if size.rows >= SPACIOUS_ROWS else 1


def notice(text: str, room: Size, style: str) -> list[Row]:
    """What there is to say, in as many rows as it needs, up to half of the body's room."""
    rows = wrapped_words(text, room.columns - 2)
    most = max(1, room.rows // 2)
    if len(rows) > most:
        rows = [*rows[: most - 1], "".join(rows[most - 1 :])]
    return [line(f" {row.strip()}", room.columns, style) for row in rows]


def frame(title: tuple[str, str], body: View, notice: list[Row], hints: Hints, size: Size) -> View:
    """Title, body, what there is to say, and the keys."""
    room = body_size(size)
    rows = [two_ends(f" {title[0]}", f"{title[1]} ", room.columns, "title")]
    last = room.rows + 2 - len(notice)
    rows = [*rows, *body.rows][:last]
    rows += [line("", room.columns)] * (last - len(rows))
    rows += [*notice, *hint_rows(hints, room.columns, _hint_count(size))]
    return View(rows, (body.cursor[0] + 1, body.cursor[1]))


def bar(done: int, everything: int, columns: int) -> str:
    """`[#####-----]`, of so many columns."""
    room = max(1, columns - 2)
    full = room * min(done, everything) // everything if everything > 0 else 0
    return "[" + "#" * full + "-" * (room - full) + "]"

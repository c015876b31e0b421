"""One message, or any other long text."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import field, replace
from functools import lru_cache
from typing import ClassVar

from mailapp.render import wrapped_words
from mailapp.screen.base import Back, Screen, Step, Wish
from mailapp.screen.keys import Key, moved
from mailapp.screen.paint import Hints, Row, Size, View, line
from mailapp.value import value

BACK = {"q", "left", "h", "escape"}


@value(frozen=True)
class Text(Screen):
    """`text` is visible; `top` is the first of its lines that is shown, wherever they wrap."""

    name: str
    aside: str
    text: str = field(repr=False)
    top: int = 0

    hints: ClassVar[Hints] = (
        ("Space", "next page"),
        ("b", "page back"),
        ("?", "keys"),
        ("q", "back"),
    )
    more_keys: ClassVar[Hints] = (("j k arrows", "a line"), ("g G Home End", "beginning, end"))

    def title(self) -> tuple[str, str]:
        """What is read."""
        return self.name, self.aside

    def view(self, size: Size) -> View:
        """A page of it."""
        pieces = wrap(self.text, size.columns)
        top = self._row(size)
        rows: list[Row] = [
            line(piece, size.columns, style_of(piece)) for piece in pieces[top : top + size.rows]
        ]
        return View(rows)

    def _row(self, size: Size) -> int:
        """The row where the first shown line begins, or the last page's first."""
        starts = line_starts(self.text, size.columns)
        whole, piece = divmod(self.top, PIECES)
        row = starts[min(whole, len(starts) - 1)] + piece
        return max(0, min(row, len(wrap(self.text, size.columns)) - size.rows))

    def press(self, key: Key, size: Size) -> Step:
        """Movements; what else there is, is up to those who show more than a text."""
        count = max(1, len(wrap(self.text, size.columns)) - size.rows + 1)
        to = moved(key, self._row(size), count, size.rows)
        if to is not None:
            return self._at_row(to, size), None
        return self.act(key)

    def act(self, key: Key) -> Step:
        """Keys that do not move."""
        return self, self.back() if key.name in BACK else None

    def back(self) -> Wish:
        """Where q leads."""
        return Back()

    def _at_row(self, row: int, size: Size) -> Text:
        starts = line_starts(self.text, size.columns)
        whole = bisect_right(starts, row) - 1
        return replace(self, top=whole * PIECES + min(row - starts[whole], PIECES - 1))


PIECES = 1_000_000  # rows of one line: `top` is line * PIECES + row of that line


@lru_cache(maxsize=4)
def _layout(text: str, columns: int) -> tuple[list[str], list[int]]:
    """Its rows, and the row where each of its lines begins."""
    pieces: list[str] = []
    starts: list[int] = []
    for one in text.split("\n"):
        starts.append(len(pieces))
        pieces += wrapped_words(one, columns)
    return pieces, starts


def wrap(text: str, columns: int) -> list[str]:
    """The rows of a visible text."""
    return _layout(text, columns)[0]


def line_starts(text: str, columns: int) -> list[int]:
    """For each line the row where it begins."""
    return _layout(text, columns)[1]


def style_of(row: str) -> str:
    """Quoted text is drawn apart; its mark stays."""
    return "quoted" if row.startswith(">") else ""

"""The live dialogue: every line of SMTP and POP3, and what the RFC says about one of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from mailapp import rfc
from mailapp.render import visible_line, width, wrapped_words
from mailapp.screen.base import Back, Screen, Step
from mailapp.screen.keys import Key, moved, top_for
from mailapp.screen.paint import Row, Size, View, line
from mailapp.screen.reading import BACK
from mailapp.trace import CLIENT, NOTE, SERVER, Line, as_text
from mailapp.value import value

MAX_LINES = 5000
_STYLES = {CLIENT: "client", SERVER: "", NOTE: "hint"}


class Record:
    """The last lines of all dialogues; written by one thread, read by another."""

    def __init__(self) -> None:
        self.changed: Callable[[], object] = lambda: None  # called by who writes
        self._lines: deque[tuple[int, Line]] = deque(maxlen=MAX_LINES)
        self._count = 0

    def hear(self, heard: Line) -> None:
        """As a `trace.Watch`."""
        self._lines.append((self._count, heard))
        self._count += 1
        self.changed()

    def lines(self) -> tuple[int, tuple[Line, ...]]:
        """How many are forgotten, and the others."""
        kept = self._lines.copy()
        return (kept[0][0] if kept else 0), tuple(one for _, one in kept)


@value(frozen=True)
class Dialogue(Screen):
    """`at` counts from the first line ever; the cursor follows while it stands on the last."""

    lines: tuple[Line, ...] = ()
    forgotten: int = 0
    at: int = 0
    follows: bool = True

    hints = (
        ("j k", "a line"),
        ("Space b", "a page"),
        ("n p", "a command"),
        ("Home G", "first, follow"),
        ("q", "back"),
    )

    def with_lines(self, forgotten: int, lines: tuple[Line, ...]) -> Dialogue:
        """As it is now."""
        last = forgotten + len(lines) - 1
        at = last if self.follows else max(self.at, forgotten)
        return replace(self, lines=lines, forgotten=forgotten, at=max(0, at))

    def title(self) -> tuple[str, str]:
        """Whether it moves by itself."""
        return "The dialogue", "following" if self.follows else "standing still"

    def view(self, size: Size) -> View:
        """Lines, and below them the state and the sentence for the one under the cursor."""
        page = self._page(size)
        at = self.at - self.forgotten
        top = top_for(at, 0, len(self.lines), page)
        rows: list[Row] = []
        for place, one in enumerate(self.lines[top : top + page], start=top):
            mark, style = (">", "selected") if place == at else (" ", _STYLES[one.who])
            text = as_text(one) if size.columns >= 60 else as_text(one)[13:]
            rows.append(line(mark + visible_line(text), size.columns, style))
        rows += [line("", size.columns)] * (page - len(rows))
        rows += self._explanation(size)
        return View(rows, (at - top, 0))

    def _page(self, size: Size) -> int:
        return max(1, size.rows - 3)

    def _explanation(self, size: Size) -> list[Row]:
        """Three rows."""
        if not self.lines:
            words = "Nothing was said yet."
            return [line("-" * size.columns, size.columns, "heads"), line(words, size.columns)]
        here = self.lines[self.at - self.forgotten]
        rule = f"-- {here.protocol}, state {visible_line(here.state) or 'none yet'} "
        rows = [line(rule + "-" * (size.columns - width(rule)), size.columns, "heads")]
        pieces = wrapped_words(_sentence(here), size.columns)[:2]
        return rows + [line(piece, size.columns) for piece in pieces]

    def _to_command(self, here: int, step: int) -> int | None:
        """The next line of the client, or the one before."""
        places = range(here + step, len(self.lines) if step > 0 else -1, step)
        return next((place for place in places if self.lines[place].who == CLIENT), None)

    def press(self, key: Key, size: Size) -> Step:
        """Movements and the way back."""
        if key.name in BACK | {"P", "f2"}:
            return self, Back()
        here = self.at - self.forgotten
        if key.name in {"n", "p"}:
            to = self._to_command(here, 1 if key.name == "n" else -1)
        else:
            to = moved(key, here, len(self.lines), self._page(size))
        if to is None:
            return self, None
        return replace(self, at=self.forgotten + to, follows=to >= len(self.lines) - 1), None


def _sentence(here: Line) -> str:
    """What the RFC says, or what the line is else."""
    if here.who == NOTE:
        return "The connection itself; nothing of the protocol was said."
    is_content = here.who == CLIENT and here.state == "mail data"
    found = "" if is_content else rfc.sentence(here.protocol, here.text)
    return found or "Content: a line of a message, of a listing, or an answer's further line."

"""What a screen model shows, as an SVG picture."""

from __future__ import annotations

from html import escape

import pyte

CELL_WIDTH, CELL_HEIGHT, BORDER = 8, 17, 12
PAPER, INK = "#1e1e2e", "#cdd6f4"
COLOURS = {
    "red": "#f38ba8",
    "green": "#a6e3a1",
    "brown": "#f9e2af",  # the model's word for yellow
    "blue": "#89b4fa",
    "cyan": "#94e2d5",
}


def svg(screen: pyte.Screen) -> str:
    """Each row as runs of one style; reverse video is a filled box behind the text."""
    width = screen.columns * CELL_WIDTH + 2 * BORDER
    height = screen.lines * CELL_HEIGHT + 2 * BORDER
    face = 'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {face}>',
        f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>',
    ]
    for y in range(screen.lines):
        for x, length, text, cell in _runs(screen, y):
            parts += _run(x, y, length, text, cell)
    return "\n".join([*parts, "</svg>", ""])


def _runs(screen: pyte.Screen, y: int) -> list[tuple[int, int, str, pyte.screens.Char]]:
    """Column, columns, text and style; other letters than ASCII apart, for fonts differ."""
    runs: list[tuple[int, int, str, pyte.screens.Char]] = []
    for x in range(screen.columns):
        cell = screen.buffer[y][x]
        style = cell._replace(data="")
        is_going_on = runs and runs[-1][3] == style
        if is_going_on and runs[-1][2].isascii() == cell.data.isascii():
            at, length, text, _ = runs[-1]
            runs[-1] = (at, length + 1, text + cell.data, style)
        else:
            runs.append((x, 1, cell.data, style))
    return runs


def _run(x: int, y: int, length: int, text: str, cell: pyte.screens.Char) -> list[str]:
    left, top = BORDER + x * CELL_WIDTH, BORDER + y * CELL_HEIGHT
    ink = COLOURS.get(cell.fg, INK)
    parts = []
    if cell.reverse:
        parts.append(
            f'<rect x="{left}" y="{top}" width="{length * CELL_WIDTH}"'
            f' height="{CELL_HEIGHT}" fill="{ink}"/>'
        )
        ink = PAPER
    if text.strip():
        bold = ' font-weight="bold"' if cell.bold else ""
        parts.append(
            f'<text x="{left}" y="{top + 13}" fill="{ink}"{bold} xml:space="preserve"'
            f' textLength="{length * CELL_WIDTH}">{escape(text)}</text>'
        )
    return parts

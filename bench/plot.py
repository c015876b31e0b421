"""What was reached beside the peers as a bar chart: an SVG for light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from bench.targets import PEERS

NAMESPACE = "http://www.w3.org/2000/svg"
WIDTH, LABELS, RIGHT = 900, 400, 160
"""In pixels: all, what stands left of the bars, and right of them."""
ROW, BAR, HEAD, FOOT = 28, 14, 54, 44
LEAST, MOST = 0.1, 100.0
"""Where the axis begins and ends; it is logarithmic."""
TICKS = {0.1: "0.1 ×", 1.0: "equal", 10.0: "10 ×", 100.0: "100 ×"}
STYLE = """
  .page { fill: #ffffff }
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .small { font-size: 11px; fill: #59636e }
  .head { font-size: 15px; font-weight: 600 }
  .grid { stroke: #d1d9e0 } .equal { stroke: #59636e } .target { stroke: #1f2328; stroke-width: 2 }
  .reached { fill: #2f81c7 } .missed { fill: #d9822b }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 }
    text { fill: #e6edf3 } .small { fill: #9da7b1 }
    .grid { stroke: #3d444d } .equal { stroke: #9da7b1 } .target { stroke: #e6edf3 }
    .reached { fill: #58a6ff } .missed { fill: #e3a04f }
  }
"""


def drawing(rows: Sequence[dict[str, Any]], machine: dict[str, Any]) -> str:
    """A bar for each judged target that names a peer, from 1 (equal) to how many times better."""
    beside = [row for row in rows if row.get("peer") in PEERS]
    bottom = HEAD + ROW * len(beside)
    versions = machine.get("versions", {})
    source = (
        "Medians, log scale; the mark is what is to be reached."
        f" Postfix {versions.get('postfix', '?')}, Dovecot {versions.get('dovecot', '?')};"
        f" {machine.get('cpus')} processors, {machine.get('file_system')}"
    )
    lines = [
        f'<svg xmlns="{NAMESPACE}" viewBox="0 0 {WIDTH} {bottom + FOOT}" role="img">',
        "<title>How many times faster than Postfix and Dovecot</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{bottom + FOOT}" rx="6"/>',
        _text(16, 24, "How many times faster than Postfix and Dovecot", "head"),
        *_axis(bottom),
    ]
    for number, row in enumerate(beside):
        lines += _row(HEAD + ROW * number, row)
    lines += [_text(16, bottom + FOOT - 8, source, "small"), "</svg>"]
    return "\n".join(lines) + "\n"


def _at(ratio: float) -> float:
    """Where on the axis."""
    inside = min(max(ratio, LEAST), MOST)
    part = math.log(inside / LEAST) / math.log(MOST / LEAST)
    return round(LABELS + part * (WIDTH - LABELS - RIGHT), 1)


def _axis(bottom: int) -> Iterator[str]:
    for ratio, label in TICKS.items():
        kind = "equal" if ratio == 1 else "grid"
        yield _line(_at(ratio), HEAD - 4, bottom, kind)
        yield _text(_at(ratio), bottom + 14, label, "small", anchor="middle")


def _row(top: int, row: dict[str, Any]) -> Iterator[str]:
    middle = top + ROW // 2
    one, here = _at(1), _at(row["ratio"])
    kind = "reached" if row["reached"] else "missed"
    yield _text(LABELS - 12, middle + 4, row["title"], anchor="end")
    yield (
        f'<rect class="{kind}" x="{min(one, here)}" y="{middle - BAR // 2}"'
        f' width="{max(abs(here - one), 1):.1f}" height="{BAR}"/>'
    )
    yield _line(_at(row["target"]), middle - BAR // 2 - 3, middle + BAR // 2 + 3, "target")
    yield _text(WIDTH - RIGHT + 10, middle + 4, f"{row['ratio']:.3g} × {PEERS[row['peer']]}")


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{style}>{escape(text)}</text>'


def _line(x: float, top: int, bottom: int, kind: str) -> str:
    return f'<line class="{kind}" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>'

"""Makes the pages about settings of the table: `python -m mailserver.settings.pages DOCS`.

docs/settings.md is made between its two marks; docs/mailserver.toml whole, each setting as a
comment with its default.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path

from mailserver.settings.setting import BOTH, Setting
from mailserver.settings.tree import GROUPS, TABLE

BEGIN = "<!-- made of the code by `make docs` -->"
END = "<!-- end of what is made -->"
_WIDTH = 98


def tables() -> str:
    """What stands between the marks of docs/settings.md."""
    return "\n".join(f"### {_title(name)}\n\n{_table(rows)}" for name, rows in TABLE.items())


def example() -> str:
    """docs/mailserver.toml."""
    head = (
        "Settings of smtpmail and popserver. The servers read this file as mailserver.toml in "
        "their data folder when they start; all of it is optional. What stands here are the "
        "defaults: take the # away from a line and change it. A list goes in brackets: "
        '["one", "two"].'
    )
    parts = [f"{_comment(head)}\n"]
    for name, rows in TABLE.items():
        parts.append(f"\n# === {_title(name)} ===\n")
        parts += [f"\n{_comment(row.sentence)}\n{_assignment(row)}\n" for row in rows]
    return "".join(parts)


def _title(name: str) -> str:
    return (GROUPS[name].__doc__ or name).rstrip(".")


def _table(rows: tuple[Setting, ...]) -> str:
    columns = ("setting", "argument", "of", "default", "what it does", "allowed")
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    return head + "".join(_row(row) for row in rows)


def _row(row: Setting) -> str:
    cells = (
        f"`{row.name}`",
        f"`{row.option} {row.kind.placeholder}`",
        "both" if row.commands == BOTH else f"`{next(iter(row.commands))}`",
        f"`{_toml(row.default)}`",
        row.sentence,
        row.kind.allowed,
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _assignment(row: Setting) -> str:
    return f"#{row.name} = {_toml(row.default)}"


def _toml(value: object) -> str:
    """What the defaults are made of is written alike in TOML and in JSON."""
    return json.dumps(value, ensure_ascii=False)


def _comment(text: str) -> str:
    return textwrap.indent(textwrap.fill(text, _WIDTH), "# ")


def main(folder: Path) -> None:
    """Write both pages."""
    page = folder / "settings.md"
    between = re.compile(rf"(?<={re.escape(BEGIN)}\n).*(?={re.escape(END)})", re.S)
    page.write_text(between.sub(lambda _: f"\n{tables()}\n", page.read_text(), count=1))
    (folder / "mailserver.toml").write_text(example())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

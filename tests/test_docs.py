"""What the pages say is there: places in the code, tests, links, arguments."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from tests.integration import programs

from mailserver import settings
from mailserver.auth import sasl
from mailserver.smtp.service import Service

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CODE = ROOT / "server" / "mailserver"
TESTS = ROOT / "tests"
PLACES = {
    "code": (CODE, ":"),
    "client": (ROOT / "client" / "mailapp", ":"),
    "file": (ROOT, ":"),
    "test": (TESTS, "::"),
}
"""Columns whose cells name places: in which folder, and what stands before a name in a file."""

CLAUSES = ("smtp.md", "pop3.md", "relay.md", "trust.md")
PAGES = sorted(
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")]
    if path.is_file()
)

_LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)", re.M)
_FENCED = re.compile(r"^( *)(```|~~~).*?^\1\2`*\s*$", re.M | re.S)
_CODE_SPAN = re.compile(r"`[^`\n]*`")
_OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")

Row = dict[str, str]


def tables(page: str) -> Iterator[list[Row]]:
    """All tables of a page; a row's cells by the names in the table's head."""
    for block in re.findall(r"(?:^\|.*\n?)+", page, re.M):
        head, rule, *rows = [_cells(line) for line in block.splitlines()]
        assert set("".join(rule)) <= set("-:"), f"no table: {block}"
        for row in rows:
            assert len(row) == len(head), f"a row has {len(row)} cells, its head {len(head)}: {row}"
        yield [dict(zip(head, row, strict=True)) for row in rows]


def _cells(line: str) -> list[str]:
    inside = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inside)]


@cache
def names(path: Path) -> frozenset[str]:
    """What a source defines: `name` at its top, `Class.name` in a class at its top."""
    found = set[str]()
    for node in ast.parse(path.read_text()).body:
        for name in _defined(node):
            found.add(name)
            if isinstance(node, ast.ClassDef):
                found.update(f"{name}.{inner}" for part in node.body for inner in _defined(part))
    return frozenset(found)


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            yield from (inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name))


def is_there(place: str, folder: Path, mark: str) -> bool:
    """`path`, or `path`, mark and a name that is defined there."""
    path, _, name = place.partition(mark)
    if not (folder / path).is_file():
        return False
    return mark not in place or name in names(folder / path)


def clause_faults(page: str) -> list[str]:
    """What the tables with the columns status, code and test say that is not so."""
    faults = []
    for row in (row for table in tables(page) for row in table if "code" in row):
        about = next(iter(row.values()))
        if not re.match(r"(yes|no)\b", row["status"]):
            faults.append(f"{about}: status {row['status']!r}")
        faults += place_faults(about, row)
    return faults


def place_faults(about: str, row: Row) -> list[str]:
    """What the cells that name places name for nothing."""
    faults = []
    for column in PLACES.keys() & row.keys():
        folder, mark = PLACES[column]
        places = re.findall(r"`([^`]+)`", row[column])
        if not places or re.sub(r"`[^`]+`|[, ]", "", row[column]):
            faults.append(f"{about}: {column} is {row[column]!r}")
        lost = [place for place in places if not is_there(place, folder, mark)]
        faults += [f"{about}: {place} is not there" for place in lost]
    return faults


def dead_links(path: Path, page: str) -> list[str]:
    """Local links that lead nowhere."""
    dead = []
    for found in _LINK.finditer(_CODE_SPAN.sub("", _FENCED.sub("", page))):
        link = found[1] or found[2]
        if re.match(r"[a-z][a-z+.-]*:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            dead.append(link)
    return dead


def anchors(page: str) -> set[str]:
    """The names of a page's headings, as links use them."""
    headings = re.findall(r"^#+ +(.+?) *#*$", _FENCED.sub("", page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing_arguments(page: str, command: str, usage: str) -> set[str]:
    """What a command takes that is in no row for it."""
    told = set[str]()
    for row in (row for table in tables(page) for row in table if "argument" in row):
        if row["of"] == "both" or f"`{command}`" in row["of"]:
            told.update(re.findall(r"`(-*[a-z][a-z-]*)", row["argument"]))
    positional = re.findall(r"^  ([a-z]\S*)", usage.partition("options:")[0], re.M)
    return {*_OPTION.findall(usage), *positional} - told


def usage_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        settings.read(command, "what it does", ["--help"])
    return capsys.readouterr().out


@pytest.mark.parametrize("name", CLAUSES)
def test_every_place_and_test_is_there(name: str) -> None:
    page = (DOCS / name).read_text()
    assert sum("code" in row for table in tables(page) for row in table) >= 10
    assert clause_faults(page) == []


def test_every_attack_has_a_test() -> None:
    page = (DOCS / "security.md").read_text()
    rows = [row for table in tables(page) for row in table if "attack" in row]
    shown = [row for row in rows if "test" in row]
    assert len(shown) >= 70
    assert all(len(PLACES.keys() & row.keys()) == 2 for row in shown), "a test and its place"
    assert [fault for row in shown for fault in place_faults(row["attack"], row)] == []
    told = {number for row in rows for number in re.findall(r"\d+", row["#"])}
    assert told == {str(number) for number in range(1, 71)}, "each of the 70, shown or open"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_link_is_dead(path: Path) -> None:
    assert dead_links(path, path.read_text()) == []


@pytest.mark.parametrize("command", ["smtpmail", "popserver"])
def test_every_argument_is_told(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    usage = usage_of(command, capsys)
    assert {"--data", "--domain"} <= set(_OPTION.findall(usage))
    assert missing_arguments((DOCS / "settings.md").read_text(), command, usage) == set()


GOOD = ("yes", "`smtp/states.py:TABLE`, `smtp/service.py:Limits.errors`", "`test_docs.py::GOOD`")
HEAD = "| RFC | status | code | test |\n|---|---|---|---|\n"


@pytest.mark.parametrize(
    ("column", "planted"),
    [
        (0, "perhaps"),
        (1, "`smtp/stats.py`"),
        (1, "`smtp/states.py:TABEL`"),
        (1, "`smtp/service.py:Limits.mistakes`"),
        (1, "`smtp/states.py:TABLE`, `smtp/states.py:`"),
        (1, "smtp/states.py"),
        (1, "`smtp`"),
        (1, ""),
        (2, "`dialogs/no-such.dialog`"),
        (2, "`test_docs.py::test_nothing`"),
        (2, "`test_docs.py:GOOD`"),
    ],
)
def test_a_wrong_row_is_found(column: int, planted: str) -> None:
    row = list(GOOD)
    assert clause_faults(f"{HEAD}| 1 | {' | '.join(row)} |\n") == []
    row[column] = planted
    assert clause_faults(f"{HEAD}| 1 | {' | '.join(row)} |\n") != []


@pytest.mark.parametrize(
    ("link", "dead"),
    [
        ("[a](smtp.md)", False),
        ("[a](smtp.md#extensions)", False),
        ("[a](../tests/)", False),
        ("[a](https://example.org/x)", False),
        ("`[a](nowhere.md)`", False),
        ("[a](nowhere.md)", True),
        ("[a](smtp.md#nowhere)", True),
        ("[a]: nowhere.md", True),
    ],
)
def test_a_dead_link_is_found(link: str, dead: bool) -> None:
    assert bool(dead_links(DOCS / "page.md", f"Here: {link}\n\n{link}\n")) is dead


def test_an_untold_argument_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    page = (DOCS / "settings.md").read_text()
    usage = usage_of("smtpmail", capsys)
    for untold in ("port", "--data", "--message-limit", "-h"):
        short = page.replace(f"`{untold}", "`x")
        assert missing_arguments(short, "smtpmail", usage) == {untold}


def test_the_readme_shows_the_programs_that_are_tried() -> None:
    """What `make e2e` runs, no more and no less."""
    assert f"\n\n{programs.table()}" in (ROOT / "README.md").read_text()


def test_the_readme_shows_what_ehlo_names() -> None:
    service = Service(starttls=True, mechanisms=sasl.offered(clear=True))
    *lines, last = service.extensions
    told = "".join(f"250-{line}\n" for line in lines) + f"250 {last}\n"
    assert told in (ROOT / "README.md").read_text()

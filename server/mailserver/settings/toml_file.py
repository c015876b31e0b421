"""`mailserver.toml` in the data folder: TOML 1.0, read by tomli, every fault with its line."""

from __future__ import annotations

import re
from pathlib import Path

from mailserver.settings.kinds import Unfit
from mailserver.settings.problems import fault, unknown
from mailserver.settings.setting import Values
from mailserver.settings.tree import SETTINGS

NAME = "mailserver.toml"
FILE_LIMIT = 1024 * 1024
"""Octets; a bigger file has no settings in it."""


def read(path: Path) -> tuple[Values, list[str]]:
    """Checked values, and a line for each thing that is wrong. No file: no values."""
    try:
        with path.open("rb") as file:
            octets = file.read(FILE_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}, []
    except OSError as error:
        return {}, [f"{path}: {error.strerror}"]
    if len(octets) > FILE_LIMIT:
        return {}, [f"{path}: more than {FILE_LIMIT} octets"]
    try:
        return _parse(path, octets.decode())
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        return {}, [f"{path}:{line}: is not UTF-8"]


def _parse(path: Path, text: str) -> tuple[Values, list[str]]:
    import tomli  # most folders have no such file, and every start counts

    try:
        found = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        return {}, [f"{path}:{error.lineno}: {error.msg} (column {error.colno})"]
    except RecursionError:
        return {}, [f"{path}: tables or lists too deep in each other"]
    values: Values = {}
    problems = []
    for name, value in found.items():
        row = SETTINGS.get(name)
        if row is None:
            problems.append(f"{path}:{_line(text, name)}: {unknown(name, SETTINGS)}")
            continue
        try:
            values[name] = row.kind.check(value)
        except Unfit as reason:
            line = _line(text, reason.within or name)
            problems.append(f"{path}:{line}: {fault(name, value, row, reason)}")
        # TOML has it that what stands behind [aliases] is in there
        for inner in SETTINGS.keys() & (value if isinstance(value, dict) else ()):
            line = _line(text, inner)
            problems.append(f"{path}:{line}: {inner} is a setting; put it above [{name}]")
    return values, problems


def _line(text: str, name: str) -> int:
    """Where a name is given its value: the parser does not tell. No setting's value goes over
    several lines of text, so nothing else looks like it."""
    key = rf"""["']?{re.escape(name)}["']?[ \t]*"""
    found = re.search(rf"^[ \t]*(\[+[ \t]*)?{key}[\].=]", text, re.M)
    return text.count("\n", 0, found.start()) + 1 if found else 1

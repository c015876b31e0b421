"""The arguments of a command, and its `--help`, from the table of settings."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mailserver.settings.kinds import Unfit
from mailserver.settings.setting import PREFIX, Setting, Values
from mailserver.settings.toml_file import NAME
from mailserver.settings.tree import GROUPS, TABLE, Settings

_EPILOG = f"""\
Each of these is also a setting in {NAME} in the data folder, with "_" for "-", and a variable
of the environment, {PREFIX} and the name in capitals. The command line beats the environment, which
beats the file. docs/settings.md has it all."""


def read(command: str, what: str, arguments: list[str] | None) -> tuple[Settings, Values]:
    """What only the command line can say, and the values of settings that it has.

    Ends the process with status 2 when it makes no sense."""
    parser = _parser(command, what)
    values = vars(parser.parse_args(arguments))
    port, check = values.pop("port"), values.pop("check")
    if port is None and not check:
        parser.error("the port is missing: a number from 0 to 65535, 0 for any free one")
    told = Settings(port or 0, values.pop("data").absolute(), check=check)
    return told, values


def _parser(command: str, what: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=command,
        usage=f"{command} port [option]...\n       {command} --check [option]...",
        description=what,
        epilog=_EPILOG,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    add = parser.add_argument
    says = "port to listen on; 0: any free one"
    add("port", nargs="?", type=_port, default=None, help=says)
    add("--data", type=Path, default=Path(), metavar="DIR", help="data folder (default: this one)")
    says = "say what is wrong with the settings and the data folder, and end: status 0 or 78"
    add("--check", action="store_true", default=False, help=says)
    for name, rows in TABLE.items():
        group = parser.add_argument_group((GROUPS[name].__doc__ or "").rstrip("."))
        for row in rows:
            if command in row.commands:
                _add(group.add_argument, row)
    return parser


def _add(add: Callable[..., object], row: Setting) -> None:
    default = "" if row.default in ("", []) else f" (default: {row.default})"
    add(
        row.option,
        dest=row.name,
        type=_value_of(row),
        action=_Together if row.kind.repeated else "store",
        metavar=row.kind.placeholder,
        help=f"{row.sentence}{default}".replace("%", "%%"),
    )


class _Together(argparse.Action):
    """All values of an option that is repeated."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest, ())
        setattr(namespace, self.dest, tuple(dict.fromkeys((*before, *values))))


def _value_of(row: Setting) -> Callable[[str], object]:
    def value(text: str) -> object:
        try:
            return row.kind.check([text] if row.kind.repeated else row.kind.from_text(text))
        except Unfit as reason:
            because = f" ({reason})" if str(reason) else ""
            message = f"it cannot be {text[:80]!a}{because}; it is {row.kind.allowed}"
            raise argparse.ArgumentTypeError(message) from None

    return value


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text[:80]!a} is no port; a number from 0 to 65535")
    return int(text)

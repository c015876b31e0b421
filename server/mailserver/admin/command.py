"""`mailadmin --data DIR …`: a row a subcommand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from mailserver.admin import check, dkim, dns, queue, users
from mailserver.admin.problem import Problem
from mailserver.wire.value import value


@value(frozen=True, slots=True)
class Subcommand:
    """`mailadmin NAME …`."""

    what: str
    prepare: Callable[[argparse.ArgumentParser], None]
    """Adds its arguments, among them the default `run`: Callable[[Namespace], None]."""


SUBCOMMANDS = {
    "check": Subcommand("every mailbox, by message and octet; --repair", check.prepare),
    "dkim": Subcommand("keys to sign mail with, and their DNS records", dkim.prepare),
    "dns": Subcommand("the DNS records that mail for and from here needs", dns.prepare),
    "queue": Subcommand("mail that waits for other servers", queue.prepare),
    "users": Subcommand("accounts in users.txt", users.prepare),
}


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0, 1 for what could not be done, 2 for what makes no sense."""
    parser = argparse.ArgumentParser(prog="mailadmin", description="Looks after a data folder.")
    parser.add_argument(
        "--data", type=Path, default=Path(), metavar="DIR", help="data folder (default: this one)"
    )
    names = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, row in SUBCOMMANDS.items():
        row.prepare(names.add_parser(name, help=row.what, description=row.what))
    chosen = parser.parse_args(arguments)
    try:
        if not chosen.data.is_dir():
            raise Problem(f"{chosen.data} is not a folder; name the data folder with --data DIR")
        chosen.run(chosen)
    except Problem as problem:
        sys.stderr.write(f"mailadmin: {problem}\n")
        return 1
    except (KeyboardInterrupt, EOFError):
        sys.stderr.write("\nmailadmin: nothing changed\n")
        return 1
    return 0

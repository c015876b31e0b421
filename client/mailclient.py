"""The command `mailclient server_IP smtp_port pop3_port`, and its verbs for scripts.

Each face is imported where it begins: nobody waits for another one's libraries.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from mailapp import exits
from mailapp.script import arguments

if TYPE_CHECKING:
    from mailapp.setup import Setup

_MISSING = (
    "mailclient: Python has no module {} for the full screen: --plain does without it, "
    "pip install ./client gets it"
)


def main() -> int:
    """Returns the exit status."""
    words = arguments.parse(sys.argv[1:])
    if words.verb == "completion":
        return arguments.completion(words.shell)
    from mailapp.config import ConfigProblem
    from mailapp.setup import NoServer, prepare

    try:
        setup = prepare(words, os.environ)
    except NoServer as problem:
        return _fail(f"usage: {arguments.USAGE}\nmailclient: {problem}", exits.USAGE)
    except ConfigProblem as problem:
        return _fail(f"mailclient: {problem}", exits.CONFIG)
    except OSError as problem:
        return _fail(f"mailclient: {problem}", exits.CANNOT_CREATE)
    with setup.cleanup:
        if words.verb:
            from mailapp.script.run import run

            return run(words, setup)
        if not words.plain and _has_full_screen():
            try:
                from mailapp.screen.run import run as run_screen
            except ModuleNotFoundError as missing:
                return _fail(_MISSING.format(missing.name), exits.UNAVAILABLE)
            return run_screen(setup)
        return _run_line_mode(setup)


def _has_full_screen() -> bool:
    """Both ends are a terminal, and one that can do more than lines."""
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return is_terminal and os.environ.get("TERM", "dumb") not in {"dumb", ""}


def _run_line_mode(setup: Setup) -> int:
    from mailapp.job_control import stay
    from mailapp.line_mode import LineMode
    from mailapp.terminal import OutputClosed, standard_terminal

    terminal = standard_terminal()
    if terminal.is_interactive:
        stay(terminal.interject)
    try:
        status = LineMode(terminal, setup.server, setup.user, setup.account, setup.address).run()
        terminal.flush()
    except OutputClosed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # a quiet end
        return exits.IO
    return status


def _fail(text: str, status: int) -> int:
    from mailapp.render import visible_line

    print("\n".join(map(visible_line, text.split("\n"))), file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())

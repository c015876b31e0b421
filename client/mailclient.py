"""The command `mailclient server_IP smtp_port pop3_port`."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn

from mailapp.actions import Server
from mailapp.line_mode import LineMode
from mailapp.terminal import OutputClosed, standard_terminal

EXIT_USAGE = 64  # sysexits: EX_USAGE
EXIT_IO = 74  # sysexits: EX_IOERR


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.format_usage()}mailclient: {ascii(message)[1:-1]}\n")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port number (1 to 65535)")
    return int(text)


def _host(text: str) -> str:
    if not text or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no server name or address")
    return text.removeprefix("[").removesuffix("]")


def main() -> int:
    """Returns the exit code."""
    parser = _Arguments("mailclient", description="Send and read mail.", allow_abbrev=False)
    parser.add_argument("host", metavar="server_IP", type=_host, help="name or address")
    parser.add_argument("smtp_port", type=_port, help="such as 25")
    parser.add_argument("pop3_port", type=_port, help="such as 110")
    words = parser.parse_args()
    terminal = standard_terminal()
    try:
        code = LineMode(terminal, Server(words.host, words.smtp_port, words.pop3_port)).run()
        terminal.flush()
    except OutputClosed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # a quiet end
        return EXIT_IO
    return code


if __name__ == "__main__":
    sys.exit(main())

"""Asks both servers on this machine whether they are well: `python -m mailserver.health SMTP POP3`.

Status 0 when both greet and say good-bye as their protocols want it, and SMTP does not refuse a
sender with 451, as it does while no mail can be stored. Else 1 and a line that says what is wrong.
A full disk (452) is no illness: mail can be read and deleted then, and that is what helps.
"""

from __future__ import annotations

import socket
import sys

_SECONDS = 3.0


def ask(port: int, dialogue: list[tuple[bytes, tuple[bytes, ...]]]) -> str | None:
    """Each pair: what to send, and how the answer may begin. Returns what is wrong."""
    try:
        with socket.create_connection(("127.0.0.1", port), _SECONDS) as connection:
            answers = connection.makefile("rb")
            for command, expected in dialogue:
                connection.sendall(command)
                answer = answers.readline(1000)
                while answer[3:4] == b"-" and answer[:3].isdigit():
                    answer = answers.readline(1000)
                if not answer.startswith(expected):
                    return f"port {port} answered {answer!r} to {command!r}"
    except OSError as error:
        return f"port {port}: {error}"
    return None


def main(arguments: list[str]) -> int:
    """The command."""
    smtp, pop3 = map(int, arguments)
    problems = [
        ask(
            smtp,
            [
                (b"", (b"220 ",)),
                (b"EHLO health\r\n", (b"250 ",)),
                (b"MAIL FROM:<>\r\n", (b"250 ", b"452 ")),
                (b"QUIT\r\n", (b"221 ",)),
            ],
        ),
        ask(pop3, [(b"", (b"+OK",)), (b"QUIT\r\n", (b"+OK",))]),
    ]
    for problem in filter(None, problems):
        sys.stderr.write(f"{problem}\n")
    return 1 if any(problems) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m mailapp.health SERVER SMTP_PORT POP3_PORT`: do both servers speak their protocol?

Prints one line; exit code 0 when they do, 1 when not, 64 for wrong arguments.
"""

from __future__ import annotations

import sys

from mailapp import outgoing
from mailapp.link import Link, Tls
from mailapp.network import Unreachable
from mailapp.pop3 import Pop3Client, Pop3Error
from mailapp.render import visible_line

SECONDS = 5.0


def check(host: str, smtp_port: int, pop3_port: int) -> str:
    """What is wrong, or an empty string."""
    link = Link(Tls.OFF, connect_seconds=SECONDS, reply_seconds=SECONDS)
    try:
        outgoing.check(host, smtp_port, link)
        Pop3Client(host, pop3_port, link).quit()
    except (Unreachable, outgoing.NotSent, Pop3Error) as problem:
        return visible_line(str(problem))
    return ""


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    if len(arguments) != 3 or not all(port.isdecimal() for port in arguments[1:]):
        print("usage: python -m mailapp.health SERVER SMTP_PORT POP3_PORT", file=sys.stderr)
        return 64
    problem = check(arguments[0], int(arguments[1]), int(arguments[2]))
    print(f"unhealthy: {problem}" if problem else "healthy: SMTP and POP3 answer")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

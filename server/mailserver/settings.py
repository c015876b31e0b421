"""What a command was told, checked once, as a value."""

from __future__ import annotations

import argparse
import re
import socket
from dataclasses import dataclass
from pathlib import Path

MESSAGE_OCTETS = 50_000_000
SUBJECT_CHARACTERS = 100
CONNECTIONS = 10_000

_DOMAIN = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Of one server."""

    port: int
    data: Path
    host: str | None
    """None: all addresses of the machine."""
    domains: tuple[str, ...]
    """The first is what the server calls itself."""
    message_octets: int = MESSAGE_OCTETS
    subject_limit: int | None = SUBJECT_CHARACTERS
    """Characters; None: any."""
    connections: int = CONNECTIONS


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; a number from 0 to 65535")
    return int(text)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _limit(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number; 0 takes the limit away")
    return int(text) or None


def _domain(text: str) -> str:
    if not _DOMAIN.fullmatch(text) or len(text) > 255:
        raise argparse.ArgumentTypeError(f"{text!r} is no domain name such as example.org")
    return text


def read(command: str, what: str, arguments: list[str] | None = None) -> Settings:
    """Settings from a command line; ends the process with status 2 when they make no sense."""
    parser = argparse.ArgumentParser(prog=command, description=what)
    add = parser.add_argument
    add("port", type=_port, help="port to listen on; 0: any free one")
    add("--data", type=Path, default=Path(), metavar="DIR", help="data folder (default: this one)")
    add("--host", metavar="ADDRESS", help="address to listen on (default: all)")
    add(
        "--domain",
        type=_domain,
        action="append",
        metavar="NAME",
        help="domain whose mail is for the users here; may be repeated, the first is the server's "
        "own name (default: the machine's name)",
    )
    add(
        "--connections",
        type=_positive,
        default=CONNECTIONS,
        metavar="N",
        help=f"connections at once (default: {CONNECTIONS})",
    )
    if command == "smtpmail":
        add(
            "--message-limit",
            type=_positive,
            default=MESSAGE_OCTETS,
            metavar="OCTETS",
            help=f"the biggest message (default: {MESSAGE_OCTETS})",
        )
        add(
            "--subject-limit",
            type=_limit,
            default=SUBJECT_CHARACTERS,
            metavar="N",
            help=f"characters of the longest subject, 0: any (default: {SUBJECT_CHARACTERS})",
        )
    found = parser.parse_args(arguments)
    return Settings(
        port=found.port,
        data=found.data.absolute(),
        host=found.host,
        domains=tuple(found.domain or [_own_name()]),
        message_octets=getattr(found, "message_limit", MESSAGE_OCTETS),
        subject_limit=getattr(found, "subject_limit", SUBJECT_CHARACTERS),
        connections=found.connections,
    )


def _own_name() -> str:
    name = socket.gethostname()
    return name if _DOMAIN.fullmatch(name) else "localhost"

"""The command line. `mailclient SERVER SMTP_PORT POP3_PORT` is all that one must know."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from mailapp import exits
from mailapp.link import Tls, shown_fingerprint

USAGE = "mailclient [-h] [options] server_IP smtp_port pop3_port [verb …]"


def _fingerprint(text: str) -> str:
    try:
        return shown_fingerprint(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no SHA-256 in hexadecimal") from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


_TIMEOUT = "how long to wait for a server"
_SHARED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--user", {"metavar": "NAME", "help": "who reads and sends"}),
    ("--password-file", {"metavar": "FILE", "help": "its first line is the password"}),
    ("--tls", {"choices": [*map(str, Tls)], "help": "auto: whenever it is offered"}),
    ("--ca-file", {"metavar": "FILE", "help": "also believe these authorities (PEM)"}),
    ("--trust", {"metavar": "SHA256", "type": _fingerprint, "help": "believe this certificate"}),
    ("--insecure-auth", {"action": "store_true", "help": "a password in the clear, anywhere"}),
    ("--account", {"metavar": "NAME", "help": "an account of config.toml"}),
    ("--json", {"action": "store_true", "help": "one JSON object on standard output"}),
    ("--plain", {"action": "store_true", "help": "lines of text, no full screen"}),
    ("--timeout", {"metavar": "SECONDS", "type": _seconds, "dest": "patience", "help": _TIMEOUT}),
    ("--trace", {"metavar": "FILE", "help": "write the dialogue there, without passwords"}),
)
_BODY: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--body", {"metavar": "TEXT", "help": "else from --body-file or standard input"}),
    ("--body-file", {"metavar": "FILE", "help": "- is standard input"}),
    ("--attach", {"metavar": "FILE", "action": "append", "default": [], "help": "repeatable"}),
    ("--dry-run", {"action": "store_true", "help": "write the message, send nothing"}),
)
_LISTS: dict[str, Any] = {"metavar": "ADDRESS", "action": "append", "default": []}
_MESSAGE: tuple[str, dict[str, Any]] = (
    "message",
    {"metavar": "N|UIDL", "help": "a number of this moment, or a unique id"},
)
VERBS: dict[str, tuple[str, tuple[tuple[str, dict[str, Any]], ...]]] = {
    "send": (
        "send a message; its text from standard input",
        (
            ("--to", {**_LISTS, "help": "repeatable"}),
            ("--cc", {**_LISTS, "help": "repeatable"}),
            ("--bcc", {**_LISTS, "help": "repeatable"}),
            ("--from", {"metavar": "ADDRESS", "dest": "sender", "help": "else user@domain"}),
            ("--subject", {"metavar": "TEXT", "default": "", "help": "at most 50 characters"}),
            ("--eml", {"metavar": "FILE", "help": "send this message as it is"}),
            ("--header", {"metavar": "NAME:VALUE", "action": "append", "default": []}),
            ("--dsn", {"action": "store_true", "help": "a report of the delivery (RFC 3461)"}),
            *_BODY,
        ),
    ),
    "list": (
        "what there is",
        (
            ("--new", {"action": "store_true", "help": "what was never listed before"}),
            ("--limit", {"metavar": "N", "type": int, "default": 0, "help": "the newest N"}),
            ("--match", {"metavar": "QUERY", "default": "", "help": "such as from:bob is:new"}),
        ),
    ),
    "read": (
        "one message",
        (
            _MESSAGE,
            ("--headers", {"action": "store_true", "help": "all header lines"}),
            ("--text", {"action": "store_true", "help": "as it is read; so it is without these"}),
            ("--html", {"action": "store_true", "help": "the text of its HTML, where it has any"}),
            ("--raw", {"action": "store_true", "help": "the octets as they came"}),
            ("--part", {"metavar": "I", "type": int, "help": "the octets of attachment I"}),
            ("--mark-read", {"action": "store_true", "help": "it is new no more"}),
        ),
    ),
    "reply": (
        "answer a message; the text from standard input",
        (
            _MESSAGE,
            ("--all", {"action": "store_true", "dest": "to_all", "help": "everybody"}),
            ("--from", {"metavar": "ADDRESS", "dest": "sender", "help": "else user@domain"}),
            *_BODY,
        ),
    ),
    "delete": (
        "delete messages now",
        (
            ("message", {"metavar": "N", "nargs": "*", "help": "numbers of this moment"}),
            ("--uidl", {"metavar": "ID", "action": "append", "default": [], "help": "safe"}),
            ("--yes", {"action": "store_true", "help": "do not ask the person at the terminal"}),
        ),
    ),
    "save": (
        "write a message or an attachment to a new file",
        (
            _MESSAGE,
            ("part", {"metavar": "PART", "nargs": "?", "type": int, "help": "attachment"}),
            ("--out", {"metavar": "PATH", "default": ".", "help": "a folder or a new file"}),
        ),
    ),
    "count": ("how many messages and octets there are", ()),
    "wait": (
        "until a message is there, and write it",
        (
            ("--from", {"metavar": "TEXT", "dest": "sender", "default": "", "help": "contains"}),
            ("--subject", {"metavar": "REGEX", "default": "", "help": "matches anywhere"}),
            ("--match", {"metavar": "QUERY", "default": "", "help": "as list has it"}),
            ("--timeout", {"metavar": "SECONDS", "type": float, "default": 30.0, "help": "30"}),
        ),
    ),
    "doctor": ("step by step, what works and what does not", ()),
    "completion": (
        "a completion script for a shell",
        (("shell", {"choices": ["bash", "zsh", "tcsh"]}),),
    ),
}
_TAKE_VALUE = {name for name, how in _SHARED if "action" not in how}


class Parser(argparse.ArgumentParser):
    """Wrong arguments end with EX_USAGE; nothing typed reaches the terminal raw."""

    def error(self, message: str) -> NoReturn:
        self.exit(exits.USAGE, f"usage: {USAGE}\nmailclient: {ascii(message)[1:-1]}\n")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """`host` is empty where an account of the configuration is meant; `verb` may be None."""
    return parser(has_server=_names_server(words)).parse_args(words)


def parser(has_server: bool = True) -> argparse.ArgumentParser:
    """With the three positional arguments, or without."""
    made = Parser("mailclient", usage=USAGE, description="Send and read mail.", allow_abbrev=False)
    made.set_defaults(host="", smtp_port=0, pop3_port=0, verb=None)
    if has_server:
        made.add_argument("host", metavar="server_IP", type=_host, help="name or address")
        made.add_argument("smtp_port", type=_port, help="such as 25")
        made.add_argument("pop3_port", type=_port, help="such as 110")
    _add(made, _SHARED)
    verbs = made.add_subparsers(dest="verb", metavar="verb", parser_class=Parser)
    for name, (purpose, own) in VERBS.items():
        verb = verbs.add_parser(name, help=purpose, description=purpose, allow_abbrev=False)
        taken = {row[0] for row in own}  # --timeout of `wait` is its own
        _add(verb, own)
        for option, how in _SHARED:
            if option not in taken:
                verb.add_argument(option, **how | {"default": argparse.SUPPRESS})
    return made


def completion(shell: str) -> int:
    """The script for a shell; shtab is asked only here."""
    try:
        import shtab
    except ImportError:
        print("mailclient: completion needs shtab: pip install shtab", file=sys.stderr)
        return exits.UNAVAILABLE
    print(shtab.complete(parser(), shell))
    return exits.OK


def _add(to: argparse.ArgumentParser, rows: Sequence[tuple[str, dict[str, Any]]]) -> None:
    for name, how in rows:
        to.add_argument(name, **how)


def _names_server(words: Sequence[str]) -> bool:
    """Whether the first word that is no option is a server, not a verb."""
    rest = list(words)
    while rest and rest[0].startswith("-"):
        rest = rest[2 if rest[0] in _TAKE_VALUE else 1 :]
    return bool(rest) and rest[0] not in VERBS


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port number (1 to 65535)")
    return int(text)


def _host(text: str) -> str:
    if not text or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no server name or address")
    return text.removeprefix("[").removesuffix("]")

"""Command lines to values: one row a command (RFC 1939 3).

To add a command: a dataclass, a reader in `_READERS`; then a row in `states.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mailserver.pop3 import replies
from mailserver.wire import strict_base64
from mailserver.wire.foreign import HTTP_WORDS
from mailserver.wire.value import value

LINE_LIMIT = 255
"""Octets with CRLF (RFC 2449 4)."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DIGEST = re.compile(r"[0-9a-f]{32}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Refused(Exception):
    """A line that is no command, or cannot be obeyed, with the reply that says why."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


@value(frozen=True, slots=True)
class User:
    name: str


@value(frozen=True, slots=True)
class Pass:
    password: str


@value(frozen=True, slots=True)
class Apop:
    name: str
    digest: str


@value(frozen=True, slots=True)
class Auth:
    mechanism: str
    """In capitals; "": which are there?"""
    response: bytes | None
    """What came with the command, decoded."""


@value(frozen=True, slots=True)
class Stls:
    pass


@value(frozen=True, slots=True)
class Utf8:
    pass


@value(frozen=True, slots=True)
class Lang:
    language: str
    """A language range; "": which are there?"""


@value(frozen=True, slots=True)
class Capa:
    pass


@value(frozen=True, slots=True)
class Quit:
    pass


@value(frozen=True, slots=True)
class Stat:
    pass


@value(frozen=True, slots=True)
class List:
    number: int | None


@value(frozen=True, slots=True)
class Uidl:
    number: int | None


@value(frozen=True, slots=True)
class Retr:
    number: int


@value(frozen=True, slots=True)
class Top:
    number: int
    lines: int


@value(frozen=True, slots=True)
class Dele:
    number: int


@value(frozen=True, slots=True)
class Noop:
    pass


@value(frozen=True, slots=True)
class Rset:
    pass


Authorization = User | Pass | Apop | Auth | Stls | Utf8
"""Who is it? Before the login."""
Transaction = Stat | List | Uidl | Retr | Top | Dele | Noop | Rset
"""What to do with the maildrop; after the login."""
Command = Authorization | Transaction | Capa | Lang | Quit


def read_command(line: bytes) -> Command:
    """The command in a line without its CRLF; raises Refused."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(replies.NOT_UTF8) from None
    if _CONTROL.search(text):
        raise Refused(replies.CONTROL_CHARACTER)
    keyword, _, argument = text.partition(" ")
    reader = _READERS.get(keyword.upper())
    if reader is None:
        raise Refused(replies.HTTP if keyword in HTTP_WORDS else replies.UNKNOWN_COMMAND)
    return reader(argument)


def _bare(command: Callable[[], Command]) -> Callable[[str], Command]:
    def read(argument: str) -> Command:
        if argument.strip(" "):
            raise Refused(replies.NO_ARGUMENT)
        return command()

    return read


def _text(argument: str) -> str:
    if not argument:
        raise Refused(replies.ARGUMENT_MISSING)
    return argument


def _numbers(argument: str, least: int, most: int) -> list[int]:
    words = [word for word in argument.split(" ") if word]
    if not least <= len(words) <= most:
        raise Refused(replies.NUMBER_EXPECTED)
    if not argument.isascii() or not all(map(str.isdigit, words)):
        raise Refused(replies.NUMBER_EXPECTED)
    return list(map(int, words))


def _one(command: type[Retr] | type[Dele]) -> Callable[[str], Command]:
    return lambda argument: command(_numbers(argument, 1, 1)[0])


def _perhaps(command: type[List] | type[Uidl]) -> Callable[[str], Command]:
    return lambda argument: command(next(iter(_numbers(argument, 0, 1)), None))


def _apop(argument: str) -> Apop:
    """APOP name digest (RFC 1939 7): 32 hexadecimal digits in lower case."""
    name, _, digest = argument.strip(" ").rpartition(" ")
    if not name or not _DIGEST.fullmatch(digest):
        raise Refused(replies.DIGEST_EXPECTED)
    return Apop(name.strip(" "), digest)


def _auth(argument: str) -> Auth:
    """auth-command = "AUTH" SP sasl-mech [SP initial-response] (RFC 5034 5)."""
    mechanism, _, initial = argument.strip(" ").partition(" ")
    if not initial:
        return Auth(mechanism.upper(), None)
    return Auth(mechanism.upper(), b"" if initial == "=" else read_base64(initial.encode()))


def read_base64(encoded: bytes) -> bytes:
    """What a client's response says (RFC 5034 4): nothing is ignored that does not belong there."""
    try:
        return strict_base64.decode(encoded)
    except ValueError:
        raise Refused(replies.NOT_BASE64) from None


def _lang(argument: str) -> Lang:
    language = argument.strip(" ")
    if language != "*" and language and not _TOKEN.fullmatch(language):
        raise Refused(replies.NO_SUCH_LANGUAGE)
    return Lang(language.lower())


def _top(argument: str) -> Top:
    """TOP msg n (RFC 1939 7)."""
    number, lines = _numbers(argument, 2, 2)
    return Top(number, lines)


_READERS: dict[str, Callable[[str], Command]] = {
    "USER": lambda argument: User(_text(argument).strip(" ")),
    "PASS": lambda argument: Pass(_text(argument)),  # spaces belong to it (RFC 1939 7)
    "APOP": _apop,
    "AUTH": _auth,
    "STLS": _bare(Stls),
    "UTF8": _bare(Utf8),
    "LANG": _lang,
    "CAPA": _bare(Capa),
    "QUIT": _bare(Quit),
    "STAT": _bare(Stat),
    "LIST": _perhaps(List),
    "UIDL": _perhaps(Uidl),
    "RETR": _one(Retr),
    "TOP": _top,
    "DELE": _one(Dele),
    "NOOP": _bare(Noop),
    "RSET": _bare(Rset),
}

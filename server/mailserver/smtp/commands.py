"""Command lines to values: one function a command, named after it, under its grammar.

To add a command: a dataclass, a function, a row in `_READERS`; then a row in `states.py`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from dataclasses import dataclass

from mailserver.smtp import replies
from mailserver.smtp.replies import Reply
from mailserver.wire import address
from mailserver.wire.address import ForwardPath, ReversePath
from mailserver.wire.cursor import Cursor, SyntaxProblem
from mailserver.wire.foreign import HTTP_WORDS

LINE_LIMIT = 512 + 26 + 17
"""Octets with CRLF: RFC 5321 4.5.3.1.4, and what SIZE and BODY add (RFC 1870 3, RFC 6152 2)."""

_KEYWORD = re.compile(r"[A-Za-z0-9-]+")
_VALUE = re.compile(r"[^ =]+")
_HELLO_NAME = frozenset(string.ascii_letters + string.digits + ".-_:[]")
_NAME_LIMIT = 255


class Refused(Exception):
    """A line that is no command, with the reply that says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Ehlo:
    name: str


@dataclass(frozen=True, slots=True)
class Helo:
    name: str


@dataclass(frozen=True, slots=True)
class Mail:
    reverse_path: ReversePath
    octets: int | None
    eight_bit: bool


@dataclass(frozen=True, slots=True)
class Rcpt:
    forward_path: ForwardPath


@dataclass(frozen=True, slots=True)
class Data:
    pass


@dataclass(frozen=True, slots=True)
class Rset:
    pass


@dataclass(frozen=True, slots=True)
class Noop:
    pass


@dataclass(frozen=True, slots=True)
class Vrfy:
    text: str


@dataclass(frozen=True, slots=True)
class Help:
    topic: str


@dataclass(frozen=True, slots=True)
class Quit:
    pass


Command = Ehlo | Helo | Mail | Rcpt | Data | Rset | Noop | Vrfy | Help | Quit


def read_command(line: bytes) -> Command:
    """The command in a line without its CRLF; raises Refused."""
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        raise Refused(replies.NOT_ASCII) from None
    if not text.isprintable():
        raise Refused(replies.CONTROL_CHARACTER)
    verb, _, argument = text.partition(" ")
    reader = _READERS.get(verb.upper())
    if reader is None:
        raise Refused(replies.HTTP if verb in HTTP_WORDS else replies.UNKNOWN_COMMAND)
    return reader(argument.rstrip(" "))


def _hello_name(argument: str) -> str:
    # RFC 5321 4.1.1.1 wants a domain or an address literal. Names with "_" are common and harmless.
    name = argument.strip(" ")
    if not name or len(name) > _NAME_LIMIT or not set(name) <= _HELLO_NAME:
        raise Refused(replies.BAD_HELLO)
    return name


def _ehlo(argument: str) -> Ehlo:
    """ehlo = "EHLO" SP ( Domain / address-literal ) CRLF (RFC 5321 4.1.1.1)."""
    return Ehlo(_hello_name(argument))


def _helo(argument: str) -> Helo:
    """helo = "HELO" SP Domain CRLF (RFC 5321 4.1.1.1)."""
    return Helo(_hello_name(argument))


def _mail(argument: str) -> Mail:
    """mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF (RFC 5321 4.1.1.2)."""
    cursor = Cursor(argument)
    try:
        if not cursor.take_word("FROM:"):
            raise cursor.problem("FROM:<sender>")
        cursor.take(" ")  # not in the grammar, but many programs send it
        reverse_path = address.reverse_path(cursor)
        parameters = _parameters(cursor)
    except SyntaxProblem as problem:
        raise Refused(replies.BAD_SENDER.with_detail(str(problem))) from None
    octets: int | None = None
    eight_bit = False
    for keyword, value in parameters.items():
        if keyword == "SIZE":  # RFC 1870 3: up to twenty digits
            if not (value.isdigit() and len(value) <= 20):
                raise Refused(replies.BAD_PARAMETER.with_detail("SIZE=<octets>"))
            octets = int(value)
        elif keyword == "BODY":  # RFC 6152 2
            if value.upper() not in ("7BIT", "8BITMIME"):
                raise Refused(replies.BAD_PARAMETER.with_detail("BODY=7BIT or BODY=8BITMIME"))
            eight_bit = value.upper() == "8BITMIME"
        else:
            raise Refused(replies.UNKNOWN_PARAMETER)
    return Mail(reverse_path, octets, eight_bit)


def _rcpt(argument: str) -> Rcpt:
    """rcpt = "RCPT TO:" Forward-path [SP Rcpt-parameters] CRLF (RFC 5321 4.1.1.3)."""
    cursor = Cursor(argument)
    try:
        if not cursor.take_word("TO:"):
            raise cursor.problem("TO:<recipient>")
        cursor.take(" ")
        forward_path = address.forward_path(cursor)
        parameters = _parameters(cursor)
    except SyntaxProblem as problem:
        raise Refused(replies.BAD_RECIPIENT.with_detail(str(problem))) from None
    if parameters:
        raise Refused(replies.UNKNOWN_PARAMETER)
    return Rcpt(forward_path)


def _parameters(cursor: Cursor) -> dict[str, str]:
    """*( SP esmtp-keyword ["=" esmtp-value] ) (RFC 5321 4.1.2)."""
    found: dict[str, str] = {}
    while not cursor.at_end():
        cursor.expect(" ", "a space before the parameter")
        keyword = cursor.take_match(_KEYWORD).upper()
        if not keyword:
            raise cursor.problem("a parameter such as SIZE=1000")
        value = ""
        if cursor.take("="):
            value = cursor.take_match(_VALUE)
            if not value:
                raise cursor.problem(f"a value for {keyword}")
        if keyword in found:
            raise cursor.problem(f"{keyword} only once")
        found[keyword] = value
    return found


def _bare(command: type[Data] | type[Rset] | type[Quit]) -> Callable[[str], Command]:
    """A command without an argument (RFC 5321 4.1.1.4, .5, .10)."""

    def read(argument: str) -> Command:
        if argument:
            raise Refused(replies.NO_ARGUMENT)
        return command()

    return read


def _vrfy(argument: str) -> Vrfy:
    """vrfy = "VRFY" SP String CRLF (RFC 5321 4.1.1.6)."""
    if not argument:
        raise Refused(replies.ARGUMENT_MISSING)
    return Vrfy(argument)


_READERS: dict[str, Callable[[str], Command]] = {
    "EHLO": _ehlo,
    "HELO": _helo,
    "MAIL": _mail,
    "RCPT": _rcpt,
    "DATA": _bare(Data),
    "RSET": _bare(Rset),
    "NOOP": lambda argument: Noop(),  # RFC 5321 4.1.1.9: its argument is ignored
    "VRFY": _vrfy,
    "HELP": Help,  # RFC 5321 4.1.1.8
    "QUIT": _bare(Quit),
}

"""Command lines to values: one function a command, named after it, under its grammar.

To add a command: a dataclass, a function, a row in `_READERS`; then a row in `states.py`, and what
it does in `obey.py`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from dataclasses import field

from mailserver.message.envelope import (
    NO_MAIL_PARAMETERS,
    NO_RCPT_PARAMETERS,
    MailParameters,
    RcptParameters,
)
from mailserver.smtp import parameters, replies
from mailserver.smtp.replies import Refused
from mailserver.wire import address, strict_base64
from mailserver.wire.address import ForwardPath, ReversePath
from mailserver.wire.cursor import Cursor, SyntaxProblem
from mailserver.wire.foreign import HTTP_WORDS
from mailserver.wire.value import value

LINE_LIMIT = 1192
"""Octets with CRLF: 512 (RFC 5321 4.5.3.1.4) and what MAIL may have more: SIZE 26 (RFC 1870 3),
BODY 17 (RFC 6152 says no number), SMTPUTF8 10 (RFC 6531 3.1), AUTH 500 (RFC 4954 3), REQUIRETLS 11
(RFC 8689 2), RET 9 and ENVID 107 (RFC 3461 5.4)."""
AUTH_LINE_LIMIT = 12288
"""Octets with CRLF of AUTH and of the answers to its challenges (RFC 4954 4)."""

_HELLO_NAME = frozenset(string.ascii_letters + string.digits + ".-_:[]")
_NAME_LIMIT = 255
_MECHANISM = re.compile(r"[A-Z0-9_-]{1,20}")
_CHUNK = re.compile(r"(\d{1,20})(?: +(LAST))?", re.IGNORECASE | re.ASCII)


@value(frozen=True, slots=True)
class Ehlo:
    name: str


@value(frozen=True, slots=True)
class Helo:
    name: str


@value(frozen=True, slots=True)
class StartTls:
    pass


@value(frozen=True, slots=True)
class Auth:
    mechanism: str
    """In upper case."""
    initial: bytes | None = field(repr=False)
    """The initial response; None when there is none."""


@value(frozen=True, slots=True)
class Mail:
    reverse_path: ReversePath
    parameters: MailParameters = NO_MAIL_PARAMETERS


@value(frozen=True, slots=True)
class Rcpt:
    forward_path: ForwardPath
    parameters: RcptParameters = NO_RCPT_PARAMETERS


@value(frozen=True, slots=True)
class Data:
    pass


@value(frozen=True, slots=True)
class Bdat:
    octets: int
    last: bool


@value(frozen=True, slots=True)
class Rset:
    pass


@value(frozen=True, slots=True)
class Noop:
    pass


@value(frozen=True, slots=True)
class Vrfy:
    text: str
    utf8: bool = False


@value(frozen=True, slots=True)
class Expn:
    text: str
    utf8: bool = False


@value(frozen=True, slots=True)
class Help:
    topic: str


@value(frozen=True, slots=True)
class Quit:
    pass


Command = (
    Ehlo
    | Helo
    | StartTls
    | Auth
    | Mail
    | Rcpt
    | Data
    | Bdat
    | Rset
    | Noop
    | Vrfy
    | Expn
    | Help
    | Quit
)


def read_command(line: bytes) -> Command:
    """The command in a line without its CRLF; raises Refused."""
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        text = _utf8(line)
    verb, _, argument = text.partition(" ")
    verb = verb.upper()
    if len(line) + 2 > LINE_LIMIT and verb != "AUTH":
        raise Refused(replies.LINE_TOO_LONG)
    if not text.isprintable():
        raise Refused(replies.CONTROL_CHARACTER)
    reader = _READERS.get(verb)
    if reader is None:
        raise Refused(replies.HTTP if text[: len(verb)] in HTTP_WORDS else replies.UNKNOWN_COMMAND)
    return reader(argument.rstrip(" "))


def _utf8(line: bytes) -> str:
    """A line that is not ASCII, where UTF-8 may stand (RFC 6531 3.3 and 3.7.4.2)."""
    if line[:5].upper() not in (b"MAIL ", b"RCPT ", b"VRFY ", b"EXPN "):
        raise Refused(replies.NOT_ASCII)
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(replies.NOT_UTF8) from None


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


def _auth(argument: str) -> Auth:
    """auth-command = "AUTH" SP sasl-mech [SP initial-response] CRLF (RFC 4954 4 and 8)."""
    mechanism, _, initial = argument.partition(" ")
    if not _MECHANISM.fullmatch(mechanism.upper()):
        raise Refused(replies.BAD_AUTH)
    if not initial:
        return Auth(mechanism.upper(), None)
    return Auth(mechanism.upper(), b"" if initial == "=" else read_response(initial.encode()))


def read_response(line: bytes) -> bytes:
    """What a client answers to a challenge, base64 (RFC 4954 4)."""
    try:
        return strict_base64.decode(line)
    except ValueError:
        raise Refused(replies.BAD_BASE64) from None


def _mail(argument: str) -> Mail:
    """mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF (RFC 5321 4.1.1.2)."""
    cursor = Cursor(argument)
    try:
        if not cursor.take_word("FROM:"):
            raise cursor.problem("FROM:<sender>")
        cursor.take(" ")  # not in the grammar, but many programs send it
        reverse_path = address.reverse_path(cursor)
        if cursor.at_end():
            asked = NO_MAIL_PARAMETERS
        else:
            asked = MailParameters(**parameters.read(cursor, parameters.MAIL))
    except SyntaxProblem as problem:
        raise Refused(replies.BAD_SENDER.with_detail(str(problem))) from None
    if not (asked.utf8 or argument.isascii()):
        raise Refused(replies.SENDER_NOT_ASCII)
    return Mail(reverse_path, asked)


def _rcpt(argument: str) -> Rcpt:
    """rcpt = "RCPT TO:" Forward-path [SP Rcpt-parameters] CRLF (RFC 5321 4.1.1.3)."""
    cursor = Cursor(argument)
    try:
        if not cursor.take_word("TO:"):
            raise cursor.problem("TO:<recipient>")
        cursor.take(" ")
        forward_path = address.forward_path(cursor)
        if cursor.at_end():
            return Rcpt(forward_path)
        asked = RcptParameters(**parameters.read(cursor, parameters.RCPT))
    except SyntaxProblem as problem:
        raise Refused(replies.BAD_RECIPIENT.with_detail(str(problem))) from None
    return Rcpt(forward_path, asked)


def _bdat(argument: str) -> Bdat:
    """bdat-cmd ::= "BDAT" SP chunk-size [ SP end-marker ] CR LF (RFC 3030 2)."""
    chunk = _CHUNK.fullmatch(argument)
    if chunk is None:
        raise Refused(replies.BAD_CHUNK)
    return Bdat(int(chunk[1]), chunk[2] is not None)


def _bare(command: type[Data | Rset | Quit | StartTls]) -> Callable[[str], Command]:
    """A command without an argument (RFC 5321 4.1.1.4, .5, .10; RFC 3207 4)."""

    def read(argument: str) -> Command:
        if argument:
            raise Refused(replies.NO_ARGUMENT)
        return command()

    return read


def _query(command: type[Vrfy | Expn]) -> Callable[[str], Command]:
    """vrfy = "VRFY" SP String [ SP "SMTPUTF8" ] CRLF, and so EXPN (RFC 5321 4.1.1.6 and .7, RFC
    6531 3.7.4.2)."""

    def read(argument: str) -> Command:
        if not argument:
            raise Refused(replies.ARGUMENT_MISSING)
        text, _, last = argument.rpartition(" ")
        if text and last.upper() == "SMTPUTF8":
            return command(text, utf8=True)
        return command(argument)

    return read


_READERS: dict[str, Callable[[str], Command]] = {
    "EHLO": _ehlo,
    "HELO": _helo,
    "STARTTLS": _bare(StartTls),
    "AUTH": _auth,
    "MAIL": _mail,
    "RCPT": _rcpt,
    "DATA": _bare(Data),
    "BDAT": _bdat,
    "RSET": _bare(Rset),
    "NOOP": lambda argument: Noop(),  # RFC 5321 4.1.1.9: its argument is ignored
    "VRFY": _query(Vrfy),
    "EXPN": _query(Expn),
    "HELP": Help,  # RFC 5321 4.1.1.8
    "QUIT": _bare(Quit),
}

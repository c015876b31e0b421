"""Every reply the server gives, by name: what stands behind +OK and -ERR (RFC 1939 3)."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable

UNKNOWN_COMMAND = "unknown command; CAPA lists what there is"
LINE_TOO_LONG = "line too long"
BARE_LF = "lines end with CRLF, not with LF alone (with netcat: nc -C)"
NOT_UTF8 = "commands are UTF-8"
CONTROL_CHARACTER = "commands hold no control characters"
HTTP = "this port speaks POP3, not HTTP"
TLS = "this port speaks POP3 in the clear; STLS starts TLS, where there is any"
NO_ARGUMENT = "this command takes no argument"
ARGUMENT_MISSING = "this command needs an argument"
NUMBER_EXPECTED = "a message number expected"
DIGEST_EXPECTED = "a user name and 32 hexadecimal digits expected"
NOT_BASE64 = "a response is base64, and nothing else"
CANCELLED = "authentication cancelled"
NO_SUCH_MECHANISM = "no such mechanism here; CAPA names those there are"
CLEAR_PASSWORD = "no password in the clear: STLS first, or a SCRAM mechanism"
NO_APOP = "there is no APOP here: the greeting has no timestamp"
NO_STLS = "no STLS: TLS is there already, or cannot be had here"
BEHIND_STLS = "nothing may come behind STLS before TLS begins; closing"
NO_SUCH_LANGUAGE = "there is no such language; LANG lists those there are"
LOGIN_FIRST = "log in first: USER, then PASS"
ALREADY_IN = "already logged in"
USER_FIRST = "USER comes first"
NO_SUCH_MESSAGE = "no such message"
DELETED = "message is deleted"
ENDLESS_LINE = "the line does not end, closing"
TOO_MANY_ERRORS = "too many errors, closing"
TOO_MANY_COMMANDS = "too many commands, closing"
NO_LINES = "the message cannot be read any more"

# RFC 2449 8.1 and RFC 3206 4: codes that a program can act upon.
BAD_LOGIN = "[AUTH] unknown user or wrong password"
TOO_SOON = "[LOGIN-DELAY] the last login was a moment ago; CAPA says how long to wait"
IN_USE = "[IN-USE] the maildrop is open in another session"
UNUSABLE = "[SYS/PERM] the maildrop cannot be opened; the server's log says why"
TRY_LATER = "[SYS/TEMP] local error; try again later"
UPDATE_FAILED = "[SYS/TEMP] the maildrop could not be updated; nothing was deleted"
TOO_MANY_FROM_YOU = "[SYS/TEMP] too many connections from your address; try again later"
TOO_OFTEN_FROM_YOU = "[SYS/TEMP] too many new connections from your address; try again in a minute"
TOO_MANY_CONNECTIONS = "[SYS/TEMP] too many connections; try again later"


def ok(text: str = "") -> bytes:
    """A positive reply."""
    return f"+OK {text}\r\n".encode() if text else b"+OK\r\n"


def lines(headline: str, each: Iterable[str]) -> bytes:
    """A multi-line reply (RFC 1939 3); no line may begin with a full stop."""
    return "\r\n".join((f"+OK {headline}", *each, ".", "")).encode()


def challenge(octets: bytes) -> bytes:
    """continue-req = "+" SP [base64] CRLF (RFC 5034 5)."""
    return b"+ " + base64.b64encode(octets) + b"\r\n"


def wait(seconds: float) -> str:
    """Why not to log in: the same for users who are there and those who are not."""
    return f"[SYS/TEMP] too many failed logins; try again in {math.ceil(seconds)} seconds"


def err(text: str) -> bytes:
    """A negative reply."""
    return f"-ERR {text}\r\n".encode()

"""Every reply the server gives, by name: what stands behind +OK and -ERR (RFC 1939 3)."""

from __future__ import annotations

UNKNOWN_COMMAND = "unknown command; CAPA lists what there is"
LINE_TOO_LONG = "line too long"
BARE_LF = "lines end with CRLF, not with LF alone (with netcat: nc -C)"
NOT_UTF8 = "commands are UTF-8"
CONTROL_CHARACTER = "commands hold no control characters"
HTTP = "this port speaks POP3, not HTTP"
TLS = "this port speaks POP3 in the clear"
NO_ARGUMENT = "this command takes no argument"
ARGUMENT_MISSING = "this command needs an argument"
NUMBER_EXPECTED = "a message number expected"
LOGIN_FIRST = "log in first: USER, then PASS"
ALREADY_IN = "already logged in"
USER_FIRST = "USER comes first"
NO_SUCH_MESSAGE = "no such message"
DELETED = "message is deleted"
TOO_MANY_ERRORS = "too many errors, closing"
NO_LINES = "the message cannot be read any more"

# RFC 2449 8.1 and RFC 3206 4: codes that a program can act upon.
BAD_LOGIN = "[AUTH] unknown user or wrong password"
IN_USE = "[IN-USE] the maildrop is open in another session"
UNUSABLE = "[SYS/PERM] the maildrop cannot be opened; its owner was told why"
TRY_LATER = "[SYS/TEMP] local error; try again later"
UPDATE_FAILED = "[SYS/TEMP] the maildrop could not be updated; nothing was deleted"
TOO_MANY_FROM_YOU = "[SYS/TEMP] too many connections from your address; try again later"
TOO_MANY_CONNECTIONS = "[SYS/TEMP] too many connections; try again later"


def ok(text: str = "") -> bytes:
    """A positive reply."""
    return f"+OK {text}\r\n".encode() if text else b"+OK\r\n"


def err(text: str) -> bytes:
    """A negative reply."""
    return f"-ERR {text}\r\n".encode()

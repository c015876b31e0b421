"""Every reply the server gives, by name: code, enhanced status code (RFC 3463) and text."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import ceil

from mailserver.wire.value import value

LINE_LIMIT = 512
"""Octets of a reply line with its CRLF (RFC 5321 4.5.3.1.5); a longer one is cut."""


@value(frozen=True, slots=True)
class Reply:
    """One reply of one or more lines (RFC 5321 4.2)."""

    code: int
    enhanced: str
    """RFC 2034; "" where it does not belong: 3xx, the greeting, the answers to HELO and EHLO."""
    text: str
    """Printable ASCII, but for the answer to a VRFY that takes UTF-8; lines are parted by LF."""

    def with_detail(self, detail: str) -> Reply:
        """The same, with what was found or expected behind the text."""
        return replace(self, text=f"{self.text}: {detail}")

    def encode(self, extended: bool) -> bytes:
        """Octets for the wire; with the enhanced code only for a client that said EHLO."""
        return _encode(self.code, self.enhanced if extended else "", self.text)


class Refused(Exception):
    """A line that is no command, with the reply that says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


@lru_cache(maxsize=1000)
def _encode(code: int, enhanced: str, text: str) -> bytes:
    status = f"{enhanced} " if enhanced else ""
    room = LINE_LIMIT - len(f"{code} {status}\r\n")
    *before, last = (line[:room] for line in text.split("\n"))
    lines = [f"{code}-{status}{line}\r\n" for line in before]
    lines.append(f"{code} {status}{last}\r\n")
    return "".join(lines).encode()


def greeting(domain: str) -> Reply:
    return Reply(220, "", f"{domain} Service Ready")


def closing(domain: str) -> Reply:
    return Reply(221, "2.0.0", f"{domain} Service closing transmission channel")


def helo_ok(domain: str, client: str) -> Reply:
    return Reply(250, "", f"OK {domain} greets {client}")


def ehlo_ok(domain: str, client: str, extensions: tuple[str, ...]) -> Reply:
    return Reply(250, "", "\n".join((f"{domain} greets {client}", *extensions)))


SENDER_OK = Reply(250, "2.1.0", "OK sender accepted")
RECIPIENT_OK = Reply(250, "2.1.5", "OK recipient accepted")
RESET_OK = Reply(250, "2.0.0", "OK transaction reset")
NOOP_OK = Reply(250, "2.0.0", "OK nothing done")
CHUNK_OK = Reply(250, "2.0.0", "OK chunk received")
CANNOT_VERIFY = Reply(252, "2.5.0", "Cannot VRFY user, but will accept message and try delivery")
NOT_EXPANDED = Reply(252, "2.5.0", "Mailing lists are not shown; mail to one is delivered")
VERIFIED_UTF8 = Reply(252, "2.6.8", "The mailbox is UTF-8; ask again with SMTPUTF8")
AUTHENTICATED = Reply(235, "2.7.0", "Authentication succeeded")
START_TLS = Reply(220, "2.0.0", "Ready to start TLS")
START_INPUT = Reply(354, "", "Start mail input; end with <CRLF>.<CRLF>")


def message_ok(message_id: str) -> Reply:
    return Reply(250, "2.0.0", f"OK message stored, id {message_id}")


def challenge(base64: str) -> Reply:
    return Reply(334, "", base64)


def wait_for_auth(seconds: float) -> Reply:
    return Reply(454, "4.7.0", f"Too many failures; try again in {ceil(seconds)} seconds")


def verified(mailbox: str) -> Reply:
    return Reply(250, "2.1.5", f"<{mailbox}>")


def help_text(lines: str) -> Reply:
    return Reply(214, "2.0.0", lines)


# 4xx: not now. The sender tries again.
TIMED_OUT = Reply(421, "4.4.2", "Nothing came for too long; closing transmission channel")
TOO_SLOW = Reply(421, "4.4.2", "The message comes too slowly; closing transmission channel")
SESSION_TOO_LONG = Reply(421, "4.4.2", "This session is over time; closing transmission channel")
SHUTTING_DOWN = Reply(421, "4.3.2", "Service is stopping; closing transmission channel")
ENDLESS_LINE = Reply(421, "4.7.0", "The line does not end; closing transmission channel")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors; closing transmission channel")
TOO_MANY_FROM_YOU = Reply(421, "4.7.0", "Too many connections from your address; try again later")
TOO_OFTEN_FROM_YOU = Reply(
    421, "4.7.0", "Too many new connections from your address; try again in a minute"
)
TOO_MANY_A_MINUTE = Reply(450, "4.7.0", "Too many messages in a minute; try again later")
TOO_MANY_COMMANDS = Reply(421, "4.7.0", "Too many commands; closing transmission channel")
TOO_MANY_CONNECTIONS = Reply(421, "4.3.2", "Too many connections; try again later")
HTTP = Reply(421, "4.7.0", "This port speaks SMTP, not HTTP; closing transmission channel")
TLS = Reply(421, "4.7.0", "This port speaks SMTP in the clear; closing transmission channel")
BEHIND_STARTTLS = Reply(
    421, "4.7.0", "STARTTLS has to be the last command in the clear; closing transmission channel"
)
BAD_CHUNK = Reply(
    421,
    "4.5.4",
    "BDAT <octets> [LAST]: where the chunk ends is unknown; closing transmission channel",
)
TOO_MANY_MESSAGES = Reply(421, "4.7.0", "Too many messages in one session; connect again")
NOT_KNOWN_YET = Reply(451, "4.7.1", "Greylisting, your server is not known here yet")
MAILBOX_BUSY = Reply(450, "4.2.0", "Mailbox is in use by another program; try again later")
LOCAL_ERROR = Reply(451, "4.3.0", "Local error in processing; try again later")
USERS_UNREADABLE = Reply(451, "4.3.0", "The list of users cannot be read now; try again later")
STORAGE_FAILED = Reply(451, "4.3.0", "The message could not be stored; try again later")
MAILBOX_UNUSABLE = Reply(451, "4.2.0", "Mailbox cannot be written; the server's log says why")
TLS_UNAVAILABLE = Reply(454, "4.7.0", "TLS is not available; try again later")
DISK_FULL = Reply(452, "4.3.1", "Not enough storage; try again later")
MAILBOX_FULL = Reply(452, "4.2.2", "Mailbox is full; try again later")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients; send to the rest separately")

# 5xx: never in this form.
UNKNOWN_COMMAND = Reply(500, "5.5.1", "Unknown command; HELP lists those there are")
LINE_TOO_LONG = Reply(500, "5.5.2", "Line too long")
BARE_LF = Reply(500, "5.5.2", "Lines end with CRLF, not with LF alone (with netcat: nc -C)")
NOT_ASCII = Reply(500, "5.5.2", "Commands are ASCII")
NOT_UTF8 = Reply(500, "5.5.2", "Octets above 127 have to be UTF-8")
AUTH_LINE_TOO_LONG = Reply(500, "5.5.6", "Authentication line too long")
CONTROL_CHARACTER = Reply(500, "5.5.2", "Commands hold no control characters")
BAD_HELLO = Reply(501, "5.5.4", "Say EHLO or HELO with your domain name or [address]")
BAD_SENDER = Reply(501, "5.1.7", "MAIL FROM:<user@domain>")
BAD_RECIPIENT = Reply(501, "5.1.3", "RCPT TO:<user@domain>")
BAD_PARAMETERS = Reply(501, "5.5.4", "After the address come parameters")
BAD_PARAMETER = Reply(501, "5.5.4", "Bad value; say")
BAD_AUTH = Reply(501, "5.5.4", "AUTH <mechanism> [initial response in base64]")
BAD_BASE64 = Reply(501, "5.5.2", "This is not base64")
AUTH_CANCELLED = Reply(501, "5.7.0", "Authentication cancelled")
NO_ARGUMENT = Reply(501, "5.5.4", "This command takes no argument")
ARGUMENT_MISSING = Reply(501, "5.5.4", "This command needs an argument")
NO_STARTTLS = Reply(502, "5.5.1", "STARTTLS is not offered here")
NO_AUTH = Reply(502, "5.5.1", "AUTH is not offered here")
HELLO_FIRST = Reply(503, "5.5.1", "Say EHLO or HELO first")
NESTED_MAIL = Reply(503, "5.5.1", "A transaction is under way; RSET ends it")
MAIL_FIRST = Reply(503, "5.5.1", "Say MAIL FROM first")
RCPT_FIRST = Reply(503, "5.5.1", "Say RCPT TO first, no recipient was accepted yet")
IN_CHUNKS = Reply(503, "5.5.1", "Content is coming by BDAT; BDAT <octets> LAST or RSET ends it")
TLS_ALREADY = Reply(503, "5.5.1", "This connection is inside TLS already")
AUTH_ALREADY = Reply(503, "5.5.1", "You are authenticated already")
UNKNOWN_MECHANISM = Reply(504, "5.5.4", "This mechanism is not offered; EHLO lists those there are")
UNKNOWN_TOPIC = Reply(504, "5.5.4", "No such command; HELP lists those there are")
AUTH_REQUIRED = Reply(530, "5.7.0", "Authentication required: AUTH")
AUTH_FAILED = Reply(535, "5.7.8", "User name or password wrong")
TLS_FOR_AUTH = Reply(538, "5.7.11", "This mechanism is for use inside TLS only: STARTTLS first")
NO_SUCH_USER = Reply(550, "5.1.1", "No such user")
NO_RELAYING = Reply(550, "5.7.1", "Relaying is not allowed: not a domain of this server")
BARE_LINE_END = Reply(550, "5.6.0", "The message has a CR or LF that is not part of CRLF")
NUL_OCTET = Reply(550, "5.6.0", "The message has a NUL octet")
TOO_BIG = Reply(552, "5.3.4", "The message is over the size limit")
HEADER_TOO_BIG = Reply(552, "5.6.0", "The header is over the limit")
TOO_MANY_HOPS = Reply(554, "5.4.6", "The message has been through too many servers: a loop")
SUBJECT_TOO_LONG = Reply(554, "5.6.0", "The subject is too long")
BLOCK_LISTED = Reply(550, "5.7.1", "Your address is on a block list")
NOT_AUTHENTIC = Reply(550, "5.7.26", "The message is not from the domain in its From")
SENDER_NOT_ASCII = Reply(550, "5.6.7", "A sender beyond ASCII needs the parameter SMTPUTF8")
RECIPIENT_NOT_ASCII = Reply(
    553, "5.6.7", "A recipient beyond ASCII needs the parameter SMTPUTF8 at MAIL"
)
NOT_YOUR_ADDRESS = Reply(553, "5.7.1", "This sender address is not yours")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Unknown MAIL or RCPT parameter")

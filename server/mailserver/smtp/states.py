"""The order of commands, as a table (RFC 5321 4.1.4).

Read a row as: in these states the command is refused, with this reply; otherwise it is obeyed, and
when it succeeds the session goes to that state (None: it stays where it is). The clause says why.
"""

from __future__ import annotations

from enum import Enum

from mailserver.smtp import replies
from mailserver.smtp.commands import (
    Auth,
    Bdat,
    Command,
    Data,
    Ehlo,
    Expn,
    Helo,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)
from mailserver.smtp.replies import Reply
from mailserver.wire.value import value


class State(Enum):
    """Where a session is."""

    CONNECTED = "greeted, no EHLO or HELO yet"
    READY = "no mail transaction"
    SENDER_GIVEN = "MAIL was accepted"
    RECIPIENT_GIVEN = "at least one RCPT was accepted"
    CONTENT = "the message itself is coming in, by DATA"
    CHUNKS = "the message itself is coming in, by BDAT, and was not the last"
    CLOSED = "nothing is read any more"


@value(frozen=True, slots=True)
class Row:
    """Where a command is refused, where it leads, and who says so."""

    refused: dict[State, Reply]
    then: State | None
    clause: str
    needs_user: bool = False
    """Where AUTH is required, it has to come before."""


_CONNECTED, _READY, _CHUNKS = State.CONNECTED, State.READY, State.CHUNKS
_SENDER, _RECIPIENT = State.SENDER_GIVEN, State.RECIPIENT_GIVEN
_HELLO, _NESTED, _MIXED = replies.HELLO_FIRST, replies.NESTED_MAIL, replies.IN_CHUNKS
_NO_MAIL, _NO_RCPT = replies.MAIL_FIRST, replies.RCPT_FIRST

_IN_TRANSACTION = {_SENDER: _NESTED, _RECIPIENT: _NESTED, _CHUNKS: _NESTED}
_OUT_OF_MAIL = {_CONNECTED: _HELLO, **_IN_TRANSACTION}
_OUT_OF_RCPT = {_CONNECTED: _HELLO, _READY: _NO_MAIL, _CHUNKS: _MIXED}
_OUT_OF_BDAT = {_CONNECTED: _HELLO, _READY: _NO_MAIL, _SENDER: _NO_RCPT}

TABLE: dict[type[Command], Row] = {
    Ehlo: Row({}, _READY, "RFC 5321 4.1.1.1"),
    Helo: Row({}, _READY, "RFC 5321 4.1.1.1"),
    StartTls: Row(_OUT_OF_MAIL, State.CLOSED, "RFC 3207 4"),
    Auth: Row(_OUT_OF_MAIL, None, "RFC 4954 4"),
    Mail: Row(_OUT_OF_MAIL, _SENDER, "RFC 5321 4.1.1.2", needs_user=True),
    Rcpt: Row(_OUT_OF_RCPT, _RECIPIENT, "RFC 5321 4.1.1.3"),
    Data: Row({**_OUT_OF_BDAT, _CHUNKS: _MIXED}, State.CONTENT, "RFC 5321 4.1.1.4"),
    Bdat: Row(_OUT_OF_BDAT, _CHUNKS, "RFC 3030 2"),
    Rset: Row({}, None, "RFC 5321 4.1.1.5"),
    Vrfy: Row({}, None, "RFC 5321 4.1.1.6", needs_user=True),
    Expn: Row({}, None, "RFC 5321 4.1.1.7", needs_user=True),
    Help: Row({}, None, "RFC 5321 4.1.1.8"),
    Noop: Row({}, None, "RFC 5321 4.1.1.9"),
    Quit: Row({}, State.CLOSED, "RFC 5321 4.1.1.10"),
}

"""Which command belongs to which state, as a table (RFC 1939 3 to 6)."""

from __future__ import annotations

from enum import Enum

from mailserver.pop3 import replies
from mailserver.pop3.commands import (
    Apop,
    Auth,
    Capa,
    Command,
    Dele,
    Lang,
    List,
    Noop,
    Pass,
    Quit,
    Retr,
    Rset,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
    Utf8,
)
from mailserver.wire.value import value


class State(Enum):
    """Where a session is."""

    AUTHORIZATION = "who is it?"
    AUTHENTICATING = "a line is a response to a challenge of AUTH"
    TRANSACTION = "the maildrop is open and locked"
    UPDATE = "deletions are being carried out"
    CLOSED = "nothing is read any more"


@value(frozen=True, slots=True)
class Row:
    """Where a command is refused and with what, and who says so."""

    refused: dict[State, str]
    clause: str


_BEFORE, _AFTER = State.AUTHORIZATION, State.TRANSACTION
_ONLY_BEFORE = {_AFTER: replies.ALREADY_IN}
_ONLY_AFTER = {_BEFORE: replies.LOGIN_FIRST}

TABLE: dict[type[Command], Row] = {
    User: Row(_ONLY_BEFORE, "RFC 1939 7"),
    Pass: Row(_ONLY_BEFORE, "RFC 1939 7"),
    Apop: Row(_ONLY_BEFORE, "RFC 1939 7"),
    Auth: Row(_ONLY_BEFORE, "RFC 5034 4"),
    Stls: Row(_ONLY_BEFORE, "RFC 2595 4"),
    Utf8: Row(_ONLY_BEFORE, "RFC 6856 2.1"),
    Lang: Row({}, "RFC 6856 3"),
    Capa: Row({}, "RFC 2449 5"),
    Quit: Row({}, "RFC 1939 4, 5 and 6"),
    Stat: Row(_ONLY_AFTER, "RFC 1939 5"),
    List: Row(_ONLY_AFTER, "RFC 1939 5"),
    Uidl: Row(_ONLY_AFTER, "RFC 1939 7"),
    Retr: Row(_ONLY_AFTER, "RFC 1939 5"),
    Top: Row(_ONLY_AFTER, "RFC 1939 7"),
    Dele: Row(_ONLY_AFTER, "RFC 1939 5"),
    Noop: Row(_ONLY_AFTER, "RFC 1939 5"),
    Rset: Row(_ONLY_AFTER, "RFC 1939 5"),
}

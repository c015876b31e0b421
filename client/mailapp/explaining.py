"""What went wrong, as one line for the person. Pure."""

from __future__ import annotations

from mailapp.network import Unreachable
from mailapp.pop3 import (
    BadArgument,
    ConnectionLost,
    LoginRefused,
    MailboxInUse,
    Pop3Error,
    ProtocolError,
    Refused,
)
from mailapp.render import visible_line


def explain(problem: Unreachable | Pop3Error) -> str:
    """A problem as one line for the person."""
    words = visible_line(str(problem))
    match problem:
        case MailboxInUse():
            return "The mailbox is open in another session, which has to end first."
        case LoginRefused():
            return f"Wrong user name or password (the server says: {words})."
        case Refused():
            return f"The server refuses for the moment: {words}"
        case ConnectionLost() | ProtocolError() | BadArgument() | Unreachable():
            return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('?') else '.'}"
    return words

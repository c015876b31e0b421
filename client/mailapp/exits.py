"""Exit statuses (sysexits.h), and which one a problem has."""

from __future__ import annotations

import socket

from mailapp.compose import FieldProblem
from mailapp.link import Unsafe
from mailapp.network import Unreachable
from mailapp.outgoing import NotSent
from mailapp.pop3 import BadArgument, ConnectionLost, LoginRefused, MailboxInUse, Refused

OK = 0
NOTHING = 1  # no such message, nothing matched
USAGE = 64
DATA = 65
NO_INPUT = 66
NO_HOST = 68
UNAVAILABLE = 69
CANNOT_CREATE = 73
IO = 74
TEMPORARY = 75
PROTOCOL = 76
NO_PERMISSION = 77
CONFIG = 78
INTERRUPTED = 130


class Failed(Exception):
    """A problem that has no kind of its own: in words, its status, and a word for programs."""

    def __init__(self, text: str, status: int, code: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


_KINDS: tuple[tuple[type[Exception], int, str], ...] = (  # the special ones first
    (Unsafe, PROTOCOL, "unsafe"),
    (Unreachable, UNAVAILABLE, "unreachable"),
    (MailboxInUse, TEMPORARY, "mailbox_in_use"),
    (LoginRefused, NO_PERMISSION, "login_refused"),
    (Refused, TEMPORARY, "refused"),
    (ConnectionLost, TEMPORARY, "connection_lost"),
    (BadArgument, DATA, "bad_argument"),
    (FieldProblem, DATA, "bad_argument"),
    (OSError, IO, "input_output"),
    (Exception, PROTOCOL, "protocol"),
)


def kind_of(problem: Exception) -> tuple[int, str]:
    """The exit status, and the word that JSON has for it."""
    if isinstance(problem, Failed):
        return problem.status, problem.code
    if isinstance(problem, NotSent):
        return _kind_of_not_sent(problem)
    if isinstance(problem.__context__, socket.gaierror | UnicodeError):
        return NO_HOST, "unknown_host"
    return next((status, word) for kind, status, word in _KINDS if isinstance(problem, kind))


def _kind_of_not_sent(problem: NotSent) -> tuple[int, str]:
    if problem.is_uncertain:
        return TEMPORARY, "perhaps_sent"
    if any(one.is_login for one in problem.problems):
        return NO_PERMISSION, "login_refused"
    if all(one.is_temporary for one in problem.problems):
        return TEMPORARY, "not_sent_for_now"
    return UNAVAILABLE, "not_sent"

"""Which exit status a problem has, and its word in JSON."""

from __future__ import annotations

import socket

from mailapp import exits
from mailapp.compose import FieldProblem
from mailapp.exits import Failed
from mailapp.link import Unsafe
from mailapp.network import Unreachable
from mailapp.outgoing import NotSent
from mailapp.pop3 import BadArgument, ConnectionLost, LoginRefused, MailboxInUse, Refused

_KINDS: tuple[tuple[type[Exception], int, str], ...] = (  # the special ones first
    (Unsafe, exits.PROTOCOL, "unsafe"),
    (Unreachable, exits.UNAVAILABLE, "unreachable"),
    (MailboxInUse, exits.TEMPORARY, "mailbox_in_use"),
    (LoginRefused, exits.NO_PERMISSION, "login_refused"),
    (Refused, exits.TEMPORARY, "refused"),
    (ConnectionLost, exits.TEMPORARY, "connection_lost"),
    (BadArgument, exits.DATA, "bad_argument"),
    (FieldProblem, exits.DATA, "bad_argument"),
    (OSError, exits.IO, "input_output"),
    (Exception, exits.PROTOCOL, "protocol"),
)


def kind_of(problem: Exception) -> tuple[int, str]:
    """The exit status, and the word that JSON has for it."""
    if isinstance(problem, Failed):
        return problem.status, problem.code
    if isinstance(problem, NotSent):
        return _kind_of_not_sent(problem)
    if isinstance(problem.__context__, socket.gaierror | UnicodeError):
        return exits.NO_HOST, "unknown_host"
    return next((status, word) for kind, status, word in _KINDS if isinstance(problem, kind))


def _kind_of_not_sent(problem: NotSent) -> tuple[int, str]:
    if problem.is_uncertain:
        return exits.TEMPORARY, "perhaps_sent"
    if any(one.is_login for one in problem.problems):
        return exits.NO_PERMISSION, "login_refused"
    if all(one.is_temporary for one in problem.problems):
        return exits.TEMPORARY, "not_sent_for_now"
    return exits.UNAVAILABLE, "not_sent"

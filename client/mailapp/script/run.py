"""One verb from its arguments to the exit status."""

from __future__ import annotations

import argparse
import getpass
import os
import sys

from mailapp import exits
from mailapp.actions import Account
from mailapp.compose import FieldProblem
from mailapp.exits import Failed
from mailapp.network import Unreachable
from mailapp.outgoing import NotSent
from mailapp.pop3 import Pop3Error
from mailapp.query import NoQuery
from mailapp.script import doctor, sending, verbs
from mailapp.script.output import Output
from mailapp.script.verbs import Job
from mailapp.setup import Setup

VERBS = verbs.READING | {"send": sending.send, "reply": sending.reply, "doctor": doctor.doctor}


def run(words: argparse.Namespace, setup: Setup) -> int:
    """Returns the exit status."""
    out = Output(words.json, setup.server.host, setup.user)
    try:
        VERBS[words.verb](Job(words, setup.server, out, _account(setup), setup.address))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # a quiet end
        return exits.IO
    except NoQuery as problem:
        return out.fail(Failed(str(problem), exits.USAGE, "usage"))
    except (Failed, FieldProblem, Unreachable, Pop3Error, NotSent, OSError) as problem:
        return out.fail(problem)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    return exits.OK


def _account(setup: Setup) -> Account | None:
    """Standard input is for the message: a password is asked for on the terminal itself."""
    if setup.account is not None or not setup.user:
        return setup.account
    try:
        with open("/dev/tty"):
            return Account(setup.user, getpass.getpass(f"Password of {setup.user}: "))
    except (OSError, EOFError):
        words = "no password: --password-file FILE, or $MAILCLIENT_PASSWORD_FILE"
        raise Failed(words, exits.USAGE, "no_password") from None

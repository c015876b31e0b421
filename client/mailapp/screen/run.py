"""The full screen from what the arguments and the configuration said."""

from __future__ import annotations

from mailapp.screen import editing
from mailapp.screen.desk import Desk
from mailapp.screen.dialogue import Record
from mailapp.screen.login import Login
from mailapp.screen.office import Office
from mailapp.screen.shell import Shell
from mailapp.screen.wishes import SignIn
from mailapp.setup import Setup, with_watch


def run(setup: Setup) -> int:
    """Returns the exit status."""
    record = Record()
    server = with_watch(setup.server, record.hear)
    login = Login(server.host, editing.field(setup.user), at=1 if setup.user else 0)
    first = SignIn(setup.account) if setup.account else None
    office = Office(server, setup.address)
    return Shell(Desk(login, server.host), office, record, first).run()

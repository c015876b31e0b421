"""The full screen from what the arguments and the configuration said."""

from __future__ import annotations

from mailapp.screen import editing
from mailapp.screen.desk import Desk
from mailapp.screen.login import Login
from mailapp.screen.office import Office
from mailapp.screen.shell import Shell
from mailapp.screen.wishes import SignIn
from mailapp.setup import Setup


def run(setup: Setup) -> int:
    """Returns the exit status."""
    server = setup.server.host
    login = Login(server, editing.field(setup.user), at=1 if setup.user else 0)
    first = SignIn(setup.account) if setup.account else None
    return Shell(Desk(login, server), Office(setup.server, setup.address), first).run()

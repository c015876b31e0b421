"""The command `popserver`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence

from mailserver.app.serving import CLEAR_PASSWORDS, Parts, Port, run
from mailserver.net import pop3_driver
from mailserver.net.listener import Refusals, Serve
from mailserver.pop3 import replies
from mailserver.settings import Settings

_APOP: dict[str, Callable[[bool], bool]] = {
    "where-clear": lambda clear: clear,
    "always": lambda clear: True,
    "never": lambda clear: False,
}
"""Whether APOP is offered, by the words of the setting, given whether a password may be sent."""


def main() -> int:
    """Run the POP3 server until SIGTERM."""
    return run("popserver", "POP3 server (RFC 1939) over a folder of mailboxes.", Pop3())


class Pop3:
    """See `serving.Server`."""

    refusals = Refusals(
        replies.err(replies.TOO_MANY_CONNECTIONS),
        replies.err(replies.TOO_MANY_FROM_YOU),
        replies.err(replies.TOO_OFTEN_FROM_YOU),
    )

    protocols: Sequence[bytes] = (b"pop3",)  # RFC 7301 6

    def ports(self, chosen: Settings) -> list[Port]:
        return [
            Port(chosen.port),
            Port(chosen.ports.pop3s_port, "POP3 inside TLS", inside_tls=True),
        ]

    def serve(self, parts: Parts) -> Callable[[Port], Serve]:
        times = parts.chosen.times
        timeouts = pop3_driver.Timeouts(times.login_timeout, times.idle_timeout, times.send_timeout)
        chosen = parts.chosen.access
        access = pop3_driver.Access(
            nonce=secrets.token_urlsafe,
            clock=time.time,
            clear_passwords=CLEAR_PASSWORDS[chosen.clear_passwords],
            tls=parts.tls,
            apop=_APOP[chosen.apop],
            login_delay=chosen.login_delay,
            command_limit=parts.chosen.limits.command_limit,
            error_limit=parts.chosen.limits.error_limit,
        )
        own_name = parts.chosen.listening.domains[0]
        return lambda port: (
            lambda stream: pop3_driver.Pop3Driver(
                stream, own_name, timeouts, access, parts.users, parts.store, parts.threads
            ).run()
        )

    def check(self, chosen: Settings) -> None:
        """There is nothing."""

    def prepare(self, chosen: Settings) -> None:
        """There is nothing."""

    async def stop(self, patience: float) -> None:
        """There is nothing else."""

    def end(self) -> None:
        """There is nothing under way."""

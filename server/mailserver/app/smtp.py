"""The command `smtpmail`."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence

from mailserver.app.opening import CannotStart
from mailserver.app.relaying import Relaying, signing
from mailserver.app.serving import CLEAR_PASSWORDS, Parts, Port, run
from mailserver.delivery.accept import Policy, Reception, Trust
from mailserver.delivery.addressing import Addresses
from mailserver.delivery.readiness import Readiness
from mailserver.delivery.rewriting import FILE, Rewriting, secrets_in
from mailserver.durable import OWN_FOLDER
from mailserver.message.ids import MessageIds
from mailserver.net import smtp_driver
from mailserver.net.listener import Refusals, Serve
from mailserver.net.pace import Pacing
from mailserver.net.smtp_access import Access
from mailserver.relay.spool import Spool
from mailserver.settings import Settings
from mailserver.shared_rows import open_in
from mailserver.smtp import replies
from mailserver.smtp.service import Limits, Service
from mailserver.store.base import Usage
from mailserver.store.commit import GroupCommit
from mailserver.threads import Threads
from mailserver.trust import greylist as greylisting
from mailserver.trust.block_lists import BlockLists
from mailserver.trust.dns import Resolver
from mailserver.trust.gate import Gate

log = logging.getLogger(__name__)


def main() -> int:
    """Run the SMTP server until SIGTERM."""
    return run("smtpmail", "SMTP server (RFC 5321) over a folder of mailboxes.", Smtp())


class Smtp:
    """See `serving.Server`."""

    refusals = Refusals(
        replies.TOO_MANY_CONNECTIONS.encode(extended=False),
        replies.TOO_MANY_FROM_YOU.encode(extended=False),
        replies.TOO_OFTEN_FROM_YOU.encode(extended=False),
    )

    protocols: Sequence[bytes] = (b"smtp", b"esmtp")  # neither is registered; some clients say them

    def ports(self, chosen: Settings) -> list[Port]:
        further = chosen.ports
        inside_tls = "submission inside TLS"
        return [
            Port(chosen.port),
            Port(further.submission_port, "submission", submission=True),
            Port(further.submissions_port, inside_tls, inside_tls=True, submission=True),
        ]

    def serve(self, parts: Parts) -> Callable[[Port], Serve]:
        chosen = parts.chosen
        self._commit = commit = GroupCommit(parts.store)
        readiness = Readiness(commit.append)
        self._watching = asyncio.ensure_future(readiness.watch())
        new_id = MessageIds(secrets.token_hex(6))
        self._relaying = relaying = Relaying(chosen, parts.threads, self._spool)
        reception = Reception(
            policy(chosen),
            parts.users,
            parts.store,
            readiness.append,
            time.time,
            new_id,
            trust(chosen),
            relaying.outbox,
            parts.counts,
            rewriting(chosen),
            readiness,
        )
        relaying.start(reception, parts.number)
        clear_passwords = CLEAR_PASSWORDS[chosen.access.clear_passwords]
        access = Access(parts.users, secrets.token_urlsafe, clear_passwords, parts.tls)
        timeouts = _timeouts(chosen)
        own_name = chosen.listening.domains[0]
        at_gate = gate(chosen, time.time)

        def at(port: Port) -> Serve:
            here = Service(
                _limits(chosen), submission=port.submission, verifies=chosen.delivery.verify
            )
            return lambda stream: smtp_driver.SmtpDriver(
                stream, own_name, here, access, timeouts, reception, parts.threads, gate=at_gate
            ).run()

        return at

    def check(self, chosen: Settings) -> None:
        if chosen.relaying.relay_roots:
            from mailserver.app.delivering import client_tls

            client_tls(chosen)
        if chosen.trust.dkim_selectors:
            from mailserver.trust.dkim_keys import KeysUnusable

            try:
                signing(chosen)
            except KeysUnusable as problem:
                raise CannotStart(str(problem)) from None

    def prepare(self, chosen: Settings) -> None:
        log.info("local domains: %s", ", ".join(chosen.listening.domains))
        try:
            self._spool = Spool(chosen.data)
            self._spool.own()  # what a crash left half written goes before anybody writes there
        except OSError as error:
            raise CannotStart(f"the queue cannot be opened: {error}") from None

    async def stop(self, patience: float) -> None:
        self._watching.cancel()
        await self._relaying.stop(patience)

    def end(self) -> None:
        self._commit.close()


def _limits(chosen: Settings) -> Limits:
    allowed = chosen.limits
    return Limits(
        message_octets=allowed.message_limit,
        recipients=allowed.recipient_limit,
        errors=allowed.error_limit,
        messages=allowed.messages_per_session,
        commands=allowed.command_limit,
    )


def _timeouts(chosen: Settings) -> smtp_driver.Timeouts:
    times = chosen.times
    return smtp_driver.Timeouts(
        command=times.command_timeout,
        first_command=times.first_command_timeout,
        content=times.command_timeout,
        send=times.send_timeout,
        pacing=Pacing(times.message_pace, times.message_timeout),
    )


def trust(chosen: Settings) -> Trust | None:
    """Who looks into where mail comes from; needs a running event loop."""
    asked = chosen.trust
    if asked.sender_checks == "off":
        return None
    from mailserver.trust.checks import Checks, Rules

    rules = Rules(
        chosen.listening.domains,
        asked.sender_checks == "reject",
        asked.sender_check_timeout,
        frozenset(name.lower() for name in asked.trusted_sealers),
    )
    return Checks(rules, _resolver(chosen), Threads("signatures", 2), time.time)


def gate(chosen: Settings, clock: Callable[[], float]) -> Gate | None:
    """Who looks at strangers before their mail; needs a running event loop. Raises OSError."""
    asked = chosen.trust
    lists = greylist = None
    if asked.block_lists:
        seconds = asked.sender_check_timeout
        lists = BlockLists(asked.block_lists, _resolver(chosen), clock, seconds)
    if asked.greylist_delay:
        seen = open_in(chosen.data, "greylist", greylisting.TABLES, greylisting.BUCKETS)
        greylist = greylisting.Greylist(asked.greylist_delay, clock, seen)
    if lists is None and greylist is None:
        return None
    return Gate(lists, greylist, chosen.relaying.relay_from)


def _resolver(chosen: Settings) -> Resolver:
    # dnspython takes memory and time to load: only those pay who ask for it
    from mailserver.net.dns import Dns
    from mailserver.net.sender_dns import SenderDns

    return SenderDns(Dns(chosen.trust.nameservers))


def policy(chosen: Settings) -> Policy:
    """What mail is taken."""
    delivery = chosen.delivery
    addresses = Addresses(
        chosen.listening.domains,
        dict(delivery.aliases),
        delivery.plus_addresses,
        delivery.catch_all,
        delivery.postmaster,
        chosen.listening.own_addresses,
    )
    quota = Usage(delivery.quota_octets or 0, delivery.quota_messages or 0)
    return Policy(
        addresses,
        chosen.limits.subject_limit,
        quota,
        chosen.limits.recipients_at_once,
        chosen.relaying.users_relay,
        chosen.relaying.relay_from,
        delivery.forward_senders == "rewrite",
    )


def rewriting(chosen: Settings) -> Rewriting | None:
    """None: no mail was ever forwarded from here. Raises OSError."""
    members = [member for _, members in chosen.delivery.aliases for member in members]
    forwards = any("@" in member for member in members)
    if not (forwards or (chosen.data / OWN_FOLDER / FILE).exists()):
        return None
    secrets_here = secrets_in(chosen.data, lambda: secrets.token_hex(32).encode())
    domain, days = chosen.listening.domains[0], chosen.delivery.forward_days
    return Rewriting(secrets_here, domain, days, time.time)

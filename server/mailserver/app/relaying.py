"""Puts the relay together: what `app` is for the servers. No logic."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from mailserver.delivery.accept import Reception
from mailserver.net.smtp_connection import Timeouts
from mailserver.net.smtp_courier import SmtpCourier
from mailserver.net.tls_client import ClientTls
from mailserver.relay.backoff import Patience
from mailserver.relay.outbox import SpoolOutbox
from mailserver.relay.queue import Most, Queue
from mailserver.relay.routing import SMTP_PORT, Login, Router, StaticRoute
from mailserver.relay.spool import Spool
from mailserver.relay.sts_policies import StsPolicies
from mailserver.relay.tls_policy import TlsPolicy
from mailserver.relay.worker import Relay
from mailserver.relay.world import World
from mailserver.settings import Settings
from mailserver.threads import Threads
from mailserver.trust.dkim_keys import load_keys
from mailserver.trust.dkim_sign import Signing
from mailserver.wire.peer import is_in, is_public

if TYPE_CHECKING:
    from mailserver.net.dns import Dns


class Bell:
    """Wakes the relay when something has come."""

    def __init__(self) -> None:
        """For use inside a running event loop."""
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """There is something to do."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Until then, or that long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        self._rung.clear()


class Relaying:
    """Of one process: the way into the queue, and in one of them the way out."""

    def __init__(self, chosen: Settings, threads: Threads) -> None:
        """Raises OSError when the queue's folders cannot be made, and KeysUnusable."""
        self._chosen = chosen
        self._threads = threads
        self._bell = Bell()
        self._spool = Spool(chosen.data)
        self._relay: Relay | None = None
        self._task: asyncio.Task[None] | None = None
        self.outbox = SpoolOutbox(self._spool, threads, time.time, self._bell.ring, signing(chosen))

    def start(self, reception: Reception) -> None:
        """Deliver, if no other process does. `reception` takes the reports."""
        chosen = self._chosen.relaying
        chance = secrets.SystemRandom().random
        patience = Patience(
            chosen.first_retry, chosen.longest_retry, chosen.delay_warning, chosen.queue_lifetime
        )
        most = Most(chosen.relay_connections, chosen.relay_connections_per_host)
        own_name = self._chosen.listening.domains[0]
        world = World(self._threads, time.time, chance, self._bell.wait, reception.report)
        self._relay = Relay(
            own_name,
            self._spool,
            Queue(most, patience, chance),
            self._router(),
            SmtpCourier(own_name, client_tls(self._chosen), Timeouts(), self._threads),
            patience,
            world,
        )
        self._task = asyncio.ensure_future(self._relay.run())

    async def stop(self, patience: float) -> None:
        """What is being delivered may take so many seconds."""
        if self._relay is not None and self._task is not None:
            stopping = asyncio.ensure_future(self._relay.stop(patience))
            await asyncio.sleep(0)  # it has said so
            self._bell.ring()
            await self._task
            await stopping

    def _router(self) -> Router:
        chosen = self._chosen.relaying
        login = None
        if chosen.smarthost_user:
            login = Login(chosen.smarthost_user, chosen.smarthost_password)
        routes = {
            domain: StaticRoute(host, port or SMTP_PORT, login if domain == "*" else None)
            for domain, (host, port) in chosen.routes
        }
        # dnspython takes memory and time to load: only the one process that delivers pays
        from mailserver.net.dns import Dns

        shuffle = secrets.SystemRandom().shuffle
        trust = self._chosen.trust
        resolver = Dns(trust.nameservers, validating=trust.dnssec)
        may_reach = (lambda address: True) if chosen.relay_private else is_public
        ask_tls = TlsPolicy(
            chosen.relay_tls,
            resolver if trust.dnssec else None,
            self._policies(resolver, may_reach) if chosen.mta_sts else None,
        )
        return Router(resolver, self._is_own, shuffle, routes, may_reach, ask_tls)

    def _policies(self, resolver: Dns, may_reach: Callable[[str], bool]) -> StsPolicies:
        from mailserver.net.policy_fetch import PolicyFetch

        fetch = PolicyFetch(resolver, may_reach, _roots(self._chosen))
        return StsPolicies(self._chosen.data, resolver, fetch, self._threads, time.time)

    def _is_own(self, host: str) -> bool:
        listening = self._chosen.listening
        try:
            ip_address(host)
        except ValueError:
            return host in listening.domains
        return is_in(host, listening.own_addresses)


def signing(chosen: Settings) -> Signing:
    """Raises KeysUnusable."""
    domains, selectors = chosen.listening.domains, chosen.trust.dkim_selectors
    return Signing(load_keys(chosen.data, domains, selectors), time.time)


def client_tls(chosen: Settings) -> ClientTls:
    """Raises CertificateUnusable for a file of roots that is none."""
    tls = ClientTls(_roots(chosen))
    tls.check()
    return tls


def _roots(chosen: Settings) -> Path | None:
    """None: the system's."""
    roots = chosen.relaying.relay_roots
    return chosen.data / roots if roots else None

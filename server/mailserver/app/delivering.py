"""Puts together what delivers to other servers: what `app` is for the servers. No logic."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path

from mailserver.net.dns import Dns
from mailserver.net.smtp_connection import Timeouts
from mailserver.net.smtp_courier import SmtpCourier
from mailserver.net.tls_client import ClientTls
from mailserver.relay.backoff import Patience
from mailserver.relay.queue import Most, Queue
from mailserver.relay.routing import SMTP_PORT, Login, Router, StaticRoute
from mailserver.relay.share import Share
from mailserver.relay.spool import Spool
from mailserver.relay.sts_policies import StsPolicies
from mailserver.relay.tls_policy import TlsPolicy
from mailserver.relay.worker import Relay
from mailserver.relay.world import SendReport, World
from mailserver.settings import Settings
from mailserver.threads import Threads
from mailserver.wire.peer import is_in, is_public


def relay(
    chosen: Settings,
    spool: Spool,
    threads: Threads,
    wait: Callable[[float], Awaitable[None]],
    report: SendReport,
    share: Share,
) -> Relay:
    """For use inside a running event loop. `wait`: until something comes, or that long."""
    allowed = chosen.relaying
    chance = secrets.SystemRandom().random
    patience = Patience(
        allowed.first_retry, allowed.longest_retry, allowed.delay_warning, allowed.queue_lifetime
    )
    most = Most(allowed.relay_connections, allowed.relay_connections_per_host).share(share.of)
    own_name = chosen.listening.domains[0]
    return Relay(
        own_name,
        spool,
        Queue(most, patience, chance),
        _router(chosen, threads),
        SmtpCourier(own_name, client_tls(chosen), Timeouts(), threads),
        patience,
        World(threads, time.time, time.monotonic, chance, wait, report),
        share,
    )


def _router(chosen: Settings, threads: Threads) -> Router:
    allowed, trust = chosen.relaying, chosen.trust
    login = None
    if allowed.smarthost_user:
        login = Login(allowed.smarthost_user, allowed.smarthost_password)
    routes = {
        domain: StaticRoute(host, port or SMTP_PORT, login if domain == "*" else None)
        for domain, (host, port) in allowed.routes
    }
    shuffle = secrets.SystemRandom().shuffle
    resolver = Dns(trust.nameservers, validating=trust.dnssec)
    may_reach = (lambda address: True) if allowed.relay_private else is_public
    ask_tls = TlsPolicy(
        allowed.relay_tls,
        resolver if trust.dnssec else None,
        _policies(chosen, threads, resolver, may_reach) if allowed.mta_sts else None,
    )
    return Router(resolver, _is_own(chosen), shuffle, routes, may_reach, ask_tls)


def _policies(
    chosen: Settings, threads: Threads, resolver: Dns, may_reach: Callable[[str], bool]
) -> StsPolicies:
    from mailserver.net.policy_fetch import PolicyFetch

    fetch = PolicyFetch(resolver, may_reach, _roots(chosen))
    return StsPolicies(chosen.data, resolver, fetch, threads, time.time)


def _is_own(chosen: Settings) -> Callable[[str], bool]:
    listening = chosen.listening

    def is_own(host: str) -> bool:
        try:
            ip_address(host)
        except ValueError:
            return host in listening.domains
        return is_in(host, listening.own_addresses)

    return is_own


def client_tls(chosen: Settings) -> ClientTls:
    """Raises CertificateUnusable for a file of roots that is none."""
    tls = ClientTls(_roots(chosen))
    tls.check()
    return tls


def _roots(chosen: Settings) -> Path | None:
    """None: the system's."""
    roots = chosen.relaying.relay_roots
    return chosen.data / roots if roots else None

"""What a host has to show by TLS before it gets mail: what we ask of all, what its domain asks
(DANE, RFC 7672; else MTA-STS, RFC 8461), what the sender asks (RFC 8689)."""

from __future__ import annotations

import logging
from ipaddress import ip_address
from typing import Protocol

from mailserver.message.outcome import Fate, failed
from mailserver.relay.dane import Tlsa, usable
from mailserver.relay.dns import DnsTrouble
from mailserver.relay.mta_sts import Mode, Policy
from mailserver.relay.routing import Barred, Candidate
from mailserver.relay.tls_demand import (
    ANYTHING,
    Demand,
    Encrypted,
    Opportunistic,
    Pinned,
    Valid,
    stronger,
)
from mailserver.relay.wish import Wish

log = logging.getLogger(__name__)

OPPORTUNISTIC, REQUIRED, VERIFIED = "opportunistic", "required", "verified"
"""What the settings can ask of all."""


class TlsRecords(Protocol):
    """The DNS's TLSA records."""

    async def tlsa(self, host: str, port: int) -> tuple[Tlsa, ...]:
        """Those that DNSSEC vouches for; raises DnsTrouble."""


class Policies(Protocol):
    """Who knows MTA-STS policies."""

    async def of(self, domain: str) -> Policy | None:
        """The one that counts now."""


class TlsPolicy:
    """See `routing.AskTls`."""

    def __init__(self, least: str, records: TlsRecords | None, policies: Policies | None) -> None:
        """`least`: OPPORTUNISTIC, REQUIRED or VERIFIED. `records`: where TLSA records are looked
        for; None: nowhere. `policies` likewise."""
        self._least = least
        self._records = records
        self._policies = policies

    async def __call__(self, candidate: Candidate, wish: Wish) -> Demand:
        """See AskTls."""
        demand, proven = (
            (ANYTHING, False) if wish is Wish.OPTIONAL else await self._of_domain(candidate)
        )
        if wish is Wish.REQUIRED:
            if not proven:
                text = f"REQUIRETLS: nothing proves that {candidate.name} is a mail server of "
                text += f"{candidate.domain}, neither DNSSEC nor MTA-STS (RFC 8689 4.2.1)"
                raise Barred(failed(Fate.PERMANENT, "7.30", text))
            demand = stronger(demand, Valid((candidate.name,), wish.value))
        return stronger(demand, self._of_settings(candidate))

    def _of_settings(self, candidate: Candidate) -> Demand:
        if candidate.login is not None:
            return Valid((candidate.name,), "the login that is sent there")
        setting = f"relay_tls = {self._least}"
        if self._least == VERIFIED:
            return Valid((candidate.name,), setting)
        return Encrypted(setting) if self._least == REQUIRED else ANYTHING

    async def _of_domain(self, candidate: Candidate) -> tuple[Demand, bool]:
        """Also whether the host's name is proven to be the domain's."""
        proven = candidate.secure or not candidate.domain
        if _is_address(candidate.name):
            return ANYTHING, proven
        if candidate.secure and (pinned := await self._by_dane(candidate)) is not None:
            return pinned, proven
        domain = candidate.domain or candidate.name
        if self._policies is None or "." not in domain:
            return ANYTHING, proven
        policy = await self._policies.of(domain)
        if policy is None or policy.mode is Mode.NONE:
            return ANYTHING, proven
        return self._by_policy(domain, candidate.name, policy, proven=proven)

    async def _by_dane(self, candidate: Candidate) -> Demand | None:
        """None: there are no records."""
        if self._records is None:
            return None
        for base in dict.fromkeys((candidate.canonical or candidate.name, candidate.name)):
            try:
                records = await self._records.tlsa(base, candidate.port)
            except DnsTrouble as problem:  # RFC 7672 2.1.1: perhaps somebody keeps them from us
                text = f"the DNS does not say which certificate {base} has: {problem}"
                raise Barred(failed(Fate.TEMPORARY, "7.5", text)) from None
            good = usable(records)
            if good:
                names = dict.fromkeys((base, candidate.name, candidate.domain or base))
                return Pinned(good, tuple(names))
            if records:  # RFC 7672 2.2: there is TLS, and nothing to know it by
                return Encrypted("DANE")
        return None

    def _by_policy(
        self, domain: str, host: str, policy: Policy, *, proven: bool
    ) -> tuple[Demand, bool]:
        named = policy.names(host)
        demand = Valid((host,), f"MTA-STS of {domain}")
        if policy.mode is Mode.TESTING:
            if not named:
                log.warning("the MTA-STS policy of %s, in testing, does not name %s", domain, host)
            return Opportunistic(demand), proven or named
        if not named:
            text = f"the MTA-STS policy of {domain} does not name its mail server {host}"
            raise Barred(failed(Fate.TEMPORARY, "7.5", text))
        return demand, True


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return name.startswith("[")
    return True

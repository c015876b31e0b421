"""Which machine is the next one for a domain (RFC 5321 5.1). Who answers for the DNS is
injected."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import field
from ipaddress import ip_address
from itertools import groupby
from typing import Protocol

from mailserver.message.outcome import Fate, Outcome, failed
from mailserver.relay.dns import DnsTrouble, Exchangers, Found, NoSuchName, Resolver
from mailserver.relay.tls_demand import ANYTHING, Demand
from mailserver.relay.wish import Wish
from mailserver.wire import idn
from mailserver.wire.address import literal_address
from mailserver.wire.value import value

SMTP_PORT = 25
HOSTS_LIMIT = 20
"""Hosts of a domain that are tried; RFC 5321 5.1 wants at least two addresses."""

_STATIC = "="


class NoRoute(Exception):
    """Nowhere to go, for now or for good."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome


@value(frozen=True, slots=True)
class Login:
    """How to show a smarthost who we are."""

    user: str
    password: str = field(repr=False)


@value(frozen=True, slots=True)
class StaticRoute:
    """A host by the settings, instead of the DNS's MX."""

    host: str
    port: int = SMTP_PORT
    login: Login | None = None


@value(frozen=True, slots=True)
class NextHost:
    """A machine to try."""

    name: str
    """As the MX or the setting has it: what its certificate has to show."""
    addresses: tuple[str, ...]
    port: int = SMTP_PORT
    login: Login | None = None
    demand: Demand = ANYTHING
    """What it has to show before it gets mail."""
    promises: bool = False
    """It has to offer REQUIRETLS."""


@value(frozen=True, slots=True)
class Candidate:
    """A machine, before it is known what its owner asks of TLS."""

    name: str
    port: int
    canonical: str = ""
    login: Login | None = None
    domain: str = ""
    """Whose MX records name it; "": it stands in an address or in the settings."""
    secure: bool = False
    """Its name and its addresses are so by DNSSEC; the name also by the settings."""


class Barred(NoRoute):
    """This machine is not to have mail."""


_Candidates = AsyncIterator[tuple[Candidate, tuple[str, ...]]]
"""With their addresses."""


class AskTls(Protocol):
    """Who knows what is asked of TLS with a host."""

    async def __call__(self, candidate: Candidate, wish: Wish) -> Demand:
        """Raises Barred."""


async def ask_nothing(candidate: Candidate, wish: Wish) -> Demand:
    """See AskTls."""
    return ANYTHING


class Router:
    """Destinations of recipients, and the hosts of destinations."""

    def __init__(
        self,
        resolver: Resolver,
        is_own: Callable[[str], bool],
        shuffle: Callable[[list[str]], None],
        routes: Mapping[str, StaticRoute] | None = None,
        may_reach: Callable[[str], bool] = lambda address: True,
        ask_tls: AskTls = ask_nothing,
        port: int = SMTP_PORT,
    ) -> None:
        """`is_own`: this host name, in lower case, or IP address is our own. `routes`: by domain in
        ASCII and lower case, `*` for all the others. `may_reach`: an IP address that senders or the
        DNS have named may be connected to; a static route may lead anywhere. `port`: of all hosts
        that no route names."""
        self._resolver = resolver
        self._is_own = is_own
        self._shuffle = shuffle
        self._may_reach = may_reach
        self._ask_tls = ask_tls
        self._port = port
        self._routes = dict(routes or {})
        self._static = {_key(route): route for route in self._routes.values()}

    def destination(self, domain: str, wish: Wish = Wish.NONE) -> str:
        """What mail for this domain waits for: the domain, or the host that takes its mail, and the
        sender's wish. All domains with the same static route share their connections."""
        name = idn.ascii_form(domain)
        route = self._routes.get(name) or self._routes.get("*")
        return f"{_key(route) if route else name} {wish.value}".rstrip()

    async def hosts(self, destination: str) -> AsyncIterator[NextHost]:
        """The machines to try, best first; raises NoRoute when there is none, which is known before
        the first comes out."""
        place, _, word = destination.partition(" ")
        wish = Wish(word)
        static = self._static.get(place)
        if place.startswith(_STATIC) and static is None:
            raise NoRoute(failed(Fate.TEMPORARY, "4.0", f"the route {place[1:]} is gone"))
        refusals: list[NoRoute] = []
        found = False
        candidates = self._by_setting(static, refusals) if static else self._by_dns(place, refusals)
        async for candidate, addresses in candidates:
            try:
                demand = await self._ask_tls(candidate, wish)
            except Barred as problem:
                refusals.append(problem)
                continue
            found = True
            login, promises = candidate.login, wish is Wish.REQUIRED
            yield NextHost(candidate.name, addresses, candidate.port, login, demand, promises)
        if not found:
            temporary = [one for one in refusals if one.outcome.fate is Fate.TEMPORARY]
            raise (temporary or refusals)[0]

    async def _by_setting(self, route: StaticRoute, refusals: list[NoRoute]) -> _Candidates:
        found = await self._found(route.host, refusals)
        if found.addresses:
            name, canonical, secure = route.host, found.canonical, found.secure
            candidate = Candidate(name, route.port, canonical, route.login, secure=secure)
            yield candidate, found.addresses
        refusals.append(NoRoute(_no_address(route.host, [route.host])))

    async def _by_dns(self, domain: str, refusals: list[NoRoute]) -> _Candidates:
        """Why one of them, or all, cannot be reached goes into `refusals`."""
        literal = literal_address(domain)
        if literal is not None:
            names, exchangers_secure = [domain], False
        else:
            names, exchangers_secure = await self._exchangers(domain)
        private: list[str] = []
        for name in names[:HOSTS_LIMIT]:
            found = await self._found(name, refusals)
            others = [one for one in found.addresses if literal or not self._is_own(one)]
            private += [one for one in others if not self._may_reach(one)]
            addresses = tuple(filter(self._may_reach, others))
            if addresses:
                by, secure = "" if literal else domain, exchangers_secure and found.secure
                candidate = Candidate(name, self._port, found.canonical, None, by, secure)
                yield candidate, addresses
        nowhere = _private(domain, private) if private else _no_address(domain, names)
        refusals.append(NoRoute(nowhere))

    async def _found(self, name: str, refusals: list[NoRoute]) -> Found:
        try:
            literal = literal_address(name) or ip_address(name)
        except ValueError:
            pass
        else:
            return Found((str(literal),))
        try:
            return await self._resolver.addresses(name)
        except NoSuchName:
            return Found()
        except DnsTrouble as problem:
            refusals.append(NoRoute(_dns_failed(name, problem)))
            return Found()

    async def _exchangers(self, domain: str) -> tuple[list[str], bool]:
        """Host names, best first, equal ones shuffled; and whether DNSSEC says so."""
        try:
            found = await self._resolver.exchangers(domain)
        except NoSuchName:
            # also where the name is a machine's of this network, which some DNS has no MX for
            found = Exchangers()
        except DnsTrouble as problem:
            if "." in domain:
                raise NoRoute(_dns_failed(domain, problem)) from None
            found = Exchangers()
        records = found.records
        if not records:  # RFC 5321 5.1: an implicit MX of preference 0
            records = ((0, domain),)
        elif any(not host for _, host in records):
            text = f"{domain} says that it takes no mail (null MX, RFC 7505)"
            raise NoRoute(failed(Fate.PERMANENT, "1.10", text))
        own = min((preference for preference, host in records if self._is_own(host)), default=None)
        better = [record for record in records if own is None or record[0] < own]
        if not better:
            text = f"mail for {domain} would come back to this server, which does not take it"
            raise NoRoute(failed(Fate.PERMANENT, "4.6", text))
        return self._in_order(better), found.secure

    def _in_order(self, records: list[tuple[int, str]]) -> list[str]:
        """RFC 5321 5.1: equal preferences in random order."""
        names: list[str] = []
        for _, equals in groupby(sorted(records), key=lambda record: record[0]):
            hosts = [host for _, host in equals]
            self._shuffle(hosts)
            names += hosts
        return list(dict.fromkeys(names))


def _key(route: StaticRoute) -> str:
    return f"{_STATIC}{route.host.lower()}:{route.port}"


def _dns_failed(name: str, problem: DnsTrouble) -> Outcome:
    return failed(Fate.TEMPORARY, "4.3", f"the DNS does not answer for {name}: {problem}")


def _no_address(destination: str, names: list[str]) -> Outcome:
    if names == [destination]:
        text = f"there is no domain {destination}: is it spelled right?"
        return failed(Fate.PERMANENT, "1.2", text)
    hosts = ", ".join(names[:3])
    return failed(Fate.PERMANENT, "4.4", f"no mail server of {destination} has an address: {hosts}")


def _private(destination: str, addresses: list[str]) -> Outcome:
    text = f"{destination} leads to a private address, {', '.join(addresses[:3])}, "
    text += "where this server sends no mail (the setting relay_private lets it, or a route)"
    return failed(Fate.PERMANENT, "4.4", text)

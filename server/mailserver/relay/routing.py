"""Which machine is the next one for a domain (RFC 5321 5.1). Who answers for the DNS is
injected."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import groupby
from typing import Protocol

from mailserver.message.outcome import Fate, Outcome, failed
from mailserver.wire import idn
from mailserver.wire.address import literal_address

SMTP_PORT = 25
HOSTS_LIMIT = 20
"""Hosts of a domain that are tried; RFC 5321 5.1 wants at least two addresses."""

_STATIC = "="


class NoSuchName(Exception):
    """The DNS is sure that there is no such name."""


class DnsTrouble(Exception):
    """No answer, or a failing one; says which. The same question may be answered later."""


class Resolver(Protocol):
    """The DNS. Names are ASCII."""

    async def exchangers(self, name: str) -> tuple[tuple[int, str], ...]:
        """MX records: preference and host, "" for a null MX (RFC 7505); empty when there are none.
        Raises NoSuchName or DnsTrouble."""

    async def addresses(self, name: str) -> tuple[str, ...]:
        """IPv6 and IPv4, in the order to be tried. Raises NoSuchName or DnsTrouble."""


class NoRoute(Exception):
    """Nowhere to go, for now or for good."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Login:
    """How to show a smarthost who we are."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StaticRoute:
    """A host by the settings, instead of the DNS's MX."""

    host: str
    port: int = SMTP_PORT
    login: Login | None = None


@dataclass(frozen=True, slots=True)
class NextHost:
    """A machine to try."""

    name: str
    """As the MX or the setting has it: what its certificate has to show."""
    addresses: tuple[str, ...]
    port: int = SMTP_PORT
    login: Login | None = None


class Router:
    """Destinations of recipients, and the hosts of destinations."""

    def __init__(
        self,
        resolver: Resolver,
        is_own: Callable[[str], bool],
        shuffle: Callable[[list[str]], None],
        routes: Mapping[str, StaticRoute] | None = None,
        may_reach: Callable[[str], bool] = lambda address: True,
    ) -> None:
        """`is_own`: this host name, in lower case, or IP address is our own. `routes`: by domain in
        ASCII and lower case, `*` for all the others. `may_reach`: an IP address that senders or the
        DNS have named may be connected to; a static route may lead anywhere."""
        self._resolver = resolver
        self._is_own = is_own
        self._shuffle = shuffle
        self._may_reach = may_reach
        self._routes = dict(routes or {})
        self._static = {_key(route): route for route in self._routes.values()}

    def destination(self, domain: str) -> str:
        """What mail for this domain waits for: the domain, or the host that takes its mail. All
        domains with the same static route share their connections."""
        name = idn.ascii_form(domain)
        route = self._routes.get(name) or self._routes.get("*")
        return _key(route) if route else name

    async def hosts(self, destination: str) -> AsyncIterator[NextHost]:
        """The machines to try, best first; raises NoRoute when there is none, which is known before
        the first comes out."""
        static = self._static.get(destination)
        if destination.startswith(_STATIC) and static is None:
            raise NoRoute(failed(Fate.TEMPORARY, "4.0", f"the route {destination[1:]} is gone"))
        literal = literal_address(destination)
        if literal is not None:
            if not self._may_reach(str(literal)):
                raise NoRoute(_private(destination, [str(literal)]))
            yield NextHost(destination, (str(literal),))
            return
        names = [static.host] if static else await self._exchangers(destination)
        found, trouble = False, None
        private: list[str] = []
        for name in names[:HOSTS_LIMIT]:
            try:
                addresses = await self._addresses(name)
            except NoSuchName:
                continue
            except DnsTrouble as problem:
                trouble = problem
                continue
            if not static:
                addresses = tuple(one for one in addresses if not self._is_own(one))
                private += [one for one in addresses if not self._may_reach(one)]
                addresses = tuple(filter(self._may_reach, addresses))
            if addresses:
                found = True
                port, login = (static.port, static.login) if static else (SMTP_PORT, None)
                yield NextHost(name, addresses, port, login)
        if not found and private and trouble is None:
            raise NoRoute(_private(destination, private))
        if not found:
            raise NoRoute(_no_address(destination, names, trouble))

    async def _addresses(self, name: str) -> tuple[str, ...]:
        try:
            return (str(ip_address(name)),)
        except ValueError:
            return await self._resolver.addresses(name)

    async def _exchangers(self, domain: str) -> list[str]:
        """Host names, best first, equal ones shuffled."""
        try:
            records = await self._resolver.exchangers(domain)
        except NoSuchName:
            # also where the name is a machine's of this network, which some DNS has no MX for
            records = ()
        except DnsTrouble as problem:
            if "." in domain:
                raise NoRoute(_dns_failed(domain, problem)) from None
            records = ()
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
        return self._in_order(better)

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


def _no_address(destination: str, names: list[str], trouble: DnsTrouble | None) -> Outcome:
    if trouble is not None:
        return _dns_failed(", ".join(names[:3]), trouble)
    if names == [destination]:
        return failed(Fate.PERMANENT, "1.2", f"there is no domain {destination}")
    hosts = ", ".join(names[:3])
    return failed(Fate.PERMANENT, "4.4", f"no mail server of {destination} has an address: {hosts}")


def _private(destination: str, addresses: list[str]) -> Outcome:
    text = f"mail for {destination} would go to a private address, {', '.join(addresses[:3])}: "
    text += "the setting relay_private lets it, or a route"
    return failed(Fate.PERMANENT, "4.4", text)

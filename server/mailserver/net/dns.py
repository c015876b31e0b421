"""The DNS by dnspython: questions of the relay, with answers and their absence kept as long as they
hold."""

from __future__ import annotations

import asyncio
import socket

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.resolver

from mailserver.relay.routing import DnsTrouble, NoSuchName

CACHED_ANSWERS = 10_000
SECONDS = 20.0
"""For one question, all servers and repetitions together."""


class Dns:
    """See `relay.routing.Resolver`."""

    def __init__(self, servers: tuple[str, ...] = (), port: int = 53) -> None:
        """`servers`: their IP addresses, each with a port of its own behind `#` or without; none:
        those of this machine's /etc/resolv.conf."""
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=not servers)
        except dns.resolver.NoResolverConfiguration:
            self._resolver = dns.asyncresolver.Resolver(configure=False)
        if servers:
            self._resolver.nameservers = [_server(one, port) for one in servers]
        self._resolver.lifetime = SECONDS
        self._resolver.cache = dns.resolver.LRUCache(CACHED_ANSWERS)  # negative answers too

    async def exchangers(self, name: str) -> tuple[tuple[int, str], ...]:
        """See Resolver."""
        answer = await self.ask(name, "MX")
        return tuple((mx.preference, _text(mx.exchange)) for mx in answer)

    async def addresses(self, name: str) -> tuple[str, ...]:
        """See Resolver. A name without a dot is also looked for in this machine's own table."""
        try:
            six = await self.ask(name, "AAAA")
            four = await self.ask(name, "A")
            if six or four or "." in name:
                return tuple(record.address for answer in (six, four) for record in answer)
        except (NoSuchName, DnsTrouble):
            if "." in name:
                raise
        return await _of_this_machine(name)

    async def ask(self, name: str, kind: str) -> dns.resolver.Answer | tuple[()]:
        """The records of one kind; raises NoSuchName or DnsTrouble."""
        try:
            absolute = dns.name.from_text(name)
            return await self._resolver.resolve(absolute, kind, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            raise NoSuchName from None
        except dns.exception.DNSException as error:
            raise DnsTrouble(str(error) or type(error).__name__) from None


def _server(text: str, port: int) -> dns.nameserver.Nameserver:
    address, _, own_port = text.partition("#")
    return dns.nameserver.Do53Nameserver(address, int(own_port or port))


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


async def _of_this_machine(name: str) -> tuple[str, ...]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise DnsTrouble(error.strerror) from None
        raise NoSuchName from None
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))

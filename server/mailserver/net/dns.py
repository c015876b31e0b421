"""The DNS by dnspython: questions of the relay, with answers and their absence kept as long as they
hold."""

from __future__ import annotations

import asyncio
import socket

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.nameserver
import dns.resolver

from mailserver.relay.dane import Tlsa
from mailserver.relay.dns import DnsTrouble, Exchangers, Found, NoSuchName

CACHED_ANSWERS = 10_000
SECONDS = 20.0
"""For one question, all servers and repetitions together."""


class Dns:
    """See `relay.routing.Resolver`."""

    def __init__(
        self, servers: tuple[str, ...] = (), port: int = 53, *, validating: bool = False
    ) -> None:
        """`servers`: their IP addresses, each with a port of its own behind `#` or without; none:
        those of this machine's /etc/resolv.conf. `validating`: they check DNSSEC, and nobody sits
        between them and us: their word that an answer is secure counts."""
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=not servers)
        except dns.resolver.NoResolverConfiguration:
            self._resolver = dns.asyncresolver.Resolver(configure=False)
        if servers:
            self._resolver.nameservers = [_server(one, port) for one in servers]
        self._resolver.lifetime = SECONDS
        self._validating = validating
        if validating:  # RFC 6840 5.7: AD in the question asks for it in the answer
            self._resolver.flags = dns.flags.RD | dns.flags.AD
        self._resolver.cache = dns.resolver.LRUCache(CACHED_ANSWERS)  # negative answers too

    async def exchangers(self, name: str) -> Exchangers:
        """See Resolver."""
        answer = await self.ask(name, "MX")
        records = tuple((mx.preference, _text(mx.exchange)) for mx in answer)
        return Exchangers(records, self._is_secure(answer))

    async def addresses(self, name: str) -> Found:
        """See Resolver. A name without a dot is also looked for in this machine's own table."""
        answers, trouble = [], None
        for kind in ("AAAA", "A"):
            try:
                answers.append(await self.ask(name, kind))
            except DnsTrouble as problem:  # some servers fail for AAAA alone (RFC 4074)
                trouble = problem
            except NoSuchName:
                if "." in name:
                    raise
        found = [answer for answer in answers if answer]
        if found or ("." in name and trouble is None):
            addresses = tuple(record.address for answer in found for record in answer)
            canonical = _text(answers[-1].canonical_name)
            return Found(addresses, all(map(self._is_secure, found)), canonical)
        if trouble is not None and "." in name:
            raise trouble
        return Found(await _of_this_machine(name))

    async def texts(self, name: str) -> tuple[bytes, ...]:
        """TXT records, the strings of each joined; raises NoSuchName or DnsTrouble."""
        return tuple(b"".join(record.strings) for record in await self.ask(name, "TXT"))

    async def tlsa(self, host: str, port: int) -> tuple[Tlsa, ...]:
        """TLSA records of which DNSSEC says that they are the domain's own; raises DnsTrouble."""
        try:
            answer = await self.ask(f"_{port}._tcp.{host}", "TLSA")
        except NoSuchName:
            return ()
        if not self._is_secure(answer):
            return ()
        return tuple(Tlsa(one.usage, one.selector, one.mtype, one.cert) for one in answer)

    def _is_secure(self, answer: dns.resolver.Answer) -> bool:
        return self._validating and bool(answer.response.flags & dns.flags.AD)

    async def ask(self, name: str, kind: str) -> dns.resolver.Answer:
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

"""The DNS as the relay asks it; who answers is injected. Names are ASCII."""

from __future__ import annotations

from typing import Protocol

from mailserver.wire.value import value


class NoSuchName(Exception):
    """The DNS is sure that there is no such name."""


class DnsTrouble(Exception):
    """No answer, or a failing one; says which. The same question may be answered later."""


@value(frozen=True, slots=True)
class Exchangers:
    """The MX records of a domain."""

    records: tuple[tuple[int, str], ...] = ()
    """Preference and host, "" for a null MX (RFC 7505)."""
    secure: bool = False
    """DNSSEC says that these, or that there are none, is the domain's own word."""


@value(frozen=True, slots=True)
class Found:
    """The addresses of a host."""

    addresses: tuple[str, ...] = ()
    """IPv6 and IPv4, in the order to be tried."""
    secure: bool = False
    """DNSSEC says that they are the host's own."""
    canonical: str = ""
    """The host's name, behind all CNAMEs."""


class Resolver(Protocol):
    """Asks the DNS."""

    async def exchangers(self, name: str) -> Exchangers:
        """Raises NoSuchName or DnsTrouble."""

    async def addresses(self, name: str) -> Found:
        """Raises NoSuchName or DnsTrouble."""

"""What the checks ask the DNS. Who answers is injected; so nothing here opens a socket."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

Address = IPv4Address | IPv6Address

_LABEL = re.compile(r"[^.]{1,63}")


class DnsTrouble(Exception):
    """No answer, or a failing one: the same question may be answered later."""


class Resolver(Protocol):
    """Answers to questions about one name. A name that is not there has empty answers."""

    async def texts(self, name: str) -> tuple[bytes, ...]:
        """TXT, the strings of each record in one piece (RFC 7208 3.3). Raises DnsTrouble."""

    async def addresses(self, name: str, version: int) -> tuple[Address, ...]:
        """A (version 4) or AAAA (version 6). Raises DnsTrouble."""

    async def exchangers(self, name: str) -> tuple[str, ...]:
        """The names in MX, the preferred one first. Raises DnsTrouble."""

    async def names(self, address: Address) -> tuple[str, ...]:
        """PTR. Raises DnsTrouble."""

    async def exists(self, name: str) -> bool:
        """The name, or one below it, has a record of any kind (RFC 8020). Raises DnsTrouble."""


def is_askable(name: str) -> bool:
    """A name the DNS can have (RFC 1035 2.3.4): labels of 1 to 63 octets, 253 together; one dot
    at the end is allowed."""
    labels = name.removesuffix(".").split(".")
    return len(name) <= 254 and name.isascii() and all(map(_LABEL.fullmatch, labels))

"""Block lists in the DNS (RFC 5782): is a client's address on one of them?

A list is believed only while its test entries are right: one that is given up and answers every
question with yes would keep all mail out. They are looked at when somebody is to be refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, ip_address, ip_network

from mailserver.trust.dns import Address, DnsTrouble, Resolver

log = logging.getLogger(__name__)

AT_ONCE = 100
"""Clients that are asked about at the same time; the others wait, and their time runs."""
TESTED_SECONDS = 3600.0
"""So long holds what the test entries said."""
_ANSWERS = ip_network("127.0.0.0/8")
_REFUSALS = ip_network("127.255.255.0/24")
"""What some lists answer to whom they do not serve: it is about the question."""
_TEST = {4: "127.0.0.", 6: "::ffff:7f00:"}
_WORDS_LIMIT = 200


class BlockLists:
    """Those that the settings name; of one process."""

    def __init__(
        self, zones: Sequence[str], resolver: Resolver, clock: Callable[[], float], seconds: float
    ) -> None:
        """`seconds`: for all questions about one client; what is not known by then is no."""
        self._zones = zones
        self._resolver = resolver
        self._clock = clock
        self._seconds = seconds
        self._places = asyncio.Semaphore(AT_ONCE)
        self._tested: dict[tuple[str, int], tuple[float, bool]] = {}  # until when, it works

    async def listing(self, client: str) -> str:
        """The first list that has this IP address, and what it says of it, printable ASCII; "" when
        none does."""
        address = ip_address(client)
        deadline = asyncio.get_running_loop().time() + self._seconds
        found = await asyncio.gather(
            *(self._within(deadline, zone, address) for zone in self._zones)
        )
        return next(filter(None, found), "")

    async def _within(self, deadline: float, zone: str, address: Address) -> str:
        try:
            async with asyncio.timeout_at(deadline), self._places:
                if not await self._has(zone, address) or not await self._works(
                    zone, address.version
                ):
                    return ""
                words = await self._words(zone, address)
                return f"{zone}: {words}" if words else zone
        except (DnsTrouble, TimeoutError):
            log.warning("block list %s does not answer", zone)
            return ""

    async def _has(self, zone: str, address: Address) -> bool:
        answers = await self._resolver.addresses(_question(zone, address), 4)
        return any(
            isinstance(one, IPv4Address) and one in _ANSWERS and one not in _REFUSALS
            for one in answers
        )

    async def _words(self, zone: str, address: Address) -> str:
        try:
            texts = await self._resolver.texts(_question(zone, address))
        except DnsTrouble:
            return ""
        words = texts[0][:_WORDS_LIMIT].decode("latin-1") if texts else ""
        return "".join(char if " " <= char <= "~" else "?" for char in words)

    async def _works(self, zone: str, version: int) -> bool:
        """RFC 5782 5: it has the address that ends in 2, and not the one that ends in 1."""
        until, works = self._tested.get((zone, version), (0.0, False))
        if self._clock() < until:
            return works
        one, two = (ip_address(f"{_TEST[version]}{number}") for number in (1, 2))
        works = await self._has(zone, two) and not await self._has(zone, one)
        self._tested[zone, version] = self._clock() + TESTED_SECONDS, works
        if not works:
            log.warning(
                "block list %s is left out for an hour: by RFC 5782 5 it has to have %s and not %s",
                *(zone, two, one),
            )
        return works


def _question(zone: str, address: Address) -> str:
    """Octets (2.1) or nibbles (2.4) from behind, then the zone."""
    return address.reverse_pointer.rpartition(".")[0].rpartition(".")[0] + f".{zone}"

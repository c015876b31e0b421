"""The DNS as SPF, DKIM and DMARC ask it, over the same questions and answers as the relay's."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from mailserver.net.dns import Dns
from mailserver.relay.dns import DnsTrouble as NoAnswer
from mailserver.relay.dns import NoSuchName
from mailserver.trust.dns import Address, DnsTrouble


class SenderDns:
    """See `trust.dns.Resolver`."""

    def __init__(self, dns: Dns) -> None:
        self._dns = dns

    async def texts(self, name: str) -> tuple[bytes, ...]:
        """See Resolver."""
        return tuple(b"".join(record.strings) for record in await self._ask(name, "TXT"))

    async def addresses(self, name: str, version: int) -> tuple[Address, ...]:
        """See Resolver."""
        records = await self._ask(name, "A" if version == 4 else "AAAA")
        return tuple(ip_address(record.address) for record in records)

    async def exchangers(self, name: str) -> tuple[str, ...]:
        """See Resolver."""
        records = sorted(await self._ask(name, "MX"), key=lambda record: record.preference)
        return tuple(record.exchange.to_text(omit_final_dot=True) for record in records)

    async def names(self, address: Address) -> tuple[str, ...]:
        """See Resolver."""
        records = await self._ask(address.reverse_pointer, "PTR")
        return tuple(record.target.to_text(omit_final_dot=True) for record in records)

    async def exists(self, name: str) -> bool:
        """See Resolver."""
        try:
            await self._dns.ask(name, "A")
        except NoSuchName:
            return False
        except NoAnswer as trouble:
            raise DnsTrouble(str(trouble)) from None
        return True

    async def _ask(self, name: str, kind: str) -> Iterable[Any]:
        """The records; none when there is no such name."""
        try:
            return await self._dns.ask(name, kind)
        except NoSuchName:
            return ()
        except NoAnswer as trouble:
            raise DnsTrouble(str(trouble)) from None

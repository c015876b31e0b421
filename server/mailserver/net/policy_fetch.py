"""Fetches MTA-STS policies by HTTPS (RFC 8461 3.3): one GET on a connection of its own.

The standard library's HTTP reads what came, from memory, and never from the network: how long it
takes and how much it is are decided here.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import socket
import ssl
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Protocol, cast

from mailserver.relay.dns import DnsTrouble, Found, NoSuchName
from mailserver.relay.sts_policies import POLICY_OCTETS, NotFetched

HTTPS_PORT = 443
SECONDS = 60.0
"""For all of it (RFC 8461 3.3)."""
_HEADER_OCTETS = 64 * 1024
_ADDRESSES = 4
_PATH = "/.well-known/mta-sts.txt"


class _Addresses(Protocol):
    async def addresses(self, name: str) -> Found:
        """Raises NoSuchName or DnsTrouble."""


class PolicyFetch:
    """See `relay.sts_policies.Fetch`."""

    def __init__(
        self,
        dns: _Addresses,
        may_reach: Callable[[str], bool],
        roots: Path | None = None,
        port: int = HTTPS_PORT,
    ) -> None:
        """`may_reach`: an IP address that others have named may be connected to. `roots`: a PEM
        file with the certificates that are believed; None: the system's."""
        self._dns = dns
        self._may_reach = may_reach
        self._port = port
        self._roots = roots

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made when a policy is to be fetched: it has some hundred roots."""
        context = ssl.create_default_context(cafile=self._roots)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        return context

    async def __call__(self, domain: str) -> bytes:
        """See Fetch."""
        host = f"mta-sts.{domain}"
        try:
            async with asyncio.timeout(SECONDS):
                return policy_in(await self._get(host))
        except TimeoutError:
            raise NotFetched(f"https://{host} takes longer than {SECONDS:.0f} seconds") from None
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", "") or error.reason or error
            raise NotFetched(f"https://{host} is not inside good TLS: {why}") from None
        except OSError as error:
            raise NotFetched(f"https://{host}: {error.strerror or error}") from None
        except (http.client.HTTPException, ValueError) as error:
            raise NotFetched(f"https://{host} speaks no HTTP: {error!r:.200}") from None

    async def _get(self, host: str) -> bytes:
        try:
            found = await self._dns.addresses(host)
        except (NoSuchName, DnsTrouble) as problem:
            raise NotFetched(f"{host} has no address: {problem}") from None
        addresses = [address for address in found.addresses if self._may_reach(address)]
        if not addresses:
            raise NotFetched(f"{host} has no address that may be reached")
        request = f"GET {_PATH} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: mailserver\r\n"
        request += "Accept: text/plain\r\nConnection: close\r\n\r\n"
        return await self._ask(host, addresses[:_ADDRESSES], request.encode("ascii"))

    async def _ask(self, host: str, addresses: list[str], request: bytes) -> bytes:
        """All that comes, up to a limit."""
        reader, writer = await self._connect(host, addresses)
        octets = bytearray()
        try:
            writer.write(request)
            while piece := await reader.read(_HEADER_OCTETS):
                octets += piece
                if len(octets) > _HEADER_OCTETS + 2 * POLICY_OCTETS:  # chunks have a size each
                    raise NotFetched(f"https://{host} sends more than {POLICY_OCTETS} octets")
        finally:
            writer.transport.abort()
        return bytes(octets)

    async def _connect(
        self, host: str, addresses: list[str]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for address in addresses:
            try:
                return await asyncio.open_connection(
                    address, self._port, ssl=self._tls, server_hostname=host
                )
            except OSError:
                if address == addresses[-1]:
                    raise
        raise AssertionError("there is an address")


class _Memory:
    """As much of a socket as HTTPResponse wants."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def makefile(self, mode: str) -> io.BytesIO:
        assert mode == "rb", "it only reads"
        return io.BytesIO(self._octets)


def policy_in(octets: bytes) -> bytes:
    """In all that a web server sent; raises HTTPException, ValueError or NotFetched."""
    response = http.client.HTTPResponse(cast("socket.socket", _Memory(octets)), method="GET")
    response.begin()
    if response.status != 200:  # a redirection too (RFC 8461 3.3)
        raise NotFetched(f"its web server says {response.status}")
    kind = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
    if kind != "text/plain":
        raise NotFetched(f"its web server calls it {kind[:80]!a} and not text/plain")
    policy = response.read(POLICY_OCTETS + 1)
    if len(policy) > POLICY_OCTETS:
        raise NotFetched(f"it is longer than {POLICY_OCTETS} octets")
    return policy

"""Load balancers that say for whom they connect (`wire.proxy`), and must do so."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence

from mailserver.net.socket_stream import SocketStream
from mailserver.net.stream import ReceiveTimeout, SessionOver
from mailserver.wire.proxy import ProxyFault, read_header

log = logging.getLogger(__name__)

SECONDS = 10.0
"""For the header; it comes with the first packet."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """Those of some networks, and nobody else."""

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        self._networks = tuple(networks)

    def include(self, peer: str) -> bool:
        """Connections from this address begin with a header."""
        if not self._networks:
            return False
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:  # a connection without an address
            return False
        return any(address in network for network in self._networks)

    async def introduce(self, stream: SocketStream) -> None:
        """Take the header from the stream, whose peer is then the client. Raises ConnectionError
        when there is none that can be believed."""
        octets = b""
        try:
            while (header := read_header(octets)) is None:
                more = await stream.receive(SECONDS)
                if not more:
                    raise ConnectionError("the connection ended in the PROXY header")
                octets += more
        except (ProxyFault, ReceiveTimeout, SessionOver) as problem:
            what = str(problem) or "no PROXY header in time"
            log.warning("proxy %s: %s; the connection is closed", stream.peer, what)
            raise ConnectionError(what) from None
        stream.give_back(octets[header.octets :])
        if header.client is not None:
            stream.peer = header.client

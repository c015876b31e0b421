"""What an IP address tells about who is at the other end, which is little: no trust follows."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache


@lru_cache(maxsize=10_000)
def network_of(peer: str) -> str:
    """What counts as one address: of IPv6 the /64, which one customer has."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:  # a connection without an address
        return peer
    if address.version == 4:
        return peer
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


@lru_cache(maxsize=10_000)
def is_own(peer: str) -> bool:
    """It is a program on this very machine (loopback)."""
    return _is(peer, lambda address: address.is_loopback)


@lru_cache(maxsize=10_000)
def is_near(peer: str) -> bool:
    """It is on this machine or on a private network. Behind a published port everybody seems to be
    there: the gateway of a container's network is a private address."""
    return _is(peer, lambda address: address.is_loopback or address.is_private)


@lru_cache(maxsize=10_000)
def is_public(peer: str) -> bool:
    """It is one on the Internet, and none of private networks, this machine or a link."""
    return _is(peer, lambda address: address.is_global and not address.is_multicast)


def is_in(peer: str, networks: tuple[Network, ...]) -> bool:
    """It is in one of these networks."""
    return bool(networks) and _is(peer, lambda address: any(address in one for one in networks))


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _is(peer: str, kind: Callable[[_Address], bool]) -> bool:
    try:
        return kind(ipaddress.ip_address(peer))
    except ValueError:
        return False

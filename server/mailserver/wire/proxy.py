"""The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): what a load balancer says
before a connection's first octet, so that the server behind it learns who the client is.

The header must be there, whole and right, before anything else is looked at; nothing is guessed.
"""

from __future__ import annotations

import ipaddress
import re
import struct

from mailserver.wire.value import value

LINE_LIMIT = 107
"""Octets of a header of version 1 with its CRLF (section 2.1)."""
BLOCK_LIMIT = 4096
"""Octets of a header of version 2. An address takes 36, the rest is for additions, which are
skipped."""

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_BLOCK = struct.Struct(">12sBBH")
_LINE = re.compile(rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) ([0-9]+) ([0-9]+)\r\n")
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")
_LOCAL, _PROXY = 0x20, 0x21
_OCTETS_OF = {0x11: 4, 0x21: 16}
"""Of an address, by family and transport: TCP over IPv4, TCP over IPv6."""


class ProxyFault(Exception):
    """The connection does not begin with a header that can be believed. Says what is wrong."""


@value(frozen=True, slots=True)
class ProxyHeader:
    """What was said."""

    client: str | None
    """The client's IP address; None: the balancer speaks for itself (its health check)."""
    octets: int
    """How many of the connection's octets the header was."""


def read_header(octets: bytes) -> ProxyHeader | None:
    """The header at the beginning of these octets; None: more are needed. Raises ProxyFault as soon
    as they can be no header."""
    if octets.startswith(_SIGNATURE[: len(octets)]):
        return _read_block(octets)
    if octets.startswith(b"PROXY "[: len(octets)]):
        return _read_line(octets)
    raise ProxyFault("no PROXY header at the beginning")


def _read_line(octets: bytes) -> ProxyHeader | None:
    """Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 25` and CRLF (section 2.1)."""
    end = octets.find(b"\n", 0, LINE_LIMIT) + 1
    if not end:
        if len(octets) >= LINE_LIMIT:
            raise ProxyFault(f"more than {LINE_LIMIT} octets in a line")
        return None
    line = octets[:end]
    if _UNKNOWN.fullmatch(line):
        return ProxyHeader(None, end)
    found = _LINE.fullmatch(line)
    if found is None:
        raise ProxyFault("not PROXY, TCP4, TCP6 or UNKNOWN, two addresses and two ports")
    family, source, destination, *ports = (part.decode("ascii") for part in found.groups())
    if any(int(port) > 65535 or str(int(port)) != port for port in ports):
        raise ProxyFault("a port is none")
    _address(destination, family)
    return ProxyHeader(_address(source, family), end)


def _address(text: str, family: str) -> str:
    try:
        found = ipaddress.IPv4Address(text) if family == "TCP4" else ipaddress.IPv6Address(text)
    except ValueError:
        raise ProxyFault(f"an address is none of {family}") from None
    return _plain(found)


def _read_block(octets: bytes) -> ProxyHeader | None:
    """Version 2: signature, version and command, family, length, addresses, additions (2.2)."""
    if len(octets) < _BLOCK.size:
        return None
    _, command, family, length = _BLOCK.unpack_from(octets)
    if command not in (_LOCAL, _PROXY):
        raise ProxyFault(f"version and command are {command:#04x}")
    end = _BLOCK.size + length
    if end > BLOCK_LIMIT:
        raise ProxyFault(f"more than {BLOCK_LIMIT} octets")
    if len(octets) < end:
        return None
    # 2.2: LOCAL's addresses are to be ignored, and an unspecified family tells none
    if command == _LOCAL or family == 0:
        return ProxyHeader(None, end)
    size = _OCTETS_OF.get(family)
    if size is None:
        raise ProxyFault(f"not TCP: family and transport are {family:#04x}")
    if length < 2 * size + 4:
        raise ProxyFault("too short for its addresses")
    source = ipaddress.ip_address(octets[_BLOCK.size : _BLOCK.size + size])
    return ProxyHeader(_plain(source), end)


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """As text; an IPv4 address in IPv6's clothes is the IPv4 address."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)

"""PROXY headers: whole, octet by octet, with something behind, and all that is none."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailserver.wire import proxy
from mailserver.wire.proxy import ProxyFault, ProxyHeader, read_header

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


def block(
    command: int = 0x21, family: int = 0x11, body: bytes = bytes((192, 0, 2, 7)) + bytes(8)
) -> bytes:
    return SIGNATURE + bytes((command, family)) + struct.pack(">H", len(body)) + body


SIX = ipaddress.IPv6Address("2001:db8::7").packed
MAPPED = ipaddress.IPv6Address("::ffff:192.0.2.7").packed

GOOD = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n", "192.0.2.7"),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"),
    (b"PROXY TCP6 2001:DB8::7 2001:db8::1 0 25\r\n", "2001:db8::7"),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 25\r\n", "192.0.2.7"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff:f... whatever 65535\r\n", None),
    (b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", None),
    (block(), "192.0.2.7"),
    (block(body=bytes((192, 0, 2, 7)) + bytes(8) + b"\x04\x00\x01x"), "192.0.2.7"),
    (block(family=0x21, body=SIX + bytes(20)), "2001:db8::7"),
    (block(family=0x21, body=MAPPED + bytes(20)), "192.0.2.7"),
    (block(command=0x20), None),
    (block(command=0x20, family=0, body=b""), None),
    (block(family=0, body=b"anything"), None),
    (block(body=bytes((192, 0, 2, 7)) + bytes(proxy.BLOCK_LIMIT - 20)), "192.0.2.7"),
]


@pytest.mark.parametrize(("octets", "client"), GOOD)
def test_a_good_header(octets: bytes, client: str | None) -> None:
    assert read_header(octets) == ProxyHeader(client, len(octets))
    assert read_header(octets + b"EHLO x\r\n") == ProxyHeader(client, len(octets))
    for cut in range(len(octets)):
        assert read_header(octets[:cut]) is None


BAD = [
    b"EHLO x\r\n",
    b"\x16\x03\x01",
    b"\r\n\r\n\r\n",
    b"proxy TCP4 192.0.2.7 198.51.100.1 56324 25\r\n",
    b"PROXY  TCP4 192.0.2.7 198.51.100.1 56324 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25 \r\n",
    b"PROXY TCP4 192.0.2.7  198.51.100.1 56324 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 056324 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 25\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.1 56324 25\r\n",
    b"PROXY TCP4 192.0.2.07 198.51.100.1 56324 25\r\n",
    b"PROXY TCP4 192.0.2.7 x 56324 25\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 56324 25\r\n",
    b"PROXY TCP6 192.0.2.7 198.51.100.1 56324 25\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 56324 25\r\n",
    b"PROXY TCP5 192.0.2.7 198.51.100.1 56324 25\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    b"PROXY TCP4 " + b"1" * 200,
    block(command=0x11),
    block(command=0x22),
    block(family=0x12),
    block(family=0x31, body=bytes(216)),
    block(family=0x10),
    block(body=bytes(11)),
    block(family=0x21, body=bytes(35)),
    block(body=bytes(proxy.BLOCK_LIMIT - 15)),
    SIGNATURE[:-1] + b"\r",
]


@pytest.mark.parametrize("octets", BAD)
def test_a_bad_header(octets: bytes) -> None:
    with pytest.raises(ProxyFault):
        read_header(octets)


def test_no_header_is_waited_for_beyond_its_limit() -> None:
    assert read_header(b"PROXY " + b"x" * (proxy.LINE_LIMIT - 7)) is None
    with pytest.raises(ProxyFault):
        read_header(b"PROXY " + b"x" * (proxy.LINE_LIMIT - 6))


starts = st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11"])


@given(starts, st.binary(max_size=200))
@example(b"PROXY TCP4 ", b"1.1.1.1 1.1.1.1 " + b"9" * 80 + b" 1\r\n")
def test_any_octets(start: bytes, octets: bytes) -> None:
    try:
        found = read_header(start + octets)
    except ProxyFault:
        return
    if found and found.client is not None:
        assert str(ipaddress.ip_address(found.client)) == found.client

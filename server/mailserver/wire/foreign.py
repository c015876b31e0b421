"""How a peer that speaks another protocol is recognised by its first octets.

Going on with it would let a browser be used to talk to the server (the ALPACA attacks).
"""

from __future__ import annotations

TLS_HANDSHAKE = 0x16
"""The first octet of a TLS hello (RFC 8446 5.1)."""

HTTP_WORDS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI", "Host:")
)
"""With which a line of an HTTP request begins (RFC 9110 9.1)."""

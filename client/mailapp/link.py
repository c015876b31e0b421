"""How a server is reached safely: TLS, whose certificate is believed, when a password may be said.

| certificate | private network | public address |
|---|---|---|
| signed by an authority of the system, or of `ca_file` | yes | yes |
| known by its fingerprint | yes | yes |
| nobody vouches for it, first contact | yes, and remembered | UnknownCertificate: ask the person |
| another than the one that was remembered | CertificateChanged | CertificateChanged |

A server that once offered TLS and now does not is refused (RFC 7817, RFC 8314 3): somebody between
may have taken the offer out. A password goes in the clear to a private network only.
"""

from __future__ import annotations

import hashlib
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import field, replace
from enum import StrEnum
from typing import TypeVar

from mailapp.network import Unreachable, reason
from mailapp.state import State
from mailapp.trace import Trace, Watch, nobody
from mailapp.value import value

T = TypeVar("T")
CONNECT_SECONDS = 30.0
REPLY_SECONDS = 60.0


class Tls(StrEnum):
    """When the connection is encrypted."""

    AUTO = "auto"  # when the server offers it; from then on always
    REQUIRE = "require"
    OFF = "off"
    IMPLICIT = "implicit"  # from the first octet (RFC 8314 3)


@value(frozen=True)
class Link:
    """What is the same for every connection of a run."""

    tls: Tls = Tls.AUTO
    ca_file: str = ""
    may_show_password: bool = False  # in the clear, to a public address
    trusts_first: bool = False  # whatever certificate comes first is remembered
    state: State = field(default_factory=State)
    watch: Watch = nobody
    connect_seconds: float = CONNECT_SECONDS
    reply_seconds: float = REPLY_SECONDS


class Unsafe(Unreachable):
    """There is a server, but it would not be safe to talk to it."""

    verb = "will not talk to"


class UnknownCertificate(Unsafe):
    """Nobody vouches for the certificate. `actions.fingerprint` has a look at it."""

    def __init__(self, trace: Trace, host: str, port: int, why: str, is_private: bool) -> None:
        super().__init__(trace.protocol, host, port, f"nobody vouches for its certificate ({why})")
        self.is_private = is_private


class CertificateChanged(Unsafe):
    """It is not the one that was trusted."""


class NoTls(Unsafe):
    """Encryption is wanted, and not offered, or not any more."""


class ClearPassword(Unsafe):
    """The password would go over a public network for everybody to read."""


def first_use(link: Link, connect: Callable[[Link], T]) -> T:
    """Connect; on a private network a certificate that is met first is remembered (as ssh can)."""
    try:
        return connect(link)
    except UnknownCertificate as unknown:
        if not unknown.is_private or link.ca_file:
            raise
        return connect(replace(link, trusts_first=True))


def encrypt(plain: socket.socket, trace: Trace, host: str, port: int, link: Link) -> ssl.SSLSocket:
    """The TLS handshake on a connected socket. Raises Unsafe; the socket is closed then."""
    pinned = link.state.fingerprint(host, port)
    is_private = is_on_private_network(plain)
    try:
        context = _context(link.ca_file, is_verified=not (pinned or link.trusts_first))
        secured = context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise UnknownCertificate(trace, host, port, error.verify_message, is_private) from error
    except (OSError, ValueError) as error:
        plain.close()
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise Unsafe(trace.protocol, host, port, f"TLS could not be agreed on: {why}") from error
    found = _fingerprint(secured)
    trace.note(f"{secured.version()}, {(secured.cipher() or ('',))[0]}, certificate {found}")
    if pinned and found != pinned:
        secured.close()
        words = f"its certificate is {found}, and was {pinned}; if that is right: --trust {found}"
        raise CertificateChanged(trace.protocol, host, port, words)
    if link.trusts_first and not pinned:
        link.state.trust(host, port, found)
    link.state.remember_tls(host, port)
    return secured


def wants_tls(link: Link, is_offered: bool, trace: Trace, host: str, port: int) -> bool:
    """Whether to ask for it now, in a connection that began in the clear. Raises NoTls."""
    if link.tls in {Tls.OFF, Tls.IMPLICIT}:
        return False
    if not is_offered and link.tls is Tls.REQUIRE:
        raise NoTls(trace.protocol, host, port, "it offers no TLS, and --tls require is set")
    if not is_offered and link.state.offered_tls(host, port):
        words = "it offered TLS before and does not now: somebody may be in between; --tls off"
        raise NoTls(trace.protocol, host, port, f"{words} is for those who know better")
    return is_offered


def check_password_is_safe(
    connection: socket.socket, trace: Trace, host: str, port: int, link: Link
) -> None:
    """Raises ClearPassword where everybody on the way could read it."""
    if isinstance(connection, ssl.SSLSocket) or link.may_show_password:
        return
    if not is_on_private_network(connection):
        words = "the password would cross a public network in the clear; --tls require, or, if"
        raise ClearPassword(trace.protocol, host, port, f"{words} you must, --insecure-auth")


def is_on_private_network(connection: socket.socket) -> bool:
    """Whether the other end is on this machine or on a network of its own (RFC 1918, 4193)."""
    try:
        peer = connection.getpeername()
        address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    except (OSError, ValueError, IndexError):
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_private or address.is_loopback or address.is_link_local


def _context(ca_file: str, is_verified: bool) -> ssl.SSLContext:
    if is_verified:
        context = ssl.create_default_context()
    else:  # the fingerprint decides; reading the authorities takes as long as the handshake
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if ca_file:
        context.load_verify_locations(ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _fingerprint(connection: ssl.SSLSocket) -> str:
    certificate = connection.getpeercert(binary_form=True) or b""
    return hashlib.sha256(certificate).digest().hex(":").upper()


def shown_fingerprint(text: str) -> str:
    """`AB:CD:…` of any way to write a SHA-256 in hexadecimal. Raises ValueError."""
    digest = bytes.fromhex(text.lower().removeprefix("sha256:").replace(":", ""))
    if len(digest) != hashlib.sha256().digest_size:
        raise ValueError("a SHA-256 fingerprint has 64 hexadecimal digits")
    return digest.hex(":").upper()

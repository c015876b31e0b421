"""TLS as a value: octets in, octets out, no socket. And the certificate behind it.

OpenSSL by way of pyOpenSSL and not of the standard library, which cannot export the keying material
that binds SCRAM to the connection (RFC 9266); see docs/adr/0007-tls-by-pyopenssl.md.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from OpenSSL import SSL

from mailserver.wire.value import value

log = logging.getLogger(__name__)

_PIECE = 64 * 1024
# TLS 1.2: forward secrecy and authenticated encryption only. TLS 1.3 has nothing else.
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"

# Of TLS 1.2, as OpenSSL calls them; those of TLS 1.3 have no other name.
_SUITES = {
    f"ECDHE-{key}-{cipher}": f"TLS_ECDHE_{key}_WITH_{suite}"
    for key in ("ECDSA", "RSA")
    for cipher, suite in (
        ("AES128-GCM-SHA256", "AES_128_GCM_SHA256"),
        ("AES256-GCM-SHA384", "AES_256_GCM_SHA384"),
        ("CHACHA20-POLY1305", "CHACHA20_POLY1305_SHA256"),
    )
}

_Version = tuple[tuple[int, int, int], ...]


class TlsFailed(Exception):
    """What came is not TLS, or not a TLS that is spoken here. Says what."""


class CertificateUnusable(Exception):
    """There is no TLS with these files. Says which and why."""


@value(frozen=True, slots=True)
class Encryption:
    """What protects a connection."""

    version: str
    cipher: str
    """The suite, by the name that IANA has for it."""
    bindings: dict[str, bytes] = field(default_factory=dict, repr=False)
    """Channel bindings by their names, for SCRAM-SHA-256-PLUS; of TLS 1.3 only."""
    chain: tuple[x509.Certificate, ...] = field(default=(), repr=False)
    """The peer's certificate and what it sent with it; of servers only."""


class TlsParty(Protocol):
    """Who we are in TLS: a server, or a client of one."""

    def layer(self) -> TlsLayer:
        """For a new connection; what it has to say first waits in it."""


class TlsLayer:
    """One side of one connection. Ciphertext waits in `data_to_send` after each call."""

    def __init__(self, connection: SSL.Connection, end_point: bytes = b"") -> None:
        """`connection`: with a BIO, and told which side it is."""
        self._connection = connection
        self._end_point = end_point
        self.established = False
        self.ended = False
        """The peer sends no more."""

    def receive(self, ciphertext: bytes) -> bytes:
        """What the peer sent, deciphered, perhaps nothing yet; raises TlsFailed."""
        try:
            self._connection.bio_write(ciphertext)
            if not self.established:
                self._connection.do_handshake()
                self.established = True
            return b"".join(self._deciphered())
        except SSL.WantReadError:
            return b""
        except (SSL.Error, TlsFailed) as error:
            self.established = False
            raise TlsFailed(reason(error)) from None

    def begin(self) -> None:
        """Speak first, as clients do."""
        with suppress(SSL.WantReadError):
            self._connection.do_handshake()

    def _deciphered(self) -> Iterator[bytes]:
        try:
            while True:
                yield self._connection.recv(_PIECE)
        except SSL.WantReadError:
            return
        except SSL.ZeroReturnError:
            self.ended = True

    def send(self, octets: bytes) -> None:
        """For the peer; nothing is sent before the handshake or after a failure."""
        if octets and self.established:
            self._connection.sendall(octets)

    def close(self) -> None:
        """Say that nothing more comes (close_notify), so that nobody can cut off the end unseen."""
        if self.established:
            self._connection.shutdown()

    def data_to_send(self) -> bytes:
        """Ciphertext for the peer; empties the output."""
        pieces: list[bytes] = []
        try:
            while not pieces or len(pieces[-1]) == _PIECE:
                pieces.append(self._connection.bio_read(_PIECE))
        except SSL.WantReadError:
            pass
        return b"".join(pieces)

    def encryption(self) -> Encryption:
        """Of an established connection."""
        version = self._connection.get_protocol_version_name()
        bindings = {}
        if version == "TLSv1.3":
            export = self._connection.export_keying_material
            bindings["tls-exporter"] = export(b"EXPORTER-Channel-Binding", 32, b"")  # RFC 9266 2
            if self._end_point:
                bindings["tls-server-end-point"] = self._end_point
        chain = self._connection.get_peer_cert_chain(as_cryptography=True) or ()
        cipher = self._connection.get_cipher_name() or "TLS"
        return Encryption(version, _SUITES.get(cipher, cipher), bindings, tuple(chain))


class ServerTls:
    """Makes the layers. A certificate file that changes is taken up with the next connection."""

    def __init__(self, certificate: Path, key: Path, protocols: Sequence[bytes] = ()) -> None:
        """PEM files, the chain in the first one; raises CertificateUnusable. `protocols`: by which
        names a client may ask for what is spoken inside (ALPN); none: it is not asked."""
        self._certificate = certificate
        self._key = key
        self._protocols = protocols
        try:
            self._version = self._look()
            self._load()
        except OSError as error:
            raise CertificateUnusable(f"{error.filename}: {error.strerror}") from None

    def layer(self) -> TlsLayer:
        """For a new connection."""
        self._reload_if_changed()
        connection = SSL.Connection(self._context, None)
        connection.set_accept_state()
        return TlsLayer(connection, self._end_point)

    def _reload_if_changed(self) -> None:
        try:
            version = self._look()
            if version == self._version:
                return
            self._version = version
            self._load()
        except OSError as error:
            if self._version:  # say it once
                log.error("%s: %s; the certificate stays", error.filename, error.strerror)
                self._version = ()
        except CertificateUnusable as problem:
            log.error("%s; the certificate stays as it was", problem)

    def _look(self) -> _Version:
        found = (os.stat(path) for path in (self._certificate, self._key))
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)

    def _load(self) -> None:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(
            SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE
        )
        context.set_cipher_list(_CIPHERS)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # 28 KiB less for a quiet connection
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # tickets need no memory
        if self._protocols:
            context.set_alpn_select_callback(self._choose_protocol)
        try:
            certificate = x509.load_pem_x509_certificate(self._certificate.read_bytes())
            key = serialization.load_pem_private_key(self._key.read_bytes(), password=None)
            context.use_certificate_chain_file(os.fspath(self._certificate))
            context.use_privatekey(key)  # type: ignore[arg-type] # refuses what does not fit
        except (ValueError, TypeError, SSL.Error) as error:
            what = f"{self._certificate} with key {self._key}"
            raise CertificateUnusable(f"{what}: {reason(error)}") from None
        self._context = context
        self._end_point = _end_point(certificate)
        log.info(
            "certificate %s, until %s, SHA-256 fingerprint %s",
            self._certificate,
            certificate.not_valid_after_utc.date(),
            certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
        )

    def _choose_protocol(self, _: SSL.Connection, offered: list[bytes]) -> bytes:
        """RFC 7301 3.2: the alert no_application_protocol for whoever wants only others, as a
        browser does that was led here (ALPACA). Who wants none in particular is not asked."""
        for name in offered:
            if name in self._protocols:
                return name
        raise TlsFailed("no protocol that is spoken here (ALPN)")


def _end_point(certificate: x509.Certificate) -> bytes:
    """tls-server-end-point (RFC 5929 4.1): the certificate's hash, by the hash of its signature."""
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:
        return b""
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
    return hashlib.new(name, certificate.public_bytes(serialization.Encoding.DER)).digest()


def reason(error: Exception) -> str:
    """OpenSSL's own words, of its list of (library, function, reason)."""
    first = error.args[0] if error.args else ""
    if isinstance(first, list):
        return ", ".join(entry[-1] for entry in first) or "failed"
    return str(first) or type(error).__name__

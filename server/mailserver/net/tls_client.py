"""The client's side of TLS: towards the next server."""

from __future__ import annotations

import ipaddress
import logging
import ssl
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.x509 import verification
from OpenSSL import SSL

from mailserver.net.tls import CertificateUnusable, Encryption, TlsLayer

log = logging.getLogger(__name__)


class ClientTls:
    """What all connections to other servers share.

    No certificate is refused in the handshake: most mail servers have none that could be checked,
    and TLS with anybody is better than none (RFC 7435). Whoever has to know asks `verifies`."""

    def __init__(self, roots: Path | None = None) -> None:
        """`roots`: a PEM file with the certificates that are believed; None: the system's."""
        self._roots = roots
        self._context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        self._context.set_min_proto_version(SSL.TLS1_2_VERSION)
        self._context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
        self._context.set_verify(SSL.VERIFY_NONE)

    def to(self, host: str) -> TlsToHost:
        """For a connection to this host."""
        return TlsToHost(self._context, host)

    def verifies(self, encryption: Encryption, host: str) -> bool:
        """The certificate is for this host name or IP address, valid now, and leads to a root."""
        if not encryption.chain or self._store is None:
            return False
        leaf, *others = encryption.chain
        builder = verification.PolicyBuilder().store(self._store).time(datetime.now(UTC))
        try:
            builder.build_server_verifier(_subject(host)).verify(leaf, others)
        except (verification.VerificationError, ValueError) as problem:
            log.info("the certificate of %s is not believed: %s", host, problem)
            return False
        return True

    @cached_property
    def _store(self) -> verification.Store | None:
        path = self._roots or ssl.get_default_verify_paths().cafile
        try:
            return verification.Store(
                x509.load_pem_x509_certificates(Path(path or "").read_bytes())
            )
        except (OSError, ValueError) as error:
            if self._roots is not None:
                raise CertificateUnusable(f"{path}: {error}") from None
            log.warning("no certificate can be checked: %s: %s", path, error)
            return None

    def check(self) -> None:
        """Raises CertificateUnusable for a file of roots that is none."""
        if self._roots is not None:
            self._store  # noqa: B018 # it is read once


class TlsToHost:
    """See `tls.TlsParty`."""

    def __init__(self, context: SSL.Context, host: str) -> None:
        self._context = context
        self._host = host

    def layer(self) -> TlsLayer:
        """Its hello waits to be sent."""
        connection = SSL.Connection(self._context, None)
        connection.set_connect_state()
        if not _is_address(self._host):
            connection.set_tlsext_host_name(self._host.encode("ascii"))  # RFC 6066 3
        layer = TlsLayer(connection)
        layer.begin()
        return layer


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host.startswith("[")
    return True


def _subject(host: str) -> verification.Subject:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host)

"""The client's side of TLS: towards the next server."""

from __future__ import annotations

import ipaddress
import logging
import ssl
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import verification
from cryptography.x509.verification import Criticality, ExtensionPolicy
from OpenSSL import SSL

from mailserver.net.tls import CertificateUnusable, Encryption, TlsLayer
from mailserver.relay.dane import LEAF, Tlsa
from mailserver.relay.tls_demand import Demand, Encrypted, Opportunistic, Pinned, Valid

log = logging.getLogger(__name__)


class ClientTls:
    """What all connections to other servers share.

    No certificate is refused in the handshake: most mail servers have none that could be checked,
    and TLS with anybody is better than none (RFC 7435). Whoever has to know asks `satisfies`."""

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

    def satisfies(self, encryption: Encryption | None, demand: Demand) -> bool:
        """What is known of the connection is what is asked for."""
        chain = encryption.chain if encryption else ()
        match demand:
            case Valid(names):
                store = self._store
                return bool(chain) and store is not None and _leads_to(store, chain, names)
            case Pinned(records, names):
                return bool(chain) and any(_is_meant(one, chain, names) for one in records)
            case Encrypted():
                return encryption is not None
            case Opportunistic():
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


def _leads_to(
    store: verification.Store,
    chain: tuple[x509.Certificate, ...],
    names: Iterable[str],
    authorities: ExtensionPolicy | None = None,
) -> bool:
    """The first certificate is for one of the names, valid now, and leads to one in the store."""
    leaf, *others = chain
    builder = verification.PolicyBuilder().store(store).time(datetime.now(UTC))
    if authorities is not None:
        servers = ExtensionPolicy.webpki_defaults_ee()
        builder = builder.extension_policies(ca_policy=authorities, ee_policy=servers)
    for name in names:
        try:
            builder.build_server_verifier(_subject(name)).verify(leaf, others)
        except (verification.VerificationError, ValueError) as problem:
            log.info("the certificate of %s is not believed: %s", name, problem)
        else:
            return True
    return False


def _is_meant(record: Tlsa, chain: tuple[x509.Certificate, ...], names: Iterable[str]) -> bool:
    """RFC 7672 3.1.1: a record of usage 3 is about the certificate, whatever names and dates are in
    it. 3.1.2: one of usage 2 is about an authority above it, which the server sends, or the record
    itself carries."""
    if record.usage == LEAF:
        return record.means(*_octets(chain[0]))
    above = list(chain[1:])
    if record.whole_certificate:
        with suppress(ValueError):
            above.append(x509.load_der_x509_certificate(record.whole_certificate))
    anchors = [one for one in above if record.means(*_octets(one))]
    return bool(anchors) and _leads_to(verification.Store(anchors), chain, names, _authorities())


def _octets(certificate: x509.Certificate) -> tuple[bytes, bytes]:
    public_key = certificate.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    return certificate.public_bytes(Encoding.DER), public_key


def _authorities() -> ExtensionPolicy:
    """A domain's own authority may lack what browsers ask of public ones, and has to be one."""
    return ExtensionPolicy.permit_all().require_present(
        x509.BasicConstraints, Criticality.AGNOSTIC, None
    )


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

"""Certificates for tests: an authority, and what it signs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

_USAGES = "digital_signature content_commitment key_encipherment data_encipherment key_agreement"
_USAGES += " key_cert_sign crl_sign encipher_only decipher_only"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """A root of its own."""

    def __init__(
        self,
        name: str = "test root",
        key: ec.EllipticCurvePrivateKey | None = None,
        *,
        plain: bool = False,
    ) -> None:
        """`plain`: it says of itself that it is an authority, and nothing else."""
        self._name = name
        self._key = key or ec.generate_private_key(ec.SECP256R1())
        self._id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        usage = {name: name in ("key_cert_sign", "crl_sign") for name in _USAGES.split()}
        builder = self._builder(self._key, self._name, timedelta(days=1)).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        if not plain:
            builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
            builder = builder.add_extension(self._id, critical=False)
        self.certificate = builder.sign(self._key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self, *names: str, lifetime: timedelta = timedelta(days=1), says_no: bool = False
    ) -> Issued:
        """For these host names and IP addresses. `says_no`: it says that it is no authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
        by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._id)
        builder = (
            self._builder(key, names[0], lifetime)
            .add_extension(alternatives, critical=False)
            .add_extension(by, critical=False)
        )
        if says_no:
            no = x509.BasicConstraints(ca=False, path_length=None)
            builder = builder.add_extension(no, critical=True)
        return Issued(builder.sign(self._key, hashes.SHA256()), key, self.pem)

    def _builder(
        self, key: ec.EllipticCurvePrivateKey, subject: str, lifetime: timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + lifetime)
        )


class Issued:
    """A certificate with its key, and its authority's."""

    def __init__(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, authority: bytes
    ) -> None:
        self.certificate = certificate
        self.key = key
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.pem = certificate.public_bytes(Encoding.PEM) + private
        self._authority = authority

    def write(self, path: Path) -> Path:
        """All of it, as servers want it."""
        path.write_bytes(self.pem + self._authority)
        return path


def der(certificate: x509.Certificate) -> bytes:
    """All of it."""
    return certificate.public_bytes(Encoding.DER)


def public_key(certificate: x509.Certificate) -> bytes:
    """Its SubjectPublicKeyInfo, DER."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)

"""A certificate of one's own, made at the first start, so that there is TLS from the beginning."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailserver import durable

CERTIFICATE, KEY = "certificate.pem", "key.pem"

_LIFETIME = timedelta(days=3650)  # those who trust it have written down its fingerprint


def certificate_in(folder: Path, domains: Sequence[str], now: datetime) -> tuple[Path, Path]:
    """Certificate and key in this folder, made for these domains if they are missing. Both servers
    may ask at once: they end up with the same. Raises OSError."""
    parent = durable.open_folder(os.fspath(folder.parent), create=True)
    try:
        inside = durable.open_folder(folder.name, parent, create=True)
    finally:
        os.close(parent)
    certificate, key = folder / CERTIFICATE, folder / KEY
    try:
        if not key.exists():
            durable.create_once(KEY, inside, [_new_key()])
        if not certificate.exists():
            signer = serialization.load_pem_private_key(key.read_bytes(), password=None)
            assert isinstance(signer, ec.EllipticCurvePrivateKey), f"{key} is not of our making"
            durable.create_once(CERTIFICATE, inside, [_certificate(signer, domains, now)])
    finally:
        os.close(inside)
    return certificate, key


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _certificate(key: ec.EllipticCurvePrivateKey, domains: Sequence[str], now: datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domains[0][:64])])
    names = [x509.DNSName(domain) for domain in dict.fromkeys((*domains, "localhost"))]
    public = key.public_key()
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks differ
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )

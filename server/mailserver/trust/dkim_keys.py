"""The private keys in a data folder: `.mailserver/dkim/<domain>/<selector>.pem`, 0600."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from mailserver import durable
from mailserver.trust.dkim_sign import PrivateKey, SigningKey

FOLDER = "dkim"
KINDS = ("rsa", "ed25519")
RSA_BITS = 2048
"""RFC 8301 3.2; a longer key has no room in one string of a TXT record, and little use."""
_SUFFIX = ".pem"
_KEY_OCTETS = 64 * 1024


class KeysUnusable(Exception):
    """A key that is missing or broken; says which file, and what to do."""


def new_key(kind: str) -> PrivateKey:
    """Of one of `KINDS`."""
    if kind == "ed25519":
        return Ed25519PrivateKey.generate()
    return generate_private_key(65537, RSA_BITS)


def store_key(data: Path, key: SigningKey) -> Path:
    """Keep a key, durably; returns where. Raises KeysUnusable when there is one of that name, and
    OSError."""
    path = key_file(data, key.domain, key.selector)
    if path.exists():
        raise KeysUnusable(f"{path} is there already; take another selector")
    pem = key.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    folders = [durable.open_folder(os.fspath(data))]
    try:
        for name in (durable.OWN_FOLDER, FOLDER, key.domain):
            folders.append(durable.open_folder(name, folders[-1], create=True))
        durable.create_once(path.name, folders[-1], [pem])
    finally:
        for fd in folders:
            os.close(fd)
    return path


def stored_keys(data: Path) -> list[tuple[str, str]]:
    """Domain and selector of each key that is kept, sorted. Raises OSError."""
    found = (data / durable.OWN_FOLDER / FOLDER).glob(f"*/*{_SUFFIX}")
    return sorted((path.parent.name, path.stem) for path in found)


def load_keys(
    data: Path, domains: Iterable[str], selectors: Iterable[str]
) -> tuple[SigningKey, ...]:
    """The keys of these domains and selectors. Not every domain needs each selector, but a selector
    that no domain has is a fault. Raises KeysUnusable."""
    domains = tuple(domains)
    keys: list[SigningKey] = []
    for selector in selectors:
        having = [domain for domain in domains if key_file(data, domain, selector).exists()]
        if not having:
            where = key_file(data, domains[0], selector)
            raise KeysUnusable(
                f"{where} is not there; make it with "
                f"`mailadmin --data {data} dkim new {domains[0]} --selector {selector}`"
            )
        keys += [load_key(data, domain, selector) for domain in having]
    return tuple(keys)


def load_key(data: Path, domain: str, selector: str) -> SigningKey:
    """One that is kept. Raises KeysUnusable."""
    path = key_file(data, domain, selector)
    try:
        with path.open("rb") as file:
            private = serialization.load_pem_private_key(file.read(_KEY_OCTETS), password=None)
    except OSError as error:
        raise KeysUnusable(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeysUnusable(f"{path} is no private key in PEM without a password") from None
    if not isinstance(private, RSAPrivateKey | Ed25519PrivateKey):
        raise KeysUnusable(f"{path} is neither an RSA nor an Ed25519 key")
    return SigningKey(domain, selector, private)


def key_file(data: Path, domain: str, selector: str) -> Path:
    """Where a key is kept."""
    return data / durable.OWN_FOLDER / FOLDER / domain / (selector + _SUFFIX)

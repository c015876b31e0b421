"""Signatures and keys of DKIM as values (RFC 6376 3.5, 3.6.1; RFC 8301; RFC 8463)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from mailserver.trust.canonical import Field
from mailserver.trust.dns import is_askable
from mailserver.trust.tags import TagFault, read_tags, without_space
from mailserver.wire.idn import ascii_form

LEAST_BITS, MOST_BITS = 1024, 8192
"""Of an RSA key (RFC 8301 3.2)."""
_NUMBER = re.compile(r"[0-9]{1,15}")
_PREHASHED = utils.Prehashed(hashes.SHA256())
_FORMS = {"simple", "relaxed"}
_KEY_TYPES = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}


class SignatureFault(ValueError):
    """A signature that can't be used; says why."""


class KeyFault(ValueError):
    """A key that can't be used; says why."""


class WeakKey(KeyFault):
    """A key that can be used, but by rule is not."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One DKIM-Signature field."""

    field: Field
    algorithm: str
    value: bytes
    body_hash: bytes
    header_form: str
    body_form: str
    domain: str
    """In the form of the DNS."""
    selector: str
    identity: str
    """The domain of i=."""
    names: tuple[bytes, ...]
    """Of the fields that are signed."""
    length: int | None
    made: int | None
    expires: int | None
    """Seconds since 1970."""

    @property
    def key_name(self) -> str:
        """Where the key is (3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def key_type(self) -> str:
        """As k= has it."""
        return _KEY_TYPES[self.algorithm]


@dataclass(frozen=True, slots=True)
class Key:
    """A public key from the DNS."""

    public: RSAPublicKey | Ed25519PublicKey
    strict: bool
    """t=s: i= has the very domain of d=."""
    testing: bool
    """t=y"""

    @property
    def type(self) -> str:
        """As k= has it."""
        return "ed25519" if isinstance(self.public, Ed25519PublicKey) else "rsa"

    def verifies(self, value: bytes, digest: bytes) -> bool:
        """The value is a signature of what has this SHA-256 digest."""
        try:
            if isinstance(self.public, Ed25519PublicKey):
                self.public.verify(value, digest)  # RFC 8463 3: of the digest
            else:
                self.public.verify(value, digest, padding.PKCS1v15(), _PREHASHED)
        except InvalidSignature:
            return False
        return True


def read_signature(field: Field, *, needs_version: bool = True) -> Signature:
    """Raises SignatureFault. `needs_version`: v=1 has to stand there."""
    try:
        tags = read_tags(field.value.decode("utf-8"))
    except (TagFault, UnicodeDecodeError) as fault:
        raise SignatureFault(str(fault)) from None
    for tag in ("a", "b", "bh", "d", "h", "s"):
        if not tags.get(tag):
            raise SignatureFault(f"{tag}= is missing")
    if needs_version and tags.get("v") != "1":
        raise SignatureFault("v= is not 1")
    algorithm = tags["a"].lower()
    if algorithm not in _KEY_TYPES:
        raise SignatureFault(f"algorithm {algorithm[:20]!a}")
    if "dns/txt" not in without_space(tags.get("q", "dns/txt")).lower().split(":"):
        raise SignatureFault("q= has no dns/txt")
    header_form, _, body_form = without_space(tags.get("c", "simple")).lower().partition("/")
    body_form = body_form or "simple"
    if not {header_form, body_form} <= _FORMS:
        raise SignatureFault("c= names no form")
    names = tuple(without_space(tags["h"]).lower().encode().split(b":"))
    if b"from" not in names:
        raise SignatureFault("From is not signed")
    domain, selector = _name(tags["d"]), _name(tags["s"])
    identity = _name(tags.get("i", "@" + tags["d"]).rpartition("@")[2])
    if identity != domain and not identity.endswith(f".{domain}"):
        raise SignatureFault("i= is outside of d=")
    made, expires, length = (_number(tags, tag) for tag in ("t", "x", "l"))
    if made is not None and expires is not None and expires < made:
        raise SignatureFault("x= is before t=")
    return Signature(
        field,
        algorithm,
        _base64(tags["b"], "b"),
        _base64(tags["bh"], "bh"),
        header_form,
        body_form,
        domain,
        selector,
        identity,
        names,
        length,
        made,
        expires,
    )


def read_key(text: bytes) -> Key:
    """Of a TXT record (3.6.1). Raises KeyFault."""
    try:
        tags = read_tags(text.decode("utf-8"))
    except (TagFault, UnicodeDecodeError) as fault:
        raise KeyFault(str(fault)) from None
    if tags.get("v", "DKIM1") != "DKIM1":
        raise KeyFault("v= is not DKIM1")
    if "p" not in tags:
        raise KeyFault("p= is missing")
    if not tags["p"]:
        raise KeyFault("the key is revoked")
    if "sha256" not in without_space(tags.get("h", "sha256")).split(":"):
        raise KeyFault("h= does not allow SHA-256")
    if not {"*", "email"} & set(without_space(tags.get("s", "*")).split(":")):
        raise KeyFault("s= does not allow mail")
    flags = without_space(tags.get("t", "")).split(":")
    try:
        octets = _base64(tags["p"], "p")
    except SignatureFault as fault:
        raise KeyFault(str(fault)) from None
    return Key(_public_key(tags.get("k", "rsa").lower(), octets), "s" in flags, "y" in flags)


def _public_key(kind: str, octets: bytes) -> RSAPublicKey | Ed25519PublicKey:
    try:
        if kind == "ed25519":
            return Ed25519PublicKey.from_public_bytes(octets)
        if kind != "rsa":
            raise KeyFault(f"k= is {kind[:20]!a}")
        public = serialization.load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm) as fault:
        if isinstance(fault, KeyFault):
            raise
        raise KeyFault("p= is no key") from None
    if not isinstance(public, RSAPublicKey):
        raise KeyFault("p= is no RSA key")
    if not LEAST_BITS <= public.key_size <= MOST_BITS:
        raise WeakKey(f"RSA of {public.key_size} bits")
    return public


def _number(tags: dict[str, str], tag: str) -> int | None:
    text = tags.get(tag)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise SignatureFault(f"{tag}= is no number")
    return int(text)


def _base64(text: str, tag: str) -> bytes:
    try:
        return base64.b64decode(without_space(text), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureFault(f"{tag}= is not base64") from None


def _name(text: str) -> str:
    try:
        name = ascii_form(text)
    except ValueError:
        name = ""
    if not name or not is_askable(name) or not name.isprintable() or " " in name:
        raise SignatureFault(f"{text[:40]!a} is no domain name")
    return name

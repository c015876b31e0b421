"""Signatures and keys of DKIM as values (RFC 6376 3.5, 3.6.1; RFC 8301; RFC 8463)."""

from __future__ import annotations

import base64
import binascii
import re

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from mailserver.trust.canonical import Field
from mailserver.trust.dns import is_askable
from mailserver.trust.tags import TagFault, read_tags, without_space
from mailserver.wire.idn import ascii_form
from mailserver.wire.value import value

LEAST_BITS, MOST_BITS = 1024, 8192
"""Of an RSA key (RFC 8301 3.2)."""
_NUMBER = re.compile(r"[0-9]{1,15}")
_PREHASHED = utils.Prehashed(hashes.SHA256())
_FORMS = {"simple", "relaxed"}
_KEY_TYPES = {"rsa-sha256": RSAPublicKey, "ed25519-sha256": Ed25519PublicKey}


class SignatureFault(ValueError):
    """A signature that can't be used; says why."""


class KeyFault(ValueError):
    """A key that can't be used; says why."""


class WeakKey(KeyFault):
    """A key that can be used, but by rule is not."""


@value(frozen=True, slots=True)
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


@value(frozen=True, slots=True)
class Key:
    """A public key from the DNS."""

    public: RSAPublicKey | Ed25519PublicKey
    strict: bool
    """t=s: i= has the very domain of d=."""
    testing: bool
    """t=y"""

    def fits(self, algorithm: str) -> bool:
        """It is of the kind that a= wants."""
        return isinstance(self.public, _KEY_TYPES[algorithm])

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


def read_signature(field: Field, *, in_chain: bool = False) -> Signature:
    """Raises SignatureFault. `in_chain`: it is an ARC-Message-Signature, whose v= means nothing and
    whose i= is no identity (RFC 8617 4.1.2)."""
    tags = signature_tags(field, "bh", "h")
    if in_chain:
        tags["i"] = "@" + tags["d"]
    elif tags.get("v") != "1":
        raise SignatureFault("v= is not 1")
    if "dns/txt" not in without_space(tags.get("q", "dns/txt")).lower().split(":"):
        raise SignatureFault("q= has no dns/txt")
    header_form, _, body_form = without_space(tags.get("c", "simple")).lower().partition("/")
    body_form = body_form or "simple"
    if not {header_form, body_form} <= _FORMS:
        raise SignatureFault("c= names no form")
    names = tuple(without_space(tags["h"]).lower().encode().split(b":"))
    if b"from" not in names:
        raise SignatureFault("From is not signed")
    domain, selector = domain_name(tags["d"]), domain_name(tags["s"])
    identity = domain_name(tags.get("i", "@" + tags["d"]).rpartition("@")[2])
    if identity != domain and not identity.endswith(f".{domain}"):
        raise SignatureFault("i= is outside of d=")
    made, expires, length = (_number(tags, tag) for tag in ("t", "x", "l"))
    if made is not None and expires is not None and expires < made:
        raise SignatureFault("x= is before t=")
    return Signature(
        field,
        tags["a"],
        base64_of(tags, "b"),
        base64_of(tags, "bh"),
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


def signature_tags(field: Field, *needed: str) -> dict[str, str]:
    """The tags of whatever is signed as DKIM signs: a=, b=, d=, s= and those that are named have to
    be there; a= is one that can be verified. Raises SignatureFault."""
    try:
        tags = read_tags(field.value.decode("utf-8"))
    except (TagFault, UnicodeDecodeError) as fault:
        raise SignatureFault(str(fault)) from None
    for tag in ("a", "b", "d", "s", *needed):
        if not tags.get(tag):
            raise SignatureFault(f"{tag}= is missing")
    tags["a"] = tags["a"].lower()
    if tags["a"] not in _KEY_TYPES:
        raise SignatureFault(f"algorithm {tags['a'][:20]!a}")
    return tags


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
        octets = base64_of(tags, "p")
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


def base64_of(tags: dict[str, str], tag: str) -> bytes:
    """What a tag has in base64. Raises SignatureFault."""
    try:
        return base64.b64decode(without_space(tags[tag]), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureFault(f"{tag}= is not base64") from None


def domain_name(text: str) -> str:
    """In the form of the DNS. Raises SignatureFault."""
    try:
        name = ascii_form(text)
    except ValueError:
        name = ""
    if not name or not is_askable(name) or not name.isprintable() or " " in name:
        raise SignatureFault(f"{text[:40]!a} is no domain name")
    return name

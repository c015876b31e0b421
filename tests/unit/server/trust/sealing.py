"""A sealer of ARC chains, for tests: the server itself only verifies them. It is written from RFC
8617 5.1 and 5.1.1, and shares nothing but the keys with what it tests."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.unit.server.trust.zone import Data

from mailserver.trust.dkim_sign import PrivateKey, SigningKey

_KEYS: dict[str, SigningKey] = {}


def key_of(domain: str, private: PrivateKey | None = None) -> SigningKey:
    """The one with which it seals, always the same."""
    if domain not in _KEYS or private is not None:
        _KEYS[domain] = SigningKey(domain, "s1", private or Ed25519PrivateKey.generate())
    return _KEYS[domain]


def zone_of(*domains: str) -> Data:
    """Where the keys of these are found."""
    return {key_of(one).record_name: [{"TXT": key_of(one).record}] for one in domains}


def _relaxed(name: str, value: str) -> bytes:
    """RFC 6376 3.4.2, of one that is not folded and has single spaces."""
    return f"{name.lower()}:{value}\r\n".encode()


def seal(
    content: bytes,
    domain: str,
    found: str = "none",
    *,
    cv: str = "",
    names: str = "from:subject",
    more: str = "",
) -> bytes:
    """The message with a set more: what was `found`, a signature of fields (each there once) and
    body, and a seal with `more` tags in it."""
    key = key_of(domain)
    head, _, body = content.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    chain = [line for line in lines if line.startswith("ARC-")]
    number = len(chain) // 3 + 1
    results = f"i={number}; {domain}; {found}"
    body_hash = base64.b64encode(hashlib.sha256(body).digest()).decode()
    tags = f"a={key.algorithm}; d={domain}; s=s1;"
    signature = f"i={number}; {tags} c=relaxed/simple; h={names}; bh={body_hash}; b="
    signed = hashlib.sha256()
    for name in names.split(":"):
        for line in lines:
            if line.lower().startswith(f"{name}:"):
                signed.update(_relaxed(name, line.partition(": ")[2]))
    signed.update(_relaxed("ARC-Message-Signature", signature).removesuffix(b"\r\n"))
    signature += base64.b64encode(key.sign(signed.digest())).decode()
    seal = f"i={number}; {tags} cv={cv or ('pass' if chain else 'none')};{more} b="
    sealed = hashlib.sha256()
    for at in range(len(chain) - 3, -1, -3):  # the newest set stands on top, its seal first
        for line in reversed(chain[at : at + 3]):
            name, _, value = line.partition(": ")
            sealed.update(_relaxed(name, value))
    sealed.update(_relaxed("ARC-Authentication-Results", results))
    sealed.update(_relaxed("ARC-Message-Signature", signature))
    sealed.update(_relaxed("ARC-Seal", seal).removesuffix(b"\r\n"))
    seal += base64.b64encode(key.sign(sealed.digest())).decode()
    fields = f"ARC-Seal: {seal}\r\nARC-Message-Signature: {signature}\r\n"
    return (fields + f"ARC-Authentication-Results: {results}\r\n").encode() + content

"""Signing what leaves (RFC 6376 5, RFC 8463)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from mailserver.store.base import Body as StagedBody
from mailserver.trust.author import NoAuthor, author_domain
from mailserver.trust.canonical import (
    BodyHash,
    Field,
    behind_empty_line,
    fields_of,
    signed_octets,
)
from mailserver.trust.dkim import Body
from mailserver.wire.value import value

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

# Signed once more than they are there, so that nobody can add one (RFC 6376 5.4.2, 8.15).
_CLOSED = (
    b"From",
    b"To",
    b"Cc",
    b"Subject",
    b"Date",
    b"Message-ID",
    b"Reply-To",
    b"In-Reply-To",
    b"References",
    b"MIME-Version",
    b"Content-Type",
    b"Content-Transfer-Encoding",
)
_OPEN = (b"Sender", b"Resent-From", b"Resent-To", b"Resent-Date", b"List-Id", b"List-Unsubscribe")
_FORM = "relaxed"
_LINE = 72


@value(frozen=True, slots=True)
class SigningKey:
    """One that a domain signs with."""

    domain: str
    selector: str
    private: PrivateKey

    @property
    def algorithm(self) -> str:
        """As a= has it."""
        return "rsa-sha256" if isinstance(self.private, RSAPrivateKey) else "ed25519-sha256"

    @property
    def record_name(self) -> str:
        """Where the DNS has the public key."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """What it has there (RFC 6376 3.6.1, RFC 8463 4)."""
        public = self.private.public_key()
        if isinstance(self.private, RSAPrivateKey):
            kind = "rsa"
            octets = public.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        else:
            kind = "ed25519"
            octets = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return f"v=DKIM1; k={kind}; p={base64.b64encode(octets).decode()}"

    def sign(self, digest: bytes) -> bytes:
        """A signature of what has this SHA-256 digest."""
        if isinstance(self.private, RSAPrivateKey):
            prehashed = utils.Prehashed(hashes.SHA256())
            return self.private.sign(digest, padding.PKCS1v15(), prehashed)
        return self.private.sign(digest)


class Signing:
    """Signs messages in the name of those of our domains that they say they are from."""

    def __init__(self, keys: Sequence[SigningKey], clock: Callable[[], float]) -> None:
        self._keys = keys
        self._clock = clock

    def __call__(self, head: bytes, body: StagedBody) -> bytes:
        """The fields to stand above this head, LF line ends; none when From names no domain of ours
        or several. Takes long for a long body: call it in a thread. Raises OSError."""
        try:
            author = author_domain(fields_of(head)) if self._keys else ""
        except NoAuthor:
            return b""
        keys = [key for key in self._keys if key.domain == author]
        return signature_fields(keys, head, lambda: behind_empty_line(body.read()), self._clock())


def signature_fields(
    keys: Sequence[SigningKey], header_block: bytes, body: Body, now: float
) -> bytes:
    """A DKIM-Signature field a key, to stand before the header block; LF line ends, as the block
    has. Takes long for a long body: call it in a thread. Raises what `body` raises."""
    if not keys:
        return b""
    body_hash = BodyHash(hashlib.sha256(), _FORM)
    for chunk in body():
        body_hash.update(chunk)
    bh = base64.b64encode(body_hash.finish())
    fields = fields_of(header_block)
    names = _names(fields)
    return b"".join(_signature(key, fields, names, bh, int(now)) for key in keys)


def _names(fields: Sequence[Field]) -> list[bytes]:
    there = [field.name for field in fields]
    names = [name for name in _CLOSED for _ in range(there.count(name.lower()) + 1)]
    return names + [name for name in _OPEN for _ in range(there.count(name.lower()))]


def _signature(
    key: SigningKey, fields: Sequence[Field], names: Sequence[bytes], bh: bytes, now: int
) -> bytes:
    listed = _folded([*(name + b":" for name in names[:-1]), names[-1]])
    tags = f"v=1; a={key.algorithm}; c={_FORM}/{_FORM}; d={key.domain};"
    tags += f"\n\ts={key.selector}; t={now}"
    unsigned = b"DKIM-Signature: %s;\n\th=%s;\n\tbh=%s;\n\tb=" % (tags.encode(), listed, bh)
    digest = hashlib.sha256()
    for part in signed_octets(fields, names, _FORM, Field(b"dkim-signature", unsigned + b"\n")):
        digest.update(part)
    value = base64.b64encode(key.sign(digest.digest()))
    return unsigned + _folded([value[at : at + 60] for at in range(0, len(value), 60)]) + b"\n"


def _folded(words: Sequence[bytes]) -> bytes:
    lines = [b""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > _LINE:
            lines.append(b"")
        lines[-1] += word
    return b"\n\t".join(lines)

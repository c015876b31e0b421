"""DKIM: which domains answer for a message (RFC 6376), verified.

What is read of a message is bounded: `SIGNATURE_LIMIT` signatures, and of the body a chunk at a
time. Hashing and arithmetic are one call, made wherever `in_thread` runs it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Iterable
from enum import Enum

from mailserver.threads import InThread
from mailserver.trust.canonical import BodyHash, Field, fields_of, signed_octets
from mailserver.trust.dkim_record import (
    Key,
    KeyFault,
    Signature,
    SignatureFault,
    WeakKey,
    read_key,
    read_signature,
)
from mailserver.trust.dns import DnsTrouble, Resolver
from mailserver.wire.value import value

SIGNATURE_LIMIT = 8
"""Signatures looked at, the topmost ones."""
_FIELD = b"dkim-signature"


class Result(Enum):
    """RFC 8601 2.7.1."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"
    POLICY = "policy"
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@value(frozen=True, slots=True)
class Outcome:
    """Of one signature."""

    result: Result
    reason: str = ""
    """Printable ASCII."""
    domain: str = ""
    selector: str = ""
    algorithm: str = ""
    value: str = ""
    """The first characters of b=, which tell it from others (RFC 8601 2.7.1, RFC 6008)."""


Body = Callable[[], Iterable[bytes]]
"""The body in chunks, without the empty line before it; may be called more than once."""


async def verify(
    header_block: bytes,
    body: Body,
    resolver: Resolver,
    in_thread: InThread,
    now: float,
) -> tuple[Outcome, ...]:
    """An outcome a signature, in their order; none when there is no signature. `header_block` has
    LF line ends. Raises what `body` raises."""
    fields = fields_of(header_block)
    found = [_read(field) for field in fields if field.name == _FIELD][:SIGNATURE_LIMIT]
    good = [one for one in found if isinstance(one, Signature)]
    fetched = await fetch_keys((one.key_name for one in good), resolver)
    keys = dict(zip(good, fetched, strict=True))
    usable = [one for one in good if isinstance(keys[one], Key)]
    hashes = await in_thread(lambda: body_hashes(usable, body)) if usable else {}

    def outcomes() -> tuple[Outcome, ...]:
        return tuple(
            judge(one, keys[one], hashes, fields, now) if isinstance(one, Signature) else one
            for one in found
        )

    return await in_thread(outcomes) if usable else outcomes()


def _read(field: Field) -> Signature | Outcome:
    try:
        return read_signature(field)
    except SignatureFault as fault:
        return Outcome(Result.PERMERROR, str(fault))


async def fetch_keys(names: Iterable[str], resolver: Resolver) -> list[Key | KeyFault | DnsTrouble]:
    """The key at each name, or why there is none."""
    return await asyncio.gather(*(_fetch(name, resolver) for name in names))


async def _fetch(name: str, resolver: Resolver) -> Key | KeyFault | DnsTrouble:
    try:
        records = await resolver.texts(name)
    except DnsTrouble as trouble:
        return trouble
    fault = KeyFault("no key")
    for record in records[:SIGNATURE_LIMIT]:  # 3.6.2.2: of several the verifier may choose
        try:
            return read_key(record)
        except KeyFault as problem:
            fault = problem
    return fault


BodyHashes = dict[tuple[str, int | None], tuple[bytes, int]]
"""Form and l= to the hash and the whole canonical body's octets."""


def body_hashes(signatures: Iterable[Signature], body: Body) -> BodyHashes:
    """All that these signatures need, in one pass."""
    wanted = {
        (one.body_form, one.length): BodyHash(hashlib.sha256(), one.body_form, one.length)
        for one in signatures
    }
    for chunk in body():
        for one in wanted.values():
            one.update(chunk)
    return {which: (one.finish(), one.octets) for which, one in wanted.items()}


def judge(
    signature: Signature,
    key: Key | KeyFault | DnsTrouble,
    hashes: BodyHashes,
    fields: list[Field],
    now: float,
) -> Outcome:
    """RFC 6376 6.1.3, with a signature field that belongs to `fields`."""
    if isinstance(key, Key):
        result, reason = _unfit(signature, key, now) or _compare(signature, key, hashes, fields)
    elif isinstance(key, DnsTrouble):
        result, reason = Result.TEMPERROR, "no answer about the key"
    else:
        result = Result.POLICY if isinstance(key, WeakKey) else Result.PERMERROR
        reason = str(key)
    value = base64.b64encode(signature.value[:9]).decode()[:8]
    return Outcome(result, reason, signature.domain, signature.selector, signature.algorithm, value)


def _unfit(signature: Signature, key: Key, now: float) -> tuple[Result, str] | None:
    if not key.fits(signature.algorithm):
        return Result.PERMERROR, "the key is of another kind"
    if key.strict and signature.identity != signature.domain:
        return Result.PERMERROR, "the key is not for subdomains"
    if signature.expires is not None and signature.expires < now:
        return Result.FAIL, "expired"
    return None


def _compare(
    signature: Signature, key: Key, hashes: BodyHashes, fields: list[Field]
) -> tuple[Result, str]:
    body_hash, octets = hashes[signature.body_form, signature.length]
    if body_hash != signature.body_hash:
        return Result.FAIL, "the body was changed"
    others = [field for field in fields if field is not signature.field]
    digest = hashlib.sha256()
    for part in signed_octets(others, signature.names, signature.header_form, signature.field):
        digest.update(part)
    if not key.verifies(signature.value, digest.digest()):
        return Result.FAIL, "the header was changed"
    if signature.length is not None and signature.length < octets:
        return Result.POLICY, "only a part of the body is signed"  # RFC 6376 8.2
    return Result.PASS, "testing" if key.testing else ""

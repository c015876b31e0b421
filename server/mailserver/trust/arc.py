"""ARC: who passed a message on, and what they found on the way (RFC 8617); verified only.

Each of them adds a set of three fields: what was found, a signature of the message as it leaves,
and a seal of all sets so far. What is read of a message is bounded: `SET_LIMIT` sets, in
`OCTET_LIMIT` octets, and of the body a chunk at a time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from enum import Enum

from mailserver.threads import InThread
from mailserver.trust import dkim
from mailserver.trust.canonical import Field, canonical_field, fields_of, without_value
from mailserver.trust.dkim import Body
from mailserver.trust.dkim_record import (
    Key,
    KeyFault,
    SignatureFault,
    base64_of,
    domain_name,
    read_signature,
    signature_tags,
)
from mailserver.trust.dns import DnsTrouble, Resolver
from mailserver.trust.results import passed_author
from mailserver.wire.value import value

SET_LIMIT = 50
"""Sets of a chain (4.2.1)."""
OCTET_LIMIT = 128 * 1024
"""Of all fields of a chain together: 50 long sets."""
_RESULTS, _SIGNATURE, _SEAL = _NAMES = (
    b"arc-authentication-results",
    b"arc-message-signature",
    b"arc-seal",
)
_FORM = "relaxed"
_INSTANCE = re.compile(r"(?:^|.*;)\s*i\s*=\s*([0-9]{1,2})\s*(?:;|$)", re.DOTALL)


class Result(Enum):
    """4.4."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"


@value(frozen=True, slots=True)
class Outcome:
    """Of the chain as a whole."""

    result: Result
    reason: str = ""
    """Printable ASCII."""
    sealers: tuple[str, ...] = ()
    """The domains whose seals hold, the oldest first."""
    first: str = ""
    """What the first of them found."""

    def vouches(self, author: str, believed: Collection[str]) -> bool:
        """All who sealed are among those believed, and the first of them, who saw the message as it
        was sent, found that it is this author's (7.2.1)."""
        trusted = bool(self.sealers) and {*self.sealers} <= {*believed}
        return trusted and passed_author(self.first) == author


class _ChainFault(ValueError):
    """The chain is broken; says how."""


@value(frozen=True, slots=True)
class _Seal:
    """ARC-Seal (4.1.3)."""

    field: Field
    algorithm: str
    value: bytes
    domain: str
    selector: str
    before: str
    """cv=: what became of the chain before."""

    @property
    def key_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"


@value(frozen=True, slots=True)
class _Set:
    results: Field
    signature: Field
    seal: _Seal


async def verify(
    header_block: bytes, body: Body, resolver: Resolver, in_thread: InThread, now: float
) -> Outcome:
    """5.2; a missing answer of the DNS is a failure too (5.2.1). `header_block` has LF line ends.
    Raises what `body` raises."""
    fields = fields_of(header_block)
    try:
        chain = _read(fields)
        if not chain:
            return Outcome(Result.NONE)
        newest = read_signature(chain[-1].signature, in_chain=True)
        if _SEAL in newest.names:
            raise _ChainFault("a seal is signed by h=")  # 4.1.2
    except (_ChainFault, SignatureFault) as fault:
        return Outcome(Result.FAIL, str(fault))
    names = [newest.key_name, *(one.seal.key_name for one in chain)]
    distinct = list(dict.fromkeys(names))
    keys = dict(zip(distinct, await dkim.fetch_keys(distinct, resolver), strict=True))

    def outcome() -> Outcome:
        hashes = dkim.body_hashes([newest], body)
        signed = dkim.judge(newest, keys[newest.key_name], hashes, fields, now)
        if signed.result is not dkim.Result.PASS:
            return Outcome(Result.FAIL, signed.reason)
        if fault := _fault_of_seals(chain, keys):
            return Outcome(Result.FAIL, fault)
        sealers = tuple(one.seal.domain for one in chain)
        return Outcome(Result.PASS, "", sealers, chain[0].results.value.decode("utf-8", "replace"))

    return await in_thread(outcome)


def is_there(fields: Iterable[Field]) -> bool:
    """Somebody says that there is a chain."""
    return any(field.name in _NAMES for field in fields)


def _read(fields: list[Field]) -> list[_Set]:
    """The sets, the oldest first, each whole and all in order (5.2 steps 1 to 3)."""
    found: dict[int, dict[bytes, Field]] = {}
    mine = [field for field in fields if field.name in _NAMES]
    if len(mine) > SET_LIMIT * len(_NAMES) or sum(len(one.raw) for one in mine) > OCTET_LIMIT:
        raise _ChainFault("the chain is too long")
    for field in mine:
        instance = _INSTANCE.match(field.value.decode("utf-8", "replace"))
        if instance is None:
            raise _ChainFault("i= is missing")
        number = int(instance[1])
        if found.setdefault(number, {}).setdefault(field.name, field) is not field:
            raise _ChainFault(f"a field of set {number} is there twice")
    if sorted(found) != list(range(1, len(found) + 1)):
        raise _ChainFault("a set is missing")
    return [_set(number, found[number]) for number in sorted(found)]


def _set(number: int, fields: dict[bytes, Field]) -> _Set:
    if len(fields) < len(_NAMES):
        raise _ChainFault(f"set {number} is not whole")
    seal = _read_seal(fields[_SEAL])
    if seal.before != ("none" if number == 1 else "pass"):
        raise _ChainFault("the chain was broken before")
    return _Set(fields[_RESULTS], fields[_SIGNATURE], seal)


def _read_seal(field: Field) -> _Seal:
    tags = signature_tags(field, "cv", "i")
    if "h" in tags or "bh" in tags:
        raise _ChainFault("a seal chooses no fields")  # 4.1.3
    return _Seal(
        field,
        tags["a"],
        base64_of(tags, "b"),
        domain_name(tags["d"]),
        domain_name(tags["s"]),
        tags["cv"].lower(),
    )


def _fault_of_seals(chain: list[_Set], keys: dict[str, Key | KeyFault | DnsTrouble]) -> str:
    """Each seal is of its own set and all before it (5.1.1). "": they hold."""
    digest = hashlib.sha256()
    for number, one in enumerate(chain, 1):
        key = keys[one.seal.key_name]
        if isinstance(key, DnsTrouble):
            return f"no answer about the key of seal {number}"
        if isinstance(key, KeyFault):
            return f"seal {number}: {key}"
        for field in (one.results, one.signature):
            digest.update(canonical_field(field, _FORM))
        sealed = digest.copy()
        sealed.update(canonical_field(without_value(one.seal.field), _FORM).removesuffix(b"\r\n"))
        if not key.fits(one.seal.algorithm) or not key.verifies(one.seal.value, sealed.digest()):
            return f"seal {number} is broken"
        digest.update(canonical_field(one.seal.field, _FORM))
    return ""

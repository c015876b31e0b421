"""DMARC: does the domain in From answer for the message, and what if not? (RFC 9989)

The organizational domain is found by walking up the DNS tree (4.10), at most 8 questions a walk; no
list of public suffixes is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum

from mailserver.trust.dns import DnsTrouble, Resolver
from mailserver.wire.value import value

WALK_LIMIT = 8
"""Questions in one walk (4.10)."""
_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)")
_TAG = re.compile(r"([A-Za-z0-9_]+)[ \t]*=[ \t]*(.*)", re.DOTALL)


class Policy(Enum):
    """What the domain asks for mail that fails (4.7), from mild to strict."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


_MILDER = {Policy.REJECT: Policy.QUARANTINE, Policy.QUARANTINE: Policy.NONE}
_POLICIES = {policy.value: policy for policy in Policy}


class Result(Enum):
    """RFC 8601 2.7, RFC 9989 on DMARC."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@value(frozen=True, slots=True)
class Record:
    """What a domain publishes at `_dmarc`."""

    policy: Policy
    subdomains: Policy
    """sp="""
    missing: Policy
    """np=, for names that are not there."""
    strict_dkim: bool = False
    strict_spf: bool = False
    suffix: str = "u"
    """psd=: y, n or u."""
    testing: bool = False
    """t=y: the policy one step milder is asked for."""
    faulty: bool = False
    """It has no policy that can be read, and asks for no reports: where it is the one that holds,
    nothing does (4.10.1)."""


@value(frozen=True, slots=True)
class Outcome:
    """Of one message."""

    result: Result
    author: str = ""
    """The domain in From."""
    policy: Policy = Policy.NONE
    """What is asked for this message if it fails; NONE without a record."""
    reason: str = ""


def parse(text: bytes) -> Record | None:
    """None for what is no DMARC record (4.7). Faults behind the version are ignored, each tag by
    itself; a policy that cannot be read makes all of them none."""
    try:
        whole = text.decode("ascii")
    except UnicodeDecodeError:
        return None
    if not _VERSION.match(whole):
        return None
    found = (_TAG.fullmatch(part.strip()) for part in whole.split(";"))
    tags = {one[1].lower(): one[2].strip().lower() for one in reversed([f for f in found if f])}
    unread = {tag for tag in ("p", "sp", "np") if tag in tags and tags[tag] not in _POLICIES}
    if unread:
        tags = {tag: tags[tag] for tag in tags if tag not in {"p", "sp", "np"}}
    policy = _POLICIES[tags.get("p", "none")]
    subdomains = _POLICIES[tags["sp"]] if "sp" in tags else policy
    return Record(
        policy,
        subdomains,
        _POLICIES[tags["np"]] if "np" in tags else subdomains,
        tags.get("adkim") == "s",
        tags.get("aspf") == "s",
        tags.get("psd", "u"),
        tags.get("t") == "y",
        bool(unread) and "mailto:" not in tags.get("rua", ""),
    )


async def check(
    author: str, signers: Iterable[str], sender: str | None, resolver: Resolver
) -> Outcome:
    """`author`: the domain in From; `signers`: those whose DKIM signatures passed; `sender`: the
    one that SPF passed. All in the form of the DNS."""
    walks = _Walks(resolver)
    identifiers = dict.fromkeys(signers)
    try:
        own = await walks.record(author)
        if own is not None and not own.faulty and author in {*identifiers, sender}:
            return Outcome(Result.PASS, author, _stated(own, own.policy))  # no walk: 4.10.2
        above = await walks.up(author)
        record, policy = await _asked(author, above, resolver)
        if record is None or record.faulty:
            return Outcome(Result.NONE, author, reason="the record has no policy" if record else "")
        organization = _organization(author, above)
        candidates = [(one, record.strict_dkim) for one in identifiers]
        if sender is not None:
            candidates.append((sender, record.strict_spf))
        for domain, strict in candidates:
            if domain == author:
                return Outcome(Result.PASS, author, policy)
            if strict or not is_within(domain, organization):
                continue
            if _organization(domain, await walks.up(domain)) == organization:
                return Outcome(Result.PASS, author, policy)
    except DnsTrouble:
        return Outcome(Result.TEMPERROR, author)
    return Outcome(Result.FAIL, author, policy)


async def _asked(
    author: str, above: list[tuple[str, Record]], resolver: Resolver
) -> tuple[Record | None, Policy]:
    """The record that holds for this author, and the policy for just this domain (4.10.1)."""
    if not above:
        return None, Policy.NONE
    records = dict(above)
    record = records.get(author)
    if record is not None:
        policy = record.policy
    else:
        organization = _organization(author, above)
        record = records.get(organization, above[-1][1])
        policy = record.subdomains
        if record.missing is not policy and not await resolver.exists(author):
            policy = record.missing
    return record, _stated(record, policy)


def _stated(record: Record, policy: Policy) -> Policy:
    """One of the record's policies, as it is to be applied (t=)."""
    return _MILDER.get(policy, policy) if record.testing else policy


def _organization(domain: str, above: list[tuple[str, Record]]) -> str:
    """4.10.2, of what the walk from this domain found, the longest name first."""
    for name, record in above:
        if record.suffix == "n":
            return name
        if record.suffix == "y" and name != domain:
            labels = domain.split(".")
            return ".".join(labels[-name.count(".") - 2 :])
    return above[-1][0] if above else domain


def is_within(domain: str, organization: str) -> bool:
    """It is the same name, or one below it."""
    return domain == organization or domain.endswith(f".{organization}")


class _Walks:
    """Up the tree from several names; no name is asked about twice."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._known: dict[str, Record | None] = {}

    async def up(self, domain: str) -> list[tuple[str, Record]]:
        """The records from a name upwards (4.10)."""
        found = []
        for name in _path(domain):
            record = await self.record(name)
            if record is not None:
                found.append((name, record))
                if record.suffix in {"y", "n"}:
                    break
        return found

    async def record(self, name: str) -> Record | None:
        """The one of just this name."""
        if name not in self._known:
            texts = await self._resolver.texts(f"_dmarc.{name}")
            records = [record for record in map(parse, texts) if record is not None]
            self._known[name] = records[0] if len(records) == 1 else None
        return self._known[name]


def _path(domain: str) -> list[str]:
    """The names that are asked about: of a long one only itself and its last 7 labels."""
    labels = domain.split(".")
    starts = [0, *range(max(1, len(labels) - WALK_LIMIT + 1), len(labels))]
    return [".".join(labels[start:]) for start in starts]

"""An SPF record as a value: its text read by the grammar of RFC 7208 12, all of it before any of it
is used (4.6: a fault anywhere is a fault of the whole)."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network

from mailserver.trust.spf_macros import MacroFault, Text, domain_spec, macro_string
from mailserver.wire.value import value

_VERSION = re.compile(rb"v=spf1(?: |$)", re.IGNORECASE)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)=(.*)", re.DOTALL)
_MECHANISM = re.compile(r"([-+~?]?)([A-Za-z0-9._-]+)(:[^/]*(?:/[^0-9/][^/]*)*)?(/.*)?", re.DOTALL)
_CIDR = re.compile(r"(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?")
_IP4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/(?:0|[1-9][0-9]?))?")
_IP6 = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:/(?:0|[1-9][0-9]{0,2}))?")

_NEEDS_DOMAIN = {"include", "exists"}
_MAY_HAVE_DOMAIN = {"a", "mx", "ptr"}
_MAY_HAVE_CIDR = {"a", "mx"}


class RecordFault(ValueError):
    """The record breaks the grammar; says where."""


@value(frozen=True, slots=True)
class Directive:
    """A qualifier and a mechanism (RFC 7208 4.6.2)."""

    qualifier: str
    """One of + - ~ ?"""
    mechanism: str
    """In lower case: all, include, a, mx, ptr, ip4, ip6, exists."""
    domain: Text | None = None
    """None: the current domain."""
    prefix4: int = 32
    prefix6: int = 128
    network: IPv4Network | IPv6Network | None = None
    """Of ip4 and ip6."""


@value(frozen=True, slots=True)
class Record:
    """What a domain says about who sends in its name."""

    directives: tuple[Directive, ...]
    redirect: Text | None = None
    explanation: Text | None = None
    """Where the text for those who fail is found (6.2)."""


def is_record(text: bytes) -> bool:
    """It is an SPF record, good or bad (4.5)."""
    return bool(_VERSION.match(text))


def parse(text: bytes) -> Record:
    """Raises RecordFault."""
    try:
        words = text.decode("ascii").split(" ")[1:]
    except UnicodeDecodeError:
        raise RecordFault("not ASCII") from None
    directives = []
    modifiers: dict[str, Text] = {}
    for word in filter(None, words):
        try:
            modifier = _MODIFIER.fullmatch(word)
            if modifier is None:
                directives.append(_directive(word))
            else:
                _add_modifier(modifiers, modifier[1].lower(), modifier[2])
        except (MacroFault, ValueError) as fault:
            raise RecordFault(f"{word[:80]!a}: {fault}") from None
    return Record(tuple(directives), modifiers.get("redirect"), modifiers.get("exp"))


def _add_modifier(modifiers: dict[str, Text], name: str, value: str) -> None:
    if name not in {"redirect", "exp"}:
        macro_string(value)  # RFC 7208 6: unknown ones are ignored, but must be well formed
        return
    if name in modifiers:
        raise ValueError("it is there twice")
    modifiers[name] = domain_spec(value)


def _directive(word: str) -> Directive:
    found = _MECHANISM.fullmatch(word)
    if found is None:
        raise ValueError("no mechanism")
    qualifier, name, domain, cidr = found[1] or "+", found[2].lower(), found[3], found[4] or ""
    if name in {"ip4", "ip6"}:
        return Directive(qualifier, name, network=_network(name, (domain or "")[1:] + cidr))
    if name == "all":
        if domain is not None or cidr:
            raise ValueError("nothing may follow")
        return Directive(qualifier, name)
    if name not in _NEEDS_DOMAIN | _MAY_HAVE_DOMAIN:
        raise ValueError("no such mechanism")
    if domain is None and name in _NEEDS_DOMAIN:
        raise ValueError("a domain is missing")
    spec = None
    if domain is not None:
        spec = domain_spec(domain[1:] + ("" if name in _MAY_HAVE_CIDR else cidr))
    elif cidr and name not in _MAY_HAVE_CIDR:
        raise ValueError("no prefix length belongs here")
    prefix4, prefix6 = _prefixes(cidr if name in _MAY_HAVE_CIDR else "")
    return Directive(qualifier, name, spec, prefix4, prefix6)


def _prefixes(cidr: str) -> tuple[int, int]:
    """dual-cidr-length (12)."""
    found = _CIDR.fullmatch(cidr)
    if found is None:
        raise ValueError("no prefix length")
    prefix4, prefix6 = int(found[1] or 32), int(found[2] or 128)
    if prefix4 > 32 or prefix6 > 128:
        raise ValueError("a prefix length that is too long")
    return prefix4, prefix6


def _network(name: str, text: str) -> IPv4Network | IPv6Network:
    """ip4-network or ip6-network with its prefix length; the rest of the address may be set."""
    if not (_IP4 if name == "ip4" else _IP6).fullmatch(text):
        raise ValueError("no network")
    network = ip_network(text, strict=False)
    if network.version != int(name[2:]):
        raise ValueError("a network of the other version")
    return network

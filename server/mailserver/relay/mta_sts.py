"""MTA-STS (RFC 8461) as values: the record that says there is a policy, and the policy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum

from mailserver.wire.value import value

LIFETIME_LIMIT = 31_557_600
"""Seconds, a year (RFC 8461 3.2)."""

_RECORD = re.compile(r"v=STSv1[ \t]*;(.*)", re.DOTALL)
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_AGE = re.compile(r"[0-9]{1,10}")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_PATTERN = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")


class BadPolicy(Exception):
    """What is no policy. Says why."""


class Mode(Enum):
    """What becomes of a host that does not keep to the policy (RFC 8461 5)."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@value(frozen=True, slots=True)
class Policy:
    """Of one domain."""

    mode: Mode
    max_age: int
    """Seconds that it may be kept."""
    hosts: tuple[str, ...]
    """Names of mail servers in lower case, perhaps with `*` for the first label."""

    def names(self, host: str) -> bool:
        """It is one of the domain's mail servers (RFC 8461 4.1)."""
        _, _, parent = host.lower().partition(".")
        return host.lower() in self.hosts or (bool(parent) and f"*.{parent}" in self.hosts)


def record_id(texts: Iterable[bytes]) -> str | None:
    """The id in the TXT records of `_mta-sts.<domain>`; None when they say that there is no policy
    (RFC 8461 3.1: none, several, or a faulty one)."""
    records = [octets.decode("ascii", "replace") for octets in texts]
    records = [text for text in records if text.startswith("v=STSv1")]
    found = _RECORD.fullmatch(records[0]) if len(records) == 1 else None
    for pair in found[1].split(";") if found else ():
        name, _, value = pair.strip(" \t").partition("=")
        if name == "id":  # the first one counts
            return value if _ID.fullmatch(value) else None
    return None


def read_policy(octets: bytes) -> Policy:
    """RFC 8461 3.2: a field a line; raises BadPolicy."""
    fields: dict[str, str] = {}
    hosts: list[str] = []
    for line in _text(octets).split("\n"):
        name, colon, rest = line.removesuffix("\r").partition(":")
        value = rest.strip(" \t")
        if not colon and name.strip():
            raise BadPolicy(f"a line without a colon: {name[:80]!a}")
        if name == "mx":
            hosts.append(_pattern(value))
        else:
            fields.setdefault(name, value)
    if fields.get("version") != "STSv1":
        raise BadPolicy("its version is not STSv1")
    try:
        mode = Mode(fields.get("mode"))
    except ValueError:
        raise BadPolicy("its mode is none of enforce, testing, none") from None
    age = fields.get("max_age", "")
    if not _AGE.fullmatch(age):
        raise BadPolicy("its max_age is no number of seconds")
    if not hosts and mode is not Mode.NONE:
        raise BadPolicy("it names no mx")
    return Policy(mode, min(int(age), LIFETIME_LIMIT), tuple(hosts))


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise BadPolicy("it is not UTF-8") from None


def _pattern(value: str) -> str:
    name = value.lower().removesuffix(".")
    if not _PATTERN.fullmatch(name):
        raise BadPolicy(f"an mx that is no host: {value[:80]!a}")
    return name

"""Who a message says wrote it: the domains in From (RFC 5322 3.6.2, 3.4).

A reader of mail shows what stands there, so the reading errs on the side of more authors: whatever
could be taken for an address is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailserver.trust.canonical import Field
from mailserver.trust.dns import is_askable
from mailserver.wire.idn import ascii_form

AUTHOR_LIMIT = 64
"""Mailboxes that are looked at; a From with more of them has no author."""
# A quoted string (closed or not), a comment's edge, a mark of the grammar, or other text.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[()<>,;:]|[^"()<>,;:]+', re.DOTALL)


class NoAuthor(ValueError):
    """From is missing, there twice, or cannot be read; says which."""


def author_domain(fields: Iterable[Field]) -> str:
    """The one domain of From, in the form of the DNS. Raises NoAuthor, also for several."""
    found = [field for field in fields if field.name == b"from"]
    if len(found) != 1:
        raise NoAuthor(f"{len(found)} From fields")
    domains = {_domain(one) for one in _addresses(found[0].value)}
    if len(domains) != 1:
        raise NoAuthor("From names several domains" if domains else "From names nobody")
    return domains.pop()


def _addresses(value: bytes) -> list[str]:
    """Each address of a mailbox-list, without names and comments."""
    text = value.decode("utf-8", "replace").replace("\n", "")
    found = [""]
    angle: str | None = None  # set inside < >
    depth = 0
    for token in _TOKEN.findall(text):
        if token.startswith('"') and not _QUOTED.fullmatch(token):
            raise NoAuthor("From has no end")
        if token in "()":
            depth = max(0, depth + (1 if token == "(" else -1))
        elif depth:
            continue
        elif token == "<":
            angle = ""
        elif token == ">":
            found[-1] = f"<{angle or ''}"
            angle = None
        elif angle is not None:
            angle += token
        elif token in ",;":
            found.append("")
        elif token == ":":
            found[-1] = ""  # the name of a group
        elif not found[-1].startswith("<"):
            found[-1] += token
        elif "@" in token:
            raise NoAuthor("From has text behind an address")
    if angle is not None or depth:
        raise NoAuthor("From has no end")
    addresses = [one.removeprefix("<").strip() for one in found if one.strip()]
    if len(addresses) > AUTHOR_LIMIT:
        raise NoAuthor("From names too many")
    return addresses


def _domain(address: str) -> str:
    local_part, _, domain = address.rpartition("@")
    try:
        name = ascii_form(domain.strip().rstrip("."))
    except ValueError:
        name = ""
    if not local_part or not name or not is_askable(name) or re.search(r"[\s\[\]\"]", name):
        raise NoAuthor("From has an address without a domain")
    return name

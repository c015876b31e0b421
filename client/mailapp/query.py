"""What a person searches for: `from:bob subject:"lab 3" is:new noon`. Pure.

query   = *(SP term)           all terms have to match
term    = ["-"] [field ":"] words
field   = "from" / "to" / "subject" / "is" / "has" / "date" / "size"
words   = token / DQUOTE text DQUOTE
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mailapp.summary import Summary

Match = Callable[[Summary, bool], bool]
"""Does this summary, marked to be deleted or not, match?"""

_TERM = re.compile(r'(-?)(?:([a-z]+):)?(?:"([^"]*)"|(\S+))', re.IGNORECASE)
_FLAGS: dict[str, Match] = {
    "new": lambda summary, _: summary.status == "new",
    "unread": lambda summary, _: summary.status in {"new", "old"},
    "old": lambda summary, _: summary.status == "old",
    "read": lambda summary, _: summary.status in {"read", "answered"},
    "answered": lambda summary, _: summary.status == "answered",
    "deleted": lambda _, is_marked: is_marked,
    "attachment": lambda summary, _: summary.has_attachment,
}
_CONTENTS: dict[str, Match] = {"attachment": _FLAGS["attachment"]}
_SIZE = re.compile(r"([<>])(\d{1,12})([kmg]?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
HELP = (
    'Words of sender or subject; from:bob to:lab subject:"lab 3" date:2026-11',
    "size:>1m is:new is:unread is:old is:read is:answered is:deleted",
    "has:attachment; with - before it: not, such as -is:new.",
)


class NoQuery(ValueError):
    """What is wrong with it, in words."""


def parse(text: str) -> Match:
    """Raises NoQuery. An empty query matches everything."""
    terms = [_term(*found) for found in _TERM.findall(text)]
    return lambda summary, is_marked: all(term(summary, is_marked) for term in terms)


def _term(minus: str, field: str, quoted: str, token: str) -> Match:
    words = (quoted or token).casefold()
    match _field(field.lower(), words, f"{field}:{quoted or token}" if field else words):
        case test if minus:
            return lambda summary, is_marked: not test(summary, is_marked)
        case test:
            return test


def _field(field: str, words: str, whole: str) -> Match:
    match field:
        case "":
            return lambda summary, _: words in f"{summary.sender}\n{summary.subject}".casefold()
        case "from":
            return lambda summary, _: words in f"{summary.sender}\n{summary.address}".casefold()
        case "to":
            return lambda summary, _: words in summary.to.casefold()
        case "subject":
            return lambda summary, _: words in summary.subject.casefold()
        case "date":
            return lambda summary, _: summary.received.replace(" ", "").startswith(words)
        case "is" | "has" as kind:
            known = _FLAGS if kind == "is" else _CONTENTS
            if words not in known:
                raise NoQuery(f"{kind}:{words} is not known; there is " + ", ".join(known))
            return known[words]
        case "size":
            return _size(words)
    return lambda summary, _: whole.casefold() in f"{summary.sender}\n{summary.subject}".casefold()


def _size(words: str) -> Match:
    found = _SIZE.fullmatch(words)
    if found is None:
        raise NoQuery("a size is written size:>1m or size:<10k")
    limit = int(found[2]) * _UNITS[found[3].lower()]
    if found[1] == ">":
        return lambda summary, _: summary.size > limit
    return lambda summary, _: summary.size < limit

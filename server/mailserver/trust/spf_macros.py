"""Macros of SPF (RFC 7208 7): text read into parts once, and expanded for one message."""

from __future__ import annotations

import re
from urllib.parse import quote

from mailserver.wire.value import value

_PART = re.compile(
    r"%\{([slodiphcrtvSLODIPHCRTV])([0-9]*)([rR]?)([-.+,/_=]*)\}|%([%_-])|([!-$&-~]+)"
)
_PLAIN = {"%": "%", "_": " ", "-": "%20"}
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_ONLY_IN_EXPLANATIONS = set("crt")
_NAME_LIMIT = 253
"""Octets of a domain name (7.3)."""


class MacroFault(ValueError):
    """Text that is no macro-string, or no domain-spec."""


@value(frozen=True, slots=True)
class Macro:
    """`%{d1r-}`."""

    letter: str
    """In lower case."""
    escaped: bool
    """It was in upper case: escaped as in a URL."""
    kept: int
    """Parts kept, from the right; 0: all."""
    reverse: bool
    delimiters: str

    def expand(self, value: str) -> str:
        """The letter's value, transformed (7.3)."""
        if self.kept or self.reverse or self.delimiters != ".":
            parts = re.split("[" + re.escape(self.delimiters) + "]", value)
            if self.reverse:
                parts.reverse()
            value = ".".join(parts[-self.kept :])
        return quote(value, safe="") if self.escaped else value


Text = tuple[str | Macro, ...]
"""A macro-string: literal text and macros."""


def macro_string(text: str, *, explains: bool = False) -> Text:
    """Read a macro-string. Raises MacroFault. `explains`: it is a text for people, with spaces,
    and may have the letters c, r and t (7.2)."""
    parts: list[str | Macro] = []
    position = 0
    while position < len(text):
        found = _PART.match(text, position)
        if found is None and explains and text[position] == " ":
            parts.append(" ")
            position += 1
            continue
        if found is None:
            raise MacroFault("no macro-string")
        position = found.end()
        letter, digits, reverse, delimiters, plain, literal = found.groups()
        if not letter:
            parts.append(_PLAIN[plain] if plain else literal)
            continue
        if letter in _ONLY_IN_EXPLANATIONS | set("CRT") and not explains:
            raise MacroFault(f"%{{{letter}}} is for explanations only")
        if len(digits) > 3 or (digits and not int(digits)):
            raise MacroFault("how many parts?")
        kept = int(digits or 0)
        parts.append(
            Macro(letter.lower(), letter.isupper(), kept, bool(reverse), delimiters or ".")
        )
    return tuple(parts)


def domain_spec(text: str) -> Text:
    """Read a domain-spec (7.1): it ends in a macro or in a top label. Raises MacroFault."""
    parts = macro_string(text)
    if not parts:
        raise MacroFault("a domain is missing")
    end = text.rpartition("%{")[2]
    ends_in_macro = isinstance(parts[-1], Macro) or end[-2:-1] == "%"
    if not ends_in_macro and not _ends_in_top_label(text):
        raise MacroFault("no domain name")
    return parts


def _ends_in_top_label(text: str) -> bool:
    """domain-end of 7.1: a dot, and a label that is no number; a dot behind it is allowed."""
    _, dot, label = text.removesuffix(".").rpartition(".")
    return bool(dot and _LABEL.fullmatch(label)) and not label.isdigit()


def letters(text: Text) -> set[str]:
    """Those that the text needs."""
    return {part.letter for part in text if isinstance(part, Macro)}


def expand(text: Text, values: dict[str, str]) -> str:
    """The text with the values of its letters."""
    return "".join(
        part if isinstance(part, str) else part.expand(values[part.letter]) for part in text
    )


def expand_domain(text: Text, values: dict[str, str]) -> str:
    """A domain name; one that is too long loses labels from the left (7.3)."""
    name = expand(text, values)
    while len(name) > _NAME_LIMIT and "." in name:
        name = name.partition(".")[2]
    return name

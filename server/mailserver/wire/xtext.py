"""xtext: how a parameter carries octets that it could not (RFC 3461 4)."""

from __future__ import annotations

import re

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")


def decode(text: str) -> str | None:
    """The characters that it stands for; None when it is no xtext, or stands for what cannot be
    seen (RFC 3461 4.2, 4.4: printable ASCII)."""
    if not _XTEXT.fullmatch(text):
        return None
    decoded = _HEXCHAR.sub(lambda hexchar: chr(int(hexchar[1], 16)), text)
    return decoded if decoded.isascii() and decoded.isprintable() else None


def encode(text: str) -> str:
    """Printable ASCII as xtext."""
    return "".join(
        f"+{ord(character):02X}" if character in "+= " else character for character in text
    )

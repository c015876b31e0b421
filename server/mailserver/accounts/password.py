"""What can be known of a password without keeping it."""

from __future__ import annotations

import hashlib
import hmac
import stringprep
import unicodedata
from collections.abc import Callable

from mailserver.accounts.base import ScramKeys

SCRAM_ITERATIONS = 20_000
"""RFC 7677 4 wants 4096 at least, and far more where clients are no telephones: 6 ms here."""

LONGEST_PREPARED = 256
"""Characters. Anybody may send thousands, and to put marks in their order takes quadratic time."""

_PROHIBITED: tuple[Callable[[str], bool], ...] = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def prepared(password: str) -> str:
    """The form in which passwords are compared: SASLprep (RFC 4013), which makes one of the many
    ways to type an umlaut. What it forbids stays as it is, as RFC 5802 5.1 has clients do, and so
    does what nobody types."""
    if password.isascii() or len(password) > LONGEST_PREPARED:
        return password
    # each character once: one of them may become eighteen
    mapped = password.translate({ord(character): _mapped(character) for character in set(password)})
    normal = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    forbidden = any(is_in(character) for character in set(normal) for is_in in _PROHIBITED)
    return normal if normal and not forbidden else password


def _mapped(character: str) -> str | None:
    """RFC 4013 2.1; None: it is left out."""
    if stringprep.in_table_b1(character):
        return None
    return " " if stringprep.in_table_c12(character) else character


def scram_keys(password: str, salt: bytes, iterations: int = SCRAM_ITERATIONS) -> ScramKeys:
    """The keys of RFC 5802 3 under SHA-256. Takes milliseconds; other threads run meanwhile."""
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password).encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    return ScramKeys(salt, iterations, stored_key, hmac.digest(salted, b"Server Key", "sha256"))

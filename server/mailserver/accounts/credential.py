"""What stands behind a user's name in users.txt.

    alice wonderland                                     the password itself
    alice {PLAIN}{ARGON2ID} is a strange password        the same, whatever it begins with
    alice {ARGON2ID}$argon2id$v=19$m=… {SCRAM-SHA-256}20000,salt,stored key,server key

The markers are Dovecot's, and so are the forms behind them; the second one, without which there is
no login by SCRAM, may be missing.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import field

import argon2

from mailserver.accounts.base import ScramKeys
from mailserver.accounts.password import prepared, scram_keys
from mailserver.wire.value import value

_PLAIN, _ARGON2, _SCRAM = "{PLAIN}", "{ARGON2ID}", "{SCRAM-SHA-256}"

# 19 MiB, two rounds: OWASP's recommendation, 35 ms here. Two at once are within the container.
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_MOST_KIB, _MOST_ROUNDS, _MOST_LANES = 131_072, 10, 8
_ITERATIONS = range(4096, 1_000_001)  # at least: RFC 7677 4

_HASH = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,9}),t=([0-9]{1,9}),p=([0-9]{1,9})"
    r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,86}"
)
_KEYS = re.compile(r"([0-9]{1,9}),([A-Za-z0-9+/=]+),([A-Za-z0-9+/=]+),([A-Za-z0-9+/=]+)")


class Unreadable(ValueError):
    """What stands there is no credential; says why, and nothing of what it is."""


@value(frozen=True, slots=True)
class Clear:
    """The password itself."""

    password: str = field(repr=False)


@value(frozen=True, slots=True)
class Hashed:
    """What is left of a password, which nobody can read off it."""

    argon2: str = field(repr=False)
    keys: ScramKeys | None
    """None: no login by SCRAM."""


Credential = Clear | Hashed


NOBODY = Hashed(
    "$argon2id$v=19$m=19456,t=2,p=1$Ngad4ajpqcHI1DG1/Wdb0Q"
    "$oeuejTo1vJg8+tvqsPS55q68CHnahb6JMx/z48hMm/s",
    None,
)
"""Of a password that nobody has: to be checked for those who are not there, at the same cost."""


def read(text: str) -> Credential:
    """What this text behind a user's name means; raises Unreadable."""
    if _begins_with(text, _PLAIN):
        text = text[len(_PLAIN) :]
    elif _begins_with(text, _ARGON2):
        return _hashed(text[len(_ARGON2) :])
    if not text:
        raise Unreadable("no password; a line is `username password`")
    if not text.isprintable():
        raise Unreadable("a control character in the password")
    return Clear(text)


def write(hashed: Hashed) -> str:
    """The text that `read` reads."""
    text = _ARGON2 + hashed.argon2
    if hashed.keys:
        keys = hashed.keys
        parts = (keys.salt, keys.stored_key, keys.server_key)
        written = (base64.b64encode(part).decode() for part in parts)
        text += f" {_SCRAM}{','.join((str(keys.iterations), *written))}"
    return text


def from_password(password: str) -> Hashed:
    """What to keep of a password. Takes some 50 ms and 19 MiB."""
    return Hashed(_HASHER.hash(prepared(password)), scram_keys(password, secrets.token_bytes(16)))


def is_password(hashed: Hashed, password: str) -> bool:
    """Takes 35 ms and 19 MiB, other threads run meanwhile."""
    try:
        return _HASHER.verify(hashed.argon2, prepared(password))
    except (argon2.exceptions.Argon2Error, argon2.exceptions.InvalidHashError):
        return False


def _hashed(text: str) -> Hashed:
    argon, _, scram = text.partition(" ")
    match = _HASH.fullmatch(argon)
    if match is None:
        raise Unreadable(
            f"no argon2id hash ($argon2id$v=19$m=…) behind {_ARGON2}; "
            f"if this is a password, write {_PLAIN} before it"
        )
    memory, rounds, lanes = map(int, match.groups())
    if memory > _MOST_KIB or rounds > _MOST_ROUNDS or lanes > _MOST_LANES:
        raise Unreadable(
            f"an argon2id hash that costs more than m={_MOST_KIB},t={_MOST_ROUNDS},p={_MOST_LANES}"
        )
    return Hashed(argon, _keys(scram.strip()))


def _keys(text: str) -> ScramKeys | None:
    if not text:
        return None
    match = _KEYS.fullmatch(text[len(_SCRAM) :]) if _begins_with(text, _SCRAM) else None
    try:
        if match and int(match[1]) in _ITERATIONS:
            parts = match.groups()[1:]
            salt, stored, server = (base64.b64decode(part, validate=True) for part in parts)
            if salt and len(stored) == len(server) == 32:
                return ScramKeys(salt, int(match[1]), stored, server)
    except binascii.Error:
        pass
    raise Unreadable(f"no {_SCRAM}iterations,salt,stored key,server key behind the argon2id hash")


def _begins_with(text: str, marker: str) -> bool:
    return text[: len(marker)].upper() == marker

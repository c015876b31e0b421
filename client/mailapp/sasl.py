"""The client's side of SASL (RFC 4422): each mechanism a small machine, without I/O.

`first()` is the initial response, `next(challenge)` answers the server, `accepted()` says whether
its success may be believed: with SCRAM the server, too, has to show that it knows the password.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from collections.abc import Iterable
from typing import Protocol

MAX_ITERATIONS = 1_000_000  # of a server that wants to keep us busy
MIN_ITERATIONS = 4096  # RFC 7677 4


class BadChallenge(Exception):
    """The server's side of the mechanism makes no sense, or it does not know the password."""


class Mechanism(Protocol):
    """One way to say who one is."""

    name: str
    shows_password: bool  # to whoever listens on a line in the clear

    def first(self) -> bytes:
        """The initial response."""
        ...

    def next(self, challenge: bytes) -> bytes:
        """The answer to a challenge. Raises BadChallenge."""
        ...

    def accepted(self) -> bool:
        """Whether the server's word of success is enough."""
        ...


class Plain:
    """RFC 4616."""

    name = "PLAIN"
    shows_password = True

    def __init__(self, user: str, password: str) -> None:
        self._message = f"\0{user}\0{password}".encode()

    def first(self) -> bytes:
        """[authzid] NUL authcid NUL passwd (RFC 4616 2)."""
        return self._message

    def next(self, challenge: bytes) -> bytes:
        """There is nothing more to say."""
        raise BadChallenge("the server asks for more than PLAIN has")

    def accepted(self) -> bool:
        """The server has seen the password; it needs no other proof."""
        return True


class ScramSha256:
    """RFC 5802 and 7677, without channel binding: the password itself never leaves."""

    name = "SCRAM-SHA-256"
    shows_password = False

    def __init__(self, user: str, password: str, nonce: str) -> None:
        """The nonce is printable ASCII without commas, fresh for each use."""
        name = saslprep(user).replace("=", "=3D").replace(",", "=2C")
        self._password = saslprep(password).encode()
        self._nonce = nonce
        self._first_bare = f"n={name},r={nonce}"
        self._signature = b""
        self._is_accepted = False

    def first(self) -> bytes:
        """client-first-message (RFC 5802 7): the client knows no channel binding."""
        return f"n,,{self._first_bare}".encode()

    def next(self, challenge: bytes) -> bytes:
        """The proof, to the first challenge; then the server's signature is looked at."""
        fields = _fields(challenge)
        if "e" in fields:
            raise BadChallenge(f"the server says {fields['e'][:60]!r}")
        if not self._signature:
            return self._proof(challenge, fields)
        given = _from_base64(fields.get("v", ""))
        if not hmac.compare_digest(given, self._signature):
            raise BadChallenge("the server does not know the password itself: it may be a fake")
        self._is_accepted = True
        return b""

    def accepted(self) -> bool:
        """Whether the server has shown its signature."""
        return self._is_accepted

    def _proof(self, challenge: bytes, fields: dict[str, str]) -> bytes:
        nonce, count = fields.get("r", ""), fields.get("i", "")
        salt = _from_base64(fields.get("s", ""))
        if "m" in fields or not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise BadChallenge("the server's first SCRAM message is not an answer to ours")
        rounds = int(count) if re.fullmatch("[0-9]{1,9}", count) else 0
        if not salt or not MIN_ITERATIONS <= rounds <= MAX_ITERATIONS:
            raise BadChallenge(f"the server wants {count[:20]!r} iterations, which is not sensible")
        without_proof = f"c=biws,r={nonce}"
        signed = f"{self._first_bare},{challenge.decode()},{without_proof}".encode()
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, rounds)
        client_key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), signed)
        self._signature = _hmac(_hmac(salted, b"Server Key"), signed)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()


def mechanisms(
    offered: Iterable[str], user: str, password: str, is_encrypted: bool
) -> list[Mechanism]:
    """What both sides know, the strongest first; each may be used once.

    On a line in the clear nothing comes after SCRAM: whoever stands between could refuse it, and
    would be shown the password.
    """
    names = {name.upper() for name in offered}
    known = (ScramSha256(user, password, secrets.token_urlsafe(18)), Plain(user, password))
    ways: list[Mechanism] = [mechanism for mechanism in known if mechanism.name in names]
    return ways if is_encrypted else ways[:1]


def saslprep(text: str) -> str:
    """RFC 4013, for a query: what it forbids is left to the server to refuse."""
    kept = (" " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c))
    return unicodedata.normalize("NFKC", "".join(kept))


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _fields(message: bytes) -> dict[str, str]:
    try:
        text = message.decode("utf-8")
    except UnicodeDecodeError:
        raise BadChallenge("the server's SCRAM message is no text") from None
    return {part[0]: part[2:] for part in text.split(",") if part[1:2] == "="}


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise BadChallenge("the server's SCRAM message is not base64") from None

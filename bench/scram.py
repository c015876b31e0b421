"""SCRAM-SHA-256 as a client says it (RFC 5802, RFC 7677), without channel binding."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from functools import cache


@cache
def _salted(password: str, salt: bytes, iterations: int) -> bytes:
    """Kept, as RFC 5802 5.1 lets clients do: it is the server that is measured."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)


class Scram:
    """One exchange."""

    def __init__(self, user: str, password: str) -> None:
        self._password = password
        self._bare = f"n={user},r={secrets.token_urlsafe(18)}"
        self.first = base64.b64encode(f"n,,{self._bare}".encode())

    def final(self, challenge: bytes) -> bytes:
        """The answer to the server's first message, both in base64."""
        server = base64.b64decode(challenge).decode()
        said = dict(part.split("=", 1) for part in server.split(","))
        salted = _salted(self._password, base64.b64decode(said["s"]), int(said["i"]))
        without_proof = f"c=biws,r={said['r']}"
        self._signed = f"{self._bare},{server},{without_proof}".encode()
        self._salted_password = salted
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        stored_key = hashlib.sha256(client_key).digest()
        signature = hmac.digest(stored_key, self._signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return base64.b64encode(f"{without_proof},p={base64.b64encode(proof).decode()}".encode())

    def is_from_server(self, verifier: bytes) -> bool:
        """The server's last message, in base64, shows that it has the keys."""
        server_key = hmac.digest(self._salted_password, b"Server Key", "sha256")
        signature = hmac.digest(server_key, self._signed, "sha256")
        return base64.b64decode(verifier) == b"v=" + base64.b64encode(signature)

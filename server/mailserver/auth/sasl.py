"""SASL mechanisms, the server's side (RFC 4422): each a tiny machine without I/O.

`start` makes one for one exchange. `step` takes what the client sent and returns what comes next;
a step that asks for something is answered by the method that it names. The protocols own what is
around it: base64, the continuation line, the cancelling `*`, the limits of a line.

A mechanism never says why it failed: an attacker would learn from it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cache
from typing import Protocol

from mailserver.wire.value import value


class Keys(Protocol):
    """What a server keeps of a password for SCRAM (RFC 5802 3)."""

    @property
    def salt(self) -> bytes: ...
    @property
    def iterations(self) -> int: ...
    @property
    def stored_key(self) -> bytes: ...
    @property
    def server_key(self) -> bytes: ...


@value(frozen=True, slots=True)
class Challenge:
    """Send this to the client; `step(its response)`."""

    octets: bytes


@value(frozen=True, slots=True)
class CheckPassword:
    """Is this the user's password? `checked(name)`: None for no."""

    user: str
    password: str = field(repr=False)


@value(frozen=True, slots=True)
class FetchKeys:
    """The user's keys, or false ones for a user who is not there: `keys(…)`."""

    user: str


@value(frozen=True, slots=True)
class Success:
    """The client is this user: the name as `checked` gave it, or as the client wrote it."""

    user: str


@value(frozen=True, slots=True)
class Failure:
    """It is not shown who the client is."""


Step = Challenge | CheckPassword | FetchKeys | Success | Failure

NO_BINDINGS: Mapping[str, bytes] = {}


@value(frozen=True, slots=True)
class Surroundings:
    """What a mechanism is told about the place where it runs."""

    nonce: Callable[[], str]
    """A new text of printable ASCII without a comma that cannot be guessed."""
    bindings: Mapping[str, bytes] = field(default_factory=dict)
    """Channel bindings of the TLS connection by their names (RFC 5056)."""


class Mechanism:
    """One exchange. An answer to what was not asked is a failure."""

    def step(self, response: bytes | None) -> Step:
        """What the client said, decoded; None at the beginning, without an initial response."""
        raise NotImplementedError

    def checked(self, name: str | None) -> Step:
        """The answer to CheckPassword: the user's name as the accounts write it."""
        return Failure()

    def keys(self, keys: Keys) -> Step:
        """The answer to FetchKeys."""
        return Failure()


class _Password(Mechanism):
    def checked(self, name: str | None) -> Step:
        return Failure() if name is None else Success(name)


class Plain(_Password):
    """PLAIN (RFC 4616): identity to act as, user and password in one message."""

    def step(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"")
        try:
            acts_as, user, password = response.decode("utf-8").split("\0")
        except ValueError:  # no UTF-8, or not three parts
            return Failure()
        if not user or not password or not _same(acts_as or user, user):
            return Failure()
        return CheckPassword(user, password)


class Login(_Password):
    """LOGIN, never a standard (draft-murchison-sasl-login-00), but old programs know no other."""

    def __init__(self) -> None:
        self._user: str | None = None

    def step(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"Username:")
        try:
            said = response.decode("utf-8")
        except ValueError:
            return Failure()
        if self._user is None:
            self._user = said
            return Challenge(b"Password:")
        if not self._user or not said or "\0" in self._user + said:
            return Failure()
        return CheckPassword(self._user, said)


# RFC 5802 7. The grammar's `value` is any character but NUL, "=" and ","; user names here are
# shorter than any limit, so a long one is no name.
_CLIENT_FIRST = re.compile(
    r"(?P<header>(?:p=(?P<binding>[A-Za-z0-9.-]+)|(?P<flag>[ny])),(?:a=(?P<acts_as>[^,\0]+))?,)"
    r"(?P<bare>n=(?P<user>[^,\0]+),r=(?P<nonce>[!-+\--~]+)(?:,[^\0]*)?)",
    re.DOTALL,
)
_CLIENT_FINAL = re.compile(
    r"(?P<without_proof>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[!-+\--~]+)(?:,[^\0]*)?)"
    r",p=(?P<proof>[A-Za-z0-9+/=]+)",
    re.DOTALL,
)
_SASL_NAME = re.compile(r"(?:[^=]|=2C|=3D)+", re.DOTALL)


class Scram(Mechanism):
    """SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): the password is never sent, and
    the server shows that it knows it too."""

    def __init__(self, surroundings: Surroundings, *, plus: bool) -> None:
        self._nonce = surroundings.nonce
        self._bindings = surroundings.bindings
        self._plus = plus
        self._next: Callable[[bytes], Step] = self._client_first
        self._user = ""
        self._header = b""  # what `c=` must repeat: gs2-header and channel binding
        self._both_nonces = ""
        self._said = ""  # client-first-message-bare and server-first-message
        self._keys: Keys | None = None

    def step(self, response: bytes | None) -> Step:
        return Challenge(b"") if response is None else self._next(response)

    def _client_first(self, response: bytes) -> Step:
        match = _CLIENT_FIRST.fullmatch(_text(response))
        if match is None:
            return Failure()
        user, acts_as = _sasl_name(match["user"]), _sasl_name(match["acts_as"] or match["user"])
        bound = self._bound(match["binding"], match["flag"])
        if not user or bound is None or not _same(acts_as, user):
            return Failure()
        self._user = user
        self._header = match["header"].encode() + bound
        self._both_nonces = match["nonce"] + self._nonce()
        self._said = match["bare"]
        return FetchKeys(user)

    def _bound(self, binding: str | None, flag: str | None) -> bytes | None:
        """The octets of the chosen binding; None for what cannot be right (RFC 5802 6)."""
        if self._plus:
            return self._bindings.get(binding) if binding else None
        # "y": the client could bind, but saw no -PLUS offered. It was: somebody took it away.
        return None if binding or (flag == "y" and self._bindings) else b""

    def keys(self, keys: Keys) -> Step:
        salt = base64.b64encode(keys.salt).decode()
        server_first = f"r={self._both_nonces},s={salt},i={keys.iterations}"
        self._said = f"{self._said},{server_first}"
        self._keys = keys
        self._next = self._client_final
        return Challenge(server_first.encode())

    def _client_final(self, response: bytes) -> Step:
        self._next = self._nothing_more
        match = _CLIENT_FINAL.fullmatch(_text(response))
        if match is None or self._keys is None:
            return Failure()
        auth_message = f"{self._said},{match['without_proof']}".encode()
        signature = hmac.digest(self._keys.stored_key, auth_message, "sha256")
        client_key = _xor(_base64(match["proof"]), signature)
        right = (
            hmac.compare_digest(_base64(match["binding"]), self._header)
            and hmac.compare_digest(match["nonce"], self._both_nonces)
            and hmac.compare_digest(hashlib.sha256(client_key).digest(), self._keys.stored_key)
        )
        if not right:
            return Failure()
        self._next = self._acknowledged
        shown = hmac.digest(self._keys.server_key, auth_message, "sha256")
        return Challenge(b"v=" + base64.b64encode(shown))

    def _acknowledged(self, response: bytes) -> Step:
        """Neither SMTP nor POP3 can send data with their success (RFC 4954 4, RFC 5034 4)."""
        self._next = self._nothing_more
        return Failure() if response else Success(self._user)

    def _nothing_more(self, response: bytes) -> Step:
        return Failure()


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def _sasl_name(text: str) -> str:
    """saslname of RFC 5802 7: "," and "=" are written =2C and =3D; "" for what is no name."""
    if not _SASL_NAME.fullmatch(text):
        return ""
    return text.replace("=2C", ",").replace("=3D", "=")


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def _xor(left: bytes, right: bytes) -> bytes:
    if len(left) != len(right):
        return b""
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _same(acts_as: str, user: str) -> bool:
    """Nobody acts for another here; user names do not differ by case."""
    return acts_as.lower() == user.lower()


@value(frozen=True, slots=True)
class Row:
    """A mechanism, and where it may be offered."""

    make: Callable[[Surroundings], Mechanism]
    password_in_clear: bool = False
    """The password itself is sent: only where nobody else can read."""
    binds: bool = False
    """It needs a channel binding."""


# The strongest first: many clients take the first one they know.
MECHANISMS: Mapping[str, Row] = {
    "SCRAM-SHA-256-PLUS": Row(lambda s: Scram(s, plus=True), binds=True),
    "SCRAM-SHA-256": Row(lambda s: Scram(s, plus=False)),
    "PLAIN": Row(lambda s: Plain(), password_in_clear=True),
    "LOGIN": Row(lambda s: Login(), password_in_clear=True),
}


def offered(*, clear: bool, bindings: Mapping[str, bytes] = NO_BINDINGS) -> tuple[str, ...]:
    """The mechanisms to name to a client. `clear`: a password may be sent as it is."""
    return _offered(clear=clear, bound=bool(bindings))


@cache
def _offered(*, clear: bool, bound: bool) -> tuple[str, ...]:
    return tuple(
        name
        for name, row in MECHANISMS.items()
        if (clear or not row.password_in_clear) and (bound or not row.binds)
    )


def start(name: str, surroundings: Surroundings) -> Mechanism:
    """A new exchange; `name` in upper case, one of those offered. KeyError for any other."""
    return MECHANISMS[name].make(surroundings)

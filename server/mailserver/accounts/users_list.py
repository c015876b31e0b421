"""What a users.txt says: a line each, `username password`, see `credential` for the password.

The password is the rest of the line, so it may hold spaces. Empty lines and lines that begin with
`#` are skipped. A line that cannot be used is reported with its number; the others work.
"""

from __future__ import annotations

import re
from dataclasses import field

from mailserver.accounts import credential
from mailserver.accounts.credential import Clear, Credential, Hashed, Unreadable
from mailserver.wire.value import value

# The name is also the name of the user's folder, so it can be nothing but a plain name.
_USER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}")
_TAKEN = ("users.txt", "user.txt", "mailserver.toml", "lost+found")
NAME_RULE = (
    "letters, digits and . _ + - only, at most 64, a letter, digit or _ first, and not "
    f"{', '.join(_TAKEN)}, which are others' names in the data folder"
)
_GAP = re.compile(r"[ \t]+")


@value(frozen=True, slots=True)
class UsersList:
    """All that can be used of it."""

    credentials: dict[str, Credential] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Lower case name to the name as it is written."""
    problems: tuple[str, ...] = ()
    clear: bool = False
    """There is a password in clear."""
    hashed: bool = False
    """There is a hashed one."""

    def of(self, user: str) -> tuple[str | None, Credential | None]:
        """A user's name as it is written, and what stands behind it; case does not matter."""
        name = self.names.get(user.lower())
        return name, self.credentials[name] if name else None


def parse(octets: bytes) -> UsersList:
    """Read the lines; what cannot be used is in `problems`, without any password."""
    found: dict[str, Credential] = {}
    names: dict[str, str] = {}
    problems = []
    for number, raw in enumerate(octets.split(b"\n"), 1):
        try:
            name, text = words(raw)
            if name:
                _check(name, names)
                found[name] = _read(name, text)
                names[name.lower()] = name
        except UnicodeDecodeError:
            problems.append(f"line {number} is not UTF-8")
        except Unreadable as problem:
            problems.append(f"line {number}: {problem}")
    kinds = {type(each) for each in found.values()}
    return UsersList(found, names, tuple(problems), Clear in kinds, Hashed in kinds)


def words(line: bytes) -> tuple[str, str]:
    """Name and rest of a line; no name in one that says nothing. Raises UnicodeDecodeError."""
    text = line.decode("utf-8").strip(" \t\r\ufeff")
    if not text or text.startswith("#"):
        return "", ""
    name, rest = (*_GAP.split(text, 1), "")[:2]
    return name, rest


def is_user_name(name: str) -> bool:
    """Can a user have this name?"""
    return bool(_USER_NAME.fullmatch(name)) and name.lower().removesuffix(".new") not in _TAKEN


def _read(name: str, text: str) -> Credential:
    try:
        return credential.read(text)
    except Unreadable as problem:
        raise Unreadable(f"{name}: {problem}") from None


def _check(name: str, names: dict[str, str]) -> None:
    if not is_user_name(name):
        raise Unreadable(f"{name[:80]!a} cannot be a user name: {NAME_RULE}")
    if name.lower() in names:
        raise Unreadable(f"{name} is there twice; the first one counts")

"""Accounts from `users.txt`: a line each, `username password`, read again when the file changes.

The password is the rest of the line, so it may hold spaces. Empty lines and lines that begin with
`#` are skipped. A line that cannot be used is reported with its number; the others work.
"""

from __future__ import annotations

import errno
import hmac
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mailserver.accounts.base import CheckResult, ScramKeys
from mailserver.accounts.password import prepared, scram_keys
from mailserver.accounts.slowdown import Failures, SlowDown
from mailserver.accounts.threads import HashingThreads, InThread

log = logging.getLogger(__name__)

FILE_NAMES = ("users.txt", "user.txt")
FILE_LIMIT = 16 * 1024 * 1024
"""Octets; a bigger file is no list of users."""

# The name is also the name of the user's folder, so it can be nothing but a plain name.
_USER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}")
_GAP = re.compile(r"[ \t]+")
_POSTMASTER = "postmaster"

_Version = tuple[int, int, int]


class AccountsUnusable(Exception):
    """There is no list of users to start with. Says where and what to do."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """What a users.txt says."""

    passwords: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Lower case name to the name as it is written."""
    problems: tuple[str, ...] = ()


def parse(octets: bytes) -> Accounts:
    """Read the lines of a users.txt; what cannot be used is in `problems`."""
    passwords: dict[str, str] = {}
    names: dict[str, str] = {}
    problems = []
    for number, raw in enumerate(octets.split(b"\n"), 1):
        try:
            line = raw.decode("utf-8").strip(" \t\r\ufeff")
        except UnicodeDecodeError:
            problems.append(f"line {number} is not UTF-8")
            continue
        if not line or line.startswith("#"):
            continue
        name, password = (*_GAP.split(line, 1), "")[:2]
        problem = _problem(name, password, names)
        if problem:
            problems.append(f"line {number}: {problem}")
            continue
        passwords[name] = password
        names[name.lower()] = name
    return Accounts(passwords, names, tuple(problems))


def _problem(name: str, password: str, names: dict[str, str]) -> str:
    if not _USER_NAME.fullmatch(name):
        return (
            f"{name[:80]!a} cannot be a user name: "
            "letters, digits and . _ + - only, at most 64, a letter or digit first"
        )
    if not password:
        return f"{name} has no password; a line is `username password`"
    if not password.isprintable():
        return f"the password of {name} has a control character"
    if name.lower() in names:
        return f"{name} is there twice; the first one counts"
    return ""


class UsersFile:
    """See `base.Accounts`."""

    def __init__(
        self,
        data: Path,
        in_thread: InThread | None = None,
        clock: Callable[[], float] = time.monotonic,
        allowed: Failures = Failures(),  # noqa: B008, it cannot change
    ) -> None:
        """Reads the file in the data folder; raises AccountsUnusable when there is none. What
        takes long goes through `in_thread`; `clock` in seconds."""
        found = [data / name for name in FILE_NAMES if (data / name).is_file()]
        if not found:
            raise AccountsUnusable(
                f"{data}: no {FILE_NAMES[0]} here; make one with a line `username password` a user"
            )
        self._path = found[0]
        self._name = str(found[0])  # looking at the file by its name is twice as fast
        self._version: _Version | None = None
        self._accounts = Accounts()
        self._in_thread = in_thread or HashingThreads()
        self._slow_down = SlowDown(allowed, clock)
        self._secret = secrets.token_bytes(32)
        try:
            self._read(os.stat(self._path))
        except OSError as error:
            raise AccountsUnusable(f"{self._path}: {error.strerror}") from None

    def find(self, local_part: str) -> str | None:
        """See `base.Accounts`. Mail for postmaster, whom every server has (RFC 5321 4.5.1), goes to
        the user of that name, else to the first one in the file."""
        accounts = self._current()
        name = accounts.names.get(local_part.lower())
        if name is None and local_part.lower() == _POSTMASTER:
            return next(iter(accounts.passwords), None)
        return name

    async def check(self, user: str, password: str, peer: str) -> CheckResult:
        """See `base.Accounts`."""
        wait = self.must_wait(user, peer)
        if wait:
            return CheckResult(wait=wait)
        name, expected = self._clear(user)
        given = prepared(password).encode()
        right = hmac.compare_digest(prepared(expected).encode(), given) and name is not None
        self.note(user, peer, right=right)
        return CheckResult(name if right else None)

    def must_wait(self, user: str, peer: str) -> float:
        """See `base.Accounts`."""
        return self._slow_down.wait(user, peer)

    async def scram_keys(self, user: str) -> ScramKeys:
        """See `base.Accounts`. Unknown users cost what the others cost."""
        name, password = self._clear(user)
        salt = hmac.digest(self._secret, user.lower().encode(), "sha256")[:16]
        if name is None:
            password = secrets.token_hex()
        return await self._in_thread(lambda: scram_keys(password, salt))

    def clear_password(self, user: str) -> str | None:
        """See `base.Accounts`."""
        return self._clear(user)[1] or None

    def note(self, user: str, peer: str, *, right: bool) -> None:
        """See `base.Accounts`."""
        self._slow_down.note(user, peer, right=right)

    def _clear(self, user: str) -> tuple[str | None, str]:
        accounts = self._current()
        name = accounts.names.get(user.lower())
        return name, accounts.passwords[name] if name else ""

    def _current(self) -> Accounts:
        try:
            found = os.stat(self._name)
            if _version(found) != self._version:
                self._read(found)
        except OSError as error:
            if self._version is not None:  # say it once
                log.error("%s: %s; the users stay as they were", self._path, error.strerror)
                self._version = None
        return self._accounts

    def _read(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "is not a plain file")
        if found.st_size > FILE_LIMIT:
            raise OSError(errno.EFBIG, f"more than {FILE_LIMIT} octets")
        octets = self._path.read_bytes()
        # a file that changes while it is read is read again at the next look
        self._version = _version(found)
        self._accounts = parse(octets)
        for problem in self._accounts.problems:
            log.warning("%s: %s", self._path, problem)
        log.info("%s: %d users", self._path, len(self._accounts.passwords))


def _version(found: os.stat_result) -> _Version:
    return found.st_mtime_ns, found.st_size, found.st_ino

"""Accounts from `users.txt`, read again when it changes; see `users_list` for what it says."""

from __future__ import annotations

import errno
import hmac
import logging
import os
import secrets
import stat
import time
from asyncio import Lock
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from weakref import WeakValueDictionary

from mailserver.accounts.base import CheckResult, ScramKeys, TooBusy
from mailserver.accounts.checking import Checking
from mailserver.accounts.credential import Clear, Hashed
from mailserver.accounts.password import SCRAM_ITERATIONS, prepared, scram_keys
from mailserver.accounts.slowdown import TABLES, Failures, SlowDown
from mailserver.accounts.users_list import UsersList, parse
from mailserver.shared_rows import open_in
from mailserver.threads import InThread, Threads
from mailserver.wire.peer import network_of

log = logging.getLogger(__name__)

FILE_NAMES = ("users.txt", "user.txt")
FILE_LIMIT = 16 * 1024 * 1024
"""Octets; a bigger file is no list of users."""
FAILURES = "failures"

_POSTMASTER = "postmaster"
SETTLED_SECONDS = 1.0
"""Without a change, until it is believed that users are gone from a file that is written in place:
a moment ago it may have been empty."""
HASHING_THREADS = 2
"""At once; each takes milliseconds of a core, and memory."""

Version = tuple[int, int, int, int]


class AccountsUnusable(Exception):
    """There is no list of users to start with. Says where and what to do."""


class UsersFile:
    """See `base.Accounts`."""

    def __init__(
        self,
        data: Path,
        in_thread: InThread | None = None,
        clock: Callable[[], float] = time.monotonic,
        allowed: Failures = Failures(),  # noqa: B008, it cannot change
    ) -> None:
        """Reads the file in the data folder; raises AccountsUnusable when there is none, OSError
        when the folder cannot be written. What takes long goes through `in_thread`; `clock` in
        seconds, the same for all processes of this machine."""
        self._path, self._version, self._users = first_look(data)
        self._half_written: Version | None = None  # this one may be
        self.uncertain = False
        self._name = str(self._path)  # looking at the file by its name is twice as fast
        self._in_thread = in_thread or Threads("hashing", HASHING_THREADS)
        self._checking = Checking(self._in_thread, clock)
        self._turns: WeakValueDictionary[tuple[str, str], Lock] = WeakValueDictionary()
        failures = open_in(data, FAILURES, TABLES)
        self._secret = failures.secret  # all servers have to give the same false salts
        self._slow_down = SlowDown(allowed, clock, failures)

    def find(self, local_part: str) -> str | None:
        """See `base.Accounts`. Mail for postmaster, whom every server has (RFC 5321 4.5.1), goes to
        the user of that name, else to the first one in the file."""
        users = self._current()
        name = users.names.get(local_part.lower())
        if name is None and local_part.lower() == _POSTMASTER:
            return next(iter(users.credentials), None)
        return name

    async def check(self, user: str, password: str, peer: str) -> CheckResult:
        """See `base.Accounts`. One at a time for an address and a user, so that many guesses at
        once are no more than many guesses; and who has just logged in need not be hashed again.
        Where nothing is hashed, a look takes no turn: it is over before anybody else has his."""
        if not self._users.hashed:
            return await self._check(user, password, peer)
        turn = self._turns.setdefault((user.lower(), network_of(peer)), Lock())
        try:
            with self._checking.place() if turn.locked() else nullcontext():
                await turn.acquire()
        except TooBusy:
            return CheckResult(wait=TooBusy.seconds)
        try:
            return await self._check(user, password, peer)
        finally:
            turn.release()

    async def _check(self, user: str, password: str, peer: str) -> CheckResult:
        wait = self.must_wait(user, peer)
        if wait:
            return CheckResult(wait=wait)
        users = self._current()
        name, kept = users.of(user)
        try:
            right = await self._checking.is_right(kept, password, hashing=users.hashed)
        except TooBusy:
            return CheckResult(wait=TooBusy.seconds)
        self.note(user, peer, right=right)
        if not right and self.uncertain:
            return CheckResult(wait=TooBusy.seconds)
        return CheckResult(name if right else None)

    def must_wait(self, user: str, peer: str) -> float:
        """See `base.Accounts`."""
        return self._slow_down.wait(user, peer)

    async def scram_keys(self, user: str) -> ScramKeys:
        """See `base.Accounts`. If keys must be derived for some, it is done for all: to have keys
        at hand would be a sign of being there."""
        users = self._current()
        kept = users.of(user)[1]
        salt = hmac.digest(self._secret, user.lower().encode(), "sha256")[:16]
        password = kept.password if isinstance(kept, Clear) else secrets.token_hex()
        if users.clear:
            with self._checking.place():
                keys = await self._in_thread(lambda: scram_keys(password, salt))
        else:
            unknown = secrets.token_bytes(32)
            keys = ScramKeys(salt, SCRAM_ITERATIONS, unknown, unknown)
        return kept.keys if isinstance(kept, Hashed) and kept.keys else keys

    def clear_password(self, user: str) -> str | None:
        """See `base.Accounts`."""
        kept = self._current().of(user)[1]
        return prepared(kept.password) if isinstance(kept, Clear) else None

    def note(self, user: str, peer: str, *, right: bool) -> None:
        """See `base.Accounts`."""
        self._slow_down.note(user, peer, right=right)

    def _current(self) -> UsersList:
        try:
            found = os.stat(self._name)
            version = version_of(found)
            if version != self._version or self.uncertain:
                self._look(found, version)
        except OSError as error:
            if not self.uncertain:  # say it once
                log.error("%s: %s; the users stay as they were", self._path, error.strerror)
                self.uncertain = True
        return self._users

    def _look(self, found: os.stat_result, version: Version) -> None:
        if version == self._half_written and self._is_fresh(found):
            return
        users = parse(read_file(self._path, found))
        someone_is_gone = not self._users.names.keys() <= users.names.keys()
        if someone_is_gone and self._is_fresh(os.stat(self._name)):
            self._half_written = version
            return
        # a file that changes while it is read is read again at the next look
        self._users, self._version, self.uncertain = users, version, False
        _tell(self._path, users)

    def _is_fresh(self, found: os.stat_result) -> bool:
        """It was written to in place just now. A file that takes the place of another is whole,
        unless it is empty."""
        inode = self._version[0]
        if found.st_ino != inode and found.st_size:
            return False
        return 0.0 <= time.time() - found.st_mtime < SETTLED_SECONDS


def first_look(data: Path) -> tuple[Path, Version, UsersList]:
    """The list of users in a data folder, and in the log what is wrong with it; raises
    AccountsUnusable. Changes nothing."""
    path = find_file(data)
    try:
        found = os.stat(path)
        users = parse(read_file(path, found))
    except PermissionError as error:
        said = f"{error.strerror}; user {os.getuid()}, who runs this, must be able to read it"
        raise AccountsUnusable(f"{path}: {said}") from None
    except OSError as error:
        raise AccountsUnusable(f"{path}: {error.strerror}") from None
    _tell(path, users)
    if found.st_mode & 0o077:
        log.warning("%s can be read by others; chmod 600 keeps it from them", path)
    return path, version_of(found), users


def _tell(path: Path, users: UsersList) -> None:
    for problem in users.problems:
        log.warning("%s: %s", path, problem)
    level = logging.INFO if users.credentials else logging.WARNING
    log.log(level, "%s: %d users", path, len(users.credentials))


def find_file(data: Path) -> Path:
    """The list of users in a data folder; raises AccountsUnusable when there is none."""
    for name in FILE_NAMES:
        if (data / name).exists():
            return data / name
    raise AccountsUnusable(
        f"{data}: no {FILE_NAMES[0]} here; make one with a line `username password` a user"
    )


def read_file(path: Path, found: os.stat_result) -> bytes:
    """Its octets; raises OSError for what cannot be a list of users."""
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is not a plain file")
    if found.st_size > FILE_LIMIT:
        raise OSError(errno.EFBIG, f"more than {FILE_LIMIT} octets")
    return path.read_bytes()


def version_of(found: os.stat_result) -> Version:
    """Inode and more; differs when the file has changed."""
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size

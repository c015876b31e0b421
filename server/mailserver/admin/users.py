"""`mailadmin users …`: the lines of users.txt. Running servers see a change with the next login."""

from __future__ import annotations

import argparse
import fcntl
import getpass
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mailserver import durable
from mailserver.accounts import credential, editing
from mailserver.accounts.credential import Clear, Hashed
from mailserver.accounts.users_file import (
    FILE_NAMES,
    AccountsUnusable,
    find_file,
    read_file,
    version_of,
)
from mailserver.accounts.users_list import NAME_RULE, UsersList, is_user_name, parse
from mailserver.admin.problem import Problem
from mailserver.wire.value import value

_LOCK = "users.lock"


def prepare(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mailadmin users`."""
    names = parser.add_subparsers(required=True, metavar="ACTION")
    for name, action in ACTIONS.items():
        what = names.add_parser(name, help=action.what, description=action.what)
        if action.names:
            what.add_argument("name", nargs=action.names, metavar="NAME")
        what.set_defaults(run=action.run)


# -- actions -------------------------------------------------------------------


def _list(chosen: argparse.Namespace) -> None:
    users = _Edit(chosen.data).users
    for problem in users.problems:
        sys.stderr.write(f"mailadmin: {problem}\n")
    for name, kept in users.credentials.items():
        sys.stdout.write(f"{name}\t{_kind(kept)}\n")


def _kind(kept: Clear | Hashed) -> str:
    if isinstance(kept, Clear):
        return "clear"
    return "hashed" if kept.keys else "hashed, no SCRAM"


def _hash(chosen: argparse.Namespace) -> None:
    with _edit(chosen.data) as edit:
        wanted = [edit.existing(name) for name in chosen.name] or list(edit.users.credentials)
        done = 0
        for name in wanted:
            kept = edit.users.credentials[name]
            if isinstance(kept, Clear):
                edit.octets = editing.put(
                    edit.octets, name, credential.from_password(kept.password)
                )
                done += 1
        for problem in edit.users.problems:
            sys.stderr.write(f"mailadmin: left as it is: {problem}\n")
    sys.stdout.write(f"{done} hashed, {len(wanted) - done} were already\n")


def _add(chosen: argparse.Namespace) -> None:
    [name] = chosen.name
    if not is_user_name(name):
        raise Problem(f"{name[:80]!a} cannot be a user name: {NAME_RULE}")
    with _edit(chosen.data, new=True) as edit:
        if name.lower() in edit.users.names:
            raise Problem(f"{edit.users.names[name.lower()]} is there already; passwd changes it")
        edit.octets = editing.put(edit.octets, name, _new_credential(name))
    sys.stdout.write(f"{name} can log in\n")


def _passwd(chosen: argparse.Namespace) -> None:
    with _edit(chosen.data) as edit:
        name = edit.existing(*chosen.name)
        edit.octets = editing.put(edit.octets, name, _new_credential(name))
    sys.stdout.write(f"{name} has a new password\n")


def _delete(chosen: argparse.Namespace) -> None:
    with _edit(chosen.data) as edit:
        names = [edit.existing(name) for name in chosen.name]
        for name in names:
            edit.octets = editing.remove(edit.octets, name)
    for name in names:
        sys.stdout.write(f"{name} cannot log in any more; the mail stays in {chosen.data / name}\n")


@value(frozen=True, slots=True)
class _Action:
    what: str
    run: Callable[[argparse.Namespace], None]
    names: int | str = 1
    """How many names it takes, as argparse says it."""


ACTIONS = {
    "list": _Action("all users, and how their passwords are kept", _list, names=0),
    "hash": _Action(
        "replace clear passwords by argon2id and SCRAM keys (all, or NAME …)", _hash, "*"
    ),
    "add": _Action("a new user; asks for the password, or reads a line of it", _add),
    "passwd": _Action("a new password; asks for it, or reads a line of it", _passwd),
    "delete": _Action("remove users; their mail stays", _delete, "+"),
}


# -- the file ------------------------------------------------------------------


class _Edit:
    """A users.txt as it was found; what is in `octets` at the end is written."""

    def __init__(self, data: Path, *, new: bool = False) -> None:
        try:
            self.path = find_file(data).resolve()
            self.found: os.stat_result | None = self.path.stat()
            self.octets = read_file(self.path, self.found)
        except AccountsUnusable as problem:
            if not new:
                raise Problem(f"{problem}, or: mailadmin users add NAME") from None
            self.path, self.found, self.octets = data.resolve() / FILE_NAMES[0], None, b""
        except OSError as error:
            raise Problem(f"{data}: {error.strerror}") from None
        self.before = self.octets
        self.users: UsersList = parse(self.octets)

    def existing(self, name: str) -> str:
        """The name as it is written."""
        if name.lower() not in self.users.names:
            raise Problem(f"there is no user {name[:80]!a} in {self.path}")
        return self.users.names[name.lower()]

    def write(self) -> None:
        """The changed file, with the owner and the mode of the old one; a new one belongs to whose
        folder it is in, and is for him alone."""
        if self.found and version_of(self.path.stat()) != version_of(self.found):
            raise Problem(f"{self.path} was changed meanwhile; nothing was written, run this again")
        owner = self.found or self.path.parent.stat()
        mode = stat.S_IMODE(self.found.st_mode) if self.found else durable.PRIVATE_FILE
        folder = durable.open_folder(os.fspath(self.path.parent))
        try:
            durable.write_atomically(
                self.path.name,
                folder,
                [self.octets],
                owner=(owner.st_uid, owner.st_gid),
                mode=mode,
            )
        finally:
            os.close(folder)


@contextmanager
def _edit(data: Path, *, new: bool = False) -> Iterator[_Edit]:
    """Writes what was changed, unless something is raised; one mailadmin at a time."""
    try:
        with _lock(data.resolve()):
            edit = _Edit(data, new=new)
            yield edit
            if edit.octets != edit.before:
                edit.write()
    except OSError as error:
        raise Problem(f"{error.filename or data}: {error.strerror}; nothing was changed") from None


@contextmanager
def _lock(data: Path) -> Iterator[None]:
    with ExitStack() as stack:
        parent = durable.open_folder(os.fspath(data))
        stack.callback(os.close, parent)
        own = durable.open_folder(durable.OWN_FOLDER, parent, create=True)
        stack.callback(os.close, own)
        lock = durable.open_file(_LOCK, own, os.O_RDWR | os.O_CREAT)
        stack.callback(os.close, lock)
        if os.geteuid() == 0:  # made by root or not, the servers have to get in
            owner = os.fstat(parent)
            os.fchown(own, owner.st_uid, owner.st_gid)
            os.fchown(lock, owner.st_uid, owner.st_gid)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _new_credential(name: str) -> Hashed:
    if sys.stdin.isatty():
        password = getpass.getpass(f"password of {name}: ")
        if password != getpass.getpass("once more: "):
            raise Problem("these were two different passwords; nothing changed")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password or not password.isprintable():
        raise Problem("a password has one character at least, and no control characters")
    return credential.from_password(password)

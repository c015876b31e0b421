"""mailadmin users …: what it does to users.txt, and what it leaves alone."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Protocol

import pytest

from mailserver.accounts import credential
from mailserver.accounts.users_file import UsersFile
from mailserver.admin import command, users

SERVER = Path(__file__).parents[4] / "server"
TEXT = (
    b"\xef\xbb\xbf# our users\r\n"
    b"Alice  wonder land\r\n"
    b"\r\n"
    b"\xff not text\r\n"
    b"bob\tbuilder\r\n"
    b"ALICE second\r\n"
    b"  # the end"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "users.txt"
    path.write_bytes(TEXT)
    return path


def run(data: Path, *words: str, stdin: str = "", monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    return command.main(["--data", str(data), "users", *words])


class Admin(Protocol):
    def __call__(self, *words: str, stdin: str = "") -> int: ...


@pytest.fixture
def admin(path: Path, monkeypatch: pytest.MonkeyPatch) -> Admin:
    return lambda *words, stdin="": run(path.parent, *words, stdin=stdin, monkeypatch=monkeypatch)


def can_log_in(data: Path, user: str, password: str) -> bool:
    return asyncio.run(UsersFile(data).check(user, password, "192.0.2.1")).user is not None


def test_hash_replaces_clear_passwords_and_nothing_else(
    admin: Admin, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert admin("hash") == 0
    before, after = TEXT.split(b"\n"), path.read_bytes().split(b"\n")
    changed = [
        number
        for number, lines in enumerate(zip(before, after, strict=True))
        if lines[0] != lines[1]
    ]
    assert changed == [1, 4]
    assert after[1].startswith(b"Alice {ARGON2ID}$argon2id$")
    assert after[1].endswith(b"\r")
    said = capsys.readouterr()
    assert said.out == "2 hashed, 0 were already\n"
    assert "line 6: ALICE is there twice" in said.err
    assert can_log_in(path.parent, "alice", "wonder land")
    assert not can_log_in(path.parent, "alice", "second")
    assert sorted(each.name for each in path.parent.iterdir()) == [".mailserver", "users.txt"]

    version = path.stat().st_ino
    assert admin("hash") == 0
    assert capsys.readouterr().out == "0 hashed, 2 were already\n"
    assert path.stat().st_ino == version  # not even written


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_the_file_keeps_mode_and_owner(admin: Admin, path: Path, mode: int) -> None:
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 12345, 54321)
    before = path.stat()
    assert admin("hash") == 0
    after = path.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_hash_of_one(admin: Admin, path: Path) -> None:
    assert admin("hash", "BOB") == 0
    assert b"Alice  wonder land\r\n" in path.read_bytes()
    assert b"bob {ARGON2ID}" in path.read_bytes()


def test_add(admin: Admin, path: Path) -> None:
    assert admin("add", "carol", stdin="new pass word\n") == 0
    assert path.read_bytes().startswith(TEXT + b"\ncarol {ARGON2ID}")
    assert path.read_bytes().endswith(b"\n")
    assert can_log_in(path.parent, "carol", "new pass word")
    assert b"new pass word" not in path.read_bytes()


def test_add_to_a_folder_that_has_no_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, "add", "carol", stdin="x", monkeypatch=monkeypatch) == 0
    assert can_log_in(tmp_path, "carol", "x")
    assert (tmp_path / "users.txt").stat().st_mode & 0o777 == 0o600


def test_passwd(admin: Admin, path: Path) -> None:
    server = UsersFile(path.parent)
    assert admin("passwd", "aLICE", stdin="new\r\n") == 0
    for password, right in (("new", True), ("wonder land", False)):
        result = asyncio.run(server.check("alice", password, "192.0.2.1"))
        assert (result.user == "Alice") is right


def test_delete_takes_all_lines_of_that_name(
    admin: Admin, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert admin("delete", "alice") == 0
    left = path.read_bytes()
    assert b"wonder" not in left
    assert b"second" not in left
    assert b"bob\tbuilder" in left
    assert "the mail stays in" in capsys.readouterr().out


def test_list(admin: Admin, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    admin("hash", "bob")
    path.write_bytes(
        path.read_bytes()
        + b"\ndave "
        + credential.write(credential.from_password("x")).partition(" ")[0].encode()
    )
    capsys.readouterr()
    assert admin("list") == 0
    assert capsys.readouterr().out == "Alice\tclear\nbob\thashed\ndave\thashed, no SCRAM\n"


@pytest.mark.parametrize(
    ("words", "stdin", "problem"),
    [
        (["add", "alice"], "x", "Alice is there already"),
        (["add", "../x"], "x", "cannot be a user name"),
        (["add", "carol"], "", "a password has one character at least"),
        (["add", "carol"], "\n", "a password has one character at least"),
        (["add", "carol"], "a\tb\n", "no control characters"),
        (["passwd", "carol"], "x", "there is no user 'carol'"),
        (["passwd", "alice"], "", "a password has one character at least"),
        (["delete", "bob", "carol"], "", "there is no user 'carol'"),
        (["hash", "carol"], "", "there is no user 'carol'"),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    admin: Admin,
    path: Path,
    words: list[str],
    stdin: str,
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert admin(*words, stdin=stdin) == 1
    said = capsys.readouterr()
    assert problem in said.err
    assert said.out == ""
    assert path.read_bytes() == TEXT


def test_an_edit_by_hand_meanwhile_is_not_lost(
    admin: Admin, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hashing = credential.from_password

    def slowly(password: str) -> credential.Hashed:
        path.write_bytes(TEXT + b"\ncarol new\n")
        return hashing(password)

    monkeypatch.setattr(credential, "from_password", slowly)
    assert admin("passwd", "bob", stdin="x") == 1
    assert "was changed meanwhile" in capsys.readouterr().err
    assert b"carol new" in path.read_bytes()


def test_two_at_once_lose_nothing(path: Path) -> None:
    """Both read, change and write the whole file."""
    source = [sys.executable, str(SERVER / "mailadmin.py"), "--data", str(path.parent), "users"]

    def add(name: str) -> None:
        subprocess.run([*source, "add", name], input=b"x\n", check=True, capture_output=True)

    adders = [threading.Thread(target=add, args=(name,)) for name in ("carol", "dave", "erin")]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join()
    assert all(f"\n{name} ".encode() in path.read_bytes() for name in ("carol", "dave", "erin"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_changes_stays_the_servers(admin: Admin, path: Path) -> None:
    os.chown(path.parent, 10001, 10001)
    os.chown(path, 10001, 10001)
    assert admin("hash") == 0
    for each in (path, path.parent / ".mailserver"):
        assert (each.stat().st_uid, each.stat().st_gid) == (10001, 10001)


def test_a_link_is_kept_and_its_target_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "list").write_text("bob builder\n")
    (tmp_path / "users.txt").symlink_to("elsewhere/list")
    assert run(tmp_path, "hash", monkeypatch=monkeypatch) == 0
    assert (tmp_path / "users.txt").is_symlink()
    assert "{ARGON2ID}" in (tmp_path / "elsewhere" / "list").read_text()


def test_where_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, "list", monkeypatch=monkeypatch) == 1
    assert run(tmp_path / "nowhere", "list", monkeypatch=monkeypatch) == 1
    with pytest.raises(SystemExit):
        command.main(["users"])
    assert set(users.ACTIONS) == {"list", "hash", "add", "passwd", "delete"}

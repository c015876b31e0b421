"""users.txt: what its lines mean, what is wrong with them, when it is read again."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.post import MORE

from mailserver.accounts import users_file
from mailserver.accounts.password import scram_keys
from mailserver.accounts.users_file import AccountsUnusable, UsersFile, parse


@pytest.mark.parametrize(
    ("line", "name", "password"),
    [
        (b"alice wonderland", "alice", "wonderland"),
        (b"  alice   wonderland  ", "alice", "wonderland"),
        (b"alice\twonderland", "alice", "wonderland"),
        (b"alice \t wonderland", "alice", "wonderland"),
        (b"alice down the rabbit  hole", "alice", "down the rabbit  hole"),
        (b"alice wonderland\r", "alice", "wonderland"),
        (b"\xef\xbb\xbfalice wonderland", "alice", "wonderland"),
        (b"alice # not a comment", "alice", "# not a comment"),
        (b"alice p\xc3\xa4ss", "alice", "päss"),
        (b"Alice.B-c+d_e x", "Alice.B-c+d_e", "x"),
        (b"_ x", "_", "x"),
        (b"7 x", "7", "x"),
        (b"a" * 64 + b" x", "a" * 64, "x"),
        (b"alice..b x", "alice..b", "x"),
        (b"alice " + b"p" * 10_000, "alice", "p" * 10_000),
    ],
)
def test_a_line(line: bytes, name: str, password: str) -> None:
    accounts = parse(line)
    assert accounts.problems == ()
    assert accounts.passwords == {name: password}
    assert accounts.names == {name.lower(): name}


@pytest.mark.parametrize(
    "line", [b"", b" ", b"\t", b"\r", b"# alice x", b"   # x", b"\xef\xbb\xbf", b"#"]
)
def test_lines_that_say_nothing(line: bytes) -> None:
    accounts = parse(line)
    assert accounts.passwords == {}
    assert accounts.problems == ()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"../alice x", "'../alice' cannot be a user name"),
        (b".mailserver x", "'.mailserver' cannot be a user name"),
        (b".. x", "'..' cannot be a user name"),
        (b". x", "'.' cannot be a user name"),
        (b"/etc x", "cannot be a user name"),
        (b"a/b x", "cannot be a user name"),
        (b"a\\b x", "cannot be a user name"),
        (b"-rf x", "cannot be a user name"),
        (b"+a x", "cannot be a user name"),
        (b"alice@mailserver x", "cannot be a user name"),
        (b"alice:x", "cannot be a user name"),
        (b"al\0ice x", "'al\\x00ice' cannot be a user name"),
        (b"al\x1b[2Jice x", "'al\\x1b[2Jice' cannot be a user name"),
        (b"\xc3\xa4lice x", "'\\xe4lice' cannot be a user name"),
        (b"\xd9\xa3 x", "cannot be a user name"),  # a digit, but not of ours
        (b"a" * 65 + b" x", "cannot be a user name"),
        (b"alice", "alice has no password"),
        (b"alice ", "alice has no password"),
        (b"alice x\0y", "the password of alice has a control character"),
        (b"alice x\ty", "the password of alice has a control character"),
        (b"alice x\x1by", "the password of alice has a control character"),
        (b"alice x\rbob y", "the password of alice has a control character"),
        (b"\xc2\xa0", "'\\xa0' cannot be a user name"),
        (b"alice\xc2\xa0x", "cannot be a user name"),
        (b"al\xffice x", "is not UTF-8"),
        (b"alice \xff", "is not UTF-8"),
    ],
)
def test_a_line_that_cannot_be_used_has_its_number(line: bytes, problem: str) -> None:
    accounts = parse(b"one 1\n\n" + line + b"\ntwo 2\n")
    assert accounts.passwords == {"one": "1", "two": "2"}
    [said] = accounts.problems
    assert said.startswith("line 3")
    assert problem in said
    assert said.isprintable()


def test_no_password_is_ever_said() -> None:
    [problem] = parse(b"alice secret\tpassword").problems
    assert "secret" not in problem


def test_the_first_of_two_counts() -> None:
    accounts = parse(b"alice one\nALICE two\nalice three\n")
    assert accounts.passwords == {"alice": "one"}
    assert accounts.problems == (
        "line 2: ALICE is there twice; the first one counts",
        "line 3: alice is there twice; the first one counts",
    )


def test_a_file_from_another_system() -> None:
    accounts = parse(b"\xef\xbb\xbf# users\r\nalice a b\r\n\r\nbob c\r\n")
    assert accounts.passwords == {"alice": "a b", "bob": "c"}
    assert accounts.problems == ()


@settings(max_examples=500 * MORE, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"..", b"/", b".", b" ", b"\0", b"a", b"\\", b"\n", b"~", b"\t", b"\xc2\xa0"]
        )
        | st.binary(max_size=3)
    ).map(b"".join)
)
def test_no_name_leads_out_of_the_data_folder(octets: bytes) -> None:
    accounts = parse(octets)
    for name in accounts.passwords:
        assert os.path.normpath(os.path.join("/data", name)) == f"/data/{name}"
        assert os.path.basename(name) == name
        assert not name.startswith(".")
        assert name.isascii()
        assert name.isprintable()
        assert len(name) <= 64
    assert len(accounts.names) == len(accounts.passwords)
    assert all(problem.isprintable() for problem in accounts.problems)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.txt"


@pytest.fixture
def users(path: Path) -> UsersFile:
    path.write_text("Alice wonder land\nbob builder\n")
    return UsersFile(path.parent)


def check(users: UsersFile, user: str, password: str) -> str | None:
    return asyncio.run(users.check(user, password, "192.0.2.1")).user


def test_passwords(users: UsersFile) -> None:
    assert check(users, "Alice", "wonder land") == "Alice"
    assert check(users, "Alice", "wonder") is None
    assert check(users, "Alice", "Wonder land") is None
    assert check(users, "Alice", "wonder land ") is None
    assert check(users, "Alice", "") is None
    assert check(users, "carol", "") is None
    assert check(users, "carol", "builder") is None
    assert check(users, "", "") is None
    assert check(users, "bob", "wonder land") is None


def test_the_case_of_a_name_does_not_matter(users: UsersFile) -> None:
    assert check(users, "aLICE", "wonder land") == "Alice"
    assert users.find("ALICE") == "Alice"
    assert users.find("Bob") == "bob"


@pytest.mark.parametrize("name", ["", "../bob", ".mailserver", "bob ", "bob\0", "carol", "*"])
def test_nobody(users: UsersFile, name: str) -> None:
    assert users.find(name) is None


def test_mail_for_postmaster_goes_to_the_first(users: UsersFile, path: Path) -> None:
    assert users.find("postmaster") == "Alice"
    assert users.find("PostMaster") == "Alice"
    assert check(users, "postmaster", "wonder land") is None
    path.write_text("bob builder\nPostmaster stamp\n")
    assert users.find("postmaster") == "Postmaster"


def test_a_postmaster_where_nobody_is(users: UsersFile, path: Path) -> None:
    path.write_text("# nobody\n")
    assert users.find("postmaster") is None


def test_a_change_is_seen(users: UsersFile, path: Path) -> None:
    path.write_text("Alice other\ncarol new\n")
    assert users.find("bob") is None
    assert check(users, "Alice", "wonder land") is None
    assert check(users, "Alice", "other") == "Alice"
    assert users.find("carol") == "carol"


def test_a_file_that_replaces_it_is_seen(users: UsersFile, path: Path) -> None:
    """As editors and careful programs write: beside it, then renamed. Same size, same time."""
    before = path.stat()
    other = path.with_name("users.txt~")
    other.write_text("Alice wonder LAND\nbob builder\n")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)
    assert path.stat().st_size == before.st_size
    assert check(users, "Alice", "wonder LAND") == "Alice"


def test_an_empty_file_has_nobody(users: UsersFile, path: Path) -> None:
    path.write_bytes(b"")
    assert users.find("bob") is None


def test_an_unchanged_file_is_not_read_again(
    users: UsersFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(5):
        assert users.find("bob") == "bob"
    assert caplog.records == []


def test_when_it_is_gone_the_users_stay(
    users: UsersFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.unlink()
    for _ in range(5):
        assert users.find("bob") == "bob"
        assert check(users, "bob", "builder") == "bob"
    [said] = caplog.messages
    assert "the users stay as they were" in said
    caplog.clear()
    path.write_text("carol new\n")
    assert users.find("carol") == "carol"
    assert users.find("bob") is None
    path.unlink()
    assert users.find("carol") == "carol"
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("kind", ["folder", "pipe", "too big"])
def test_when_it_becomes_something_else_the_users_stay(
    users: UsersFile, path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.touch()
        os.truncate(path, users_file.FILE_LIMIT + 1)
    for _ in range(3):
        assert users.find("bob") == "bob"
    assert len([m for m in caplog.messages if "stay as they were" in m]) == 1


def test_problems_are_said_once_a_version(
    users: UsersFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("bob builder\n../alice x\n")
    for _ in range(3):
        assert users.find("bob") == "bob"
    assert [m for m in caplog.messages if "line 2" in m] == [caplog.messages[0]]


def test_user_txt_will_do(tmp_path: Path) -> None:
    (tmp_path / "user.txt").write_text("bob builder\n")
    assert UsersFile(tmp_path).find("bob") == "bob"


def test_users_txt_comes_first(tmp_path: Path) -> None:
    (tmp_path / "user.txt").write_text("bob builder\n")
    (tmp_path / "users.txt").write_text("alice wonderland\n")
    assert UsersFile(tmp_path).find("bob") is None


def test_without_a_list_there_is_no_start(tmp_path: Path) -> None:
    with pytest.raises(AccountsUnusable, match=r"no users\.txt here; make one"):
        UsersFile(tmp_path)


def test_a_list_that_is_too_big_is_no_start(path: Path) -> None:
    path.touch()
    os.truncate(path, users_file.FILE_LIMIT + 1)
    with pytest.raises(AccountsUnusable, match=r"users\.txt: more than"):
        UsersFile(path.parent)


def test_a_list_that_is_a_folder_is_no_start(path: Path) -> None:
    path.mkdir()
    with pytest.raises(AccountsUnusable, match=r"no users\.txt"):
        UsersFile(path.parent)


def test_a_link_to_a_list_is_followed(tmp_path: Path) -> None:
    """Secrets of a container are mounted so."""
    (tmp_path / "real").write_text("bob builder\n")
    (tmp_path / "users.txt").symlink_to("real")
    assert UsersFile(tmp_path).find("bob") == "bob"


def test_keys_for_those_who_are_not_there_stay_the_same(users: UsersFile) -> None:
    first, again, other, true = (
        asyncio.run(users.scram_keys(name)) for name in ("carol", "CAROL", "dave", "bob")
    )
    assert (first.salt, first.iterations) == (again.salt, again.iterations)
    assert first.salt != other.salt
    assert (len(true.salt), true.iterations) == (len(first.salt), first.iterations)
    assert true == scram_keys("builder", true.salt)
    assert first.stored_key != again.stored_key  # of no password


def test_a_clear_password(users: UsersFile) -> None:
    assert users.clear_password("ALICE") == "wonder land"
    assert users.clear_password("carol") is None
    assert users.clear_password("postmaster") is None

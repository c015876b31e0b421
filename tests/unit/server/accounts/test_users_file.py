"""users.txt on the disk: when it is read again, and whose password is right."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from mailserver.accounts import checking, credential, users_file
from mailserver.accounts.base import CheckResult, ScramKeys, TooBusy
from mailserver.accounts.credential import NOBODY, Hashed
from mailserver.accounts.password import SCRAM_ITERATIONS, scram_keys
from mailserver.accounts.slowdown import Failures
from mailserver.accounts.users_file import AccountsUnusable, UsersFile
from mailserver.durable import OWN_FOLDER

T = TypeVar("T")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.txt"


@pytest.fixture
def users(path: Path) -> UsersFile:
    path.write_text("Alice wonder land\nbob builder\n")
    return UsersFile(path.parent)


def rewrite(path: Path, text: str) -> None:
    """Other content, a while ago: whoever is missing there is gone."""
    path.write_text(text)
    os.utime(path, (0, 0))


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
    rewrite(path, "bob builder\nPostmaster stamp\n")
    assert users.find("postmaster") == "Postmaster"


def test_a_postmaster_where_nobody_is(users: UsersFile, path: Path) -> None:
    rewrite(path, "# nobody\n")
    assert users.find("postmaster") is None


def test_a_change_is_seen(users: UsersFile, path: Path) -> None:
    rewrite(path, "Alice other\ncarol new\n")
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
    rewrite(path, "")
    assert users.find("bob") is None


def test_a_file_that_is_being_written_takes_nobody_away(users: UsersFile, path: Path) -> None:
    """`cp`, a shell's `>` and many editors empty the file first, and then fill it."""
    with path.open("w") as file:
        assert users.find("bob") == "bob"
        file.write("Alice wonder land\n")
        file.flush()
        assert check(users, "bob", "builder") == "bob"
        file.write("carol new\n")
    assert users.find("bob") == "bob"
    os.utime(path, (0, 0))
    assert users.find("bob") is None
    assert users.find("carol") == "carol"


def test_who_is_written_behind_the_others_is_there_at_once(users: UsersFile, path: Path) -> None:
    with path.open("a") as file:
        file.write("carol new\n")
    assert users.find("carol") == "carol"


def test_what_cannot_be_read_is_uncertain(users: UsersFile, path: Path) -> None:
    """Nobody is told for good that a user is not there, or that a password is wrong."""
    path.rename(path.with_name("away"))
    assert users.find("carol") is None
    assert users.uncertain
    assert check(users, "bob", "builder") == "bob"
    for user in ("bob", "carol"):
        answer = asyncio.run(users.check(user, "wrong", "192.0.2.1"))
        assert answer.user is None
        assert answer.wait
    path.with_name("away").rename(path)
    assert users.find("carol") is None
    assert not users.uncertain


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
    rewrite(path, "carol new\n")
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
    rewrite(path, "bob builder\n../alice x\n")
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
    with pytest.raises(AccountsUnusable, match=r"users\.txt: is not a plain file"):
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


# -- hashed passwords ----------------------------------------------------------

HERE, THERE = "192.0.2.1", "198.51.100.7"
SECRET = credential.from_password("secret")
OTHER = credential.from_password("other")


class Work:
    """Calls that take long, counted, in a thread; the clock stands still."""

    def __init__(self) -> None:
        self.calls = 0
        self.now = 1000.0
        self.pool = ThreadPoolExecutor(2)

    def clock(self) -> float:
        return self.now

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        self.calls += 1
        return asyncio.get_running_loop().run_in_executor(self.pool, call)


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.pool.shutdown()


@pytest.fixture
def hashed(path: Path, work: Work) -> UsersFile:
    """alice is hashed, bob is not."""
    path.write_text(f"alice {credential.write(SECRET)}\nbob builder\n")
    return UsersFile(path.parent, work, work.clock)


def test_a_hashed_password_is_hashed_once(hashed: UsersFile, work: Work) -> None:
    for _ in range(5):
        assert check(hashed, "ALICE", "secret") == "alice"
    assert work.calls == 1
    work.now += checking.REMEMBER_SECONDS + 1
    assert check(hashed, "alice", "secret") == "alice"
    assert work.calls == 2


def test_a_new_password_ends_the_old_one_at_once(hashed: UsersFile, path: Path) -> None:
    assert check(hashed, "alice", "secret") == "alice"
    rewrite(path, f"alice {credential.write(OTHER)}\n")
    assert check(hashed, "alice", "secret") is None
    assert check(hashed, "alice", "other") == "alice"
    rewrite(path, "bob builder\n")
    assert check(hashed, "alice", "other") is None


def test_a_remembered_password_is_not_another_users(hashed: UsersFile, path: Path) -> None:
    """As in Dovecot's CVE-2025-30189."""
    path.write_text(f"alice {credential.write(SECRET)}\nbob {credential.write(OTHER)}\n")
    assert check(hashed, "alice", "secret") == "alice"
    assert check(hashed, "bob", "secret") is None
    assert check(hashed, "carol", "secret") is None


@pytest.mark.parametrize("user", ["alice", "bob", "carol", ""])
def test_a_wrong_password_costs_the_same_for_all(
    hashed: UsersFile, work: Work, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[Hashed] = []
    verify = credential.is_password
    monkeypatch.setattr(
        credential, "is_password", lambda kept, word: checked.append(kept) or verify(kept, word)
    )
    assert check(hashed, user, "wrong") is None
    assert work.calls == 1
    [kept] = checked
    assert kept.argon2.split("$")[:4] == NOBODY.argon2.split("$")[:4]


def test_many_guesses_at_once_are_no_more_than_many_guesses(path: Path, work: Work) -> None:
    path.write_text(f"alice {credential.write(SECRET)}\n")
    users = UsersFile(path.parent, work, work.clock, Failures(of_account=3, of_address=50))

    async def story() -> list[CheckResult]:
        guesses = (users.check("alice", f"guess {n}", HERE) for n in range(40))
        return list(await asyncio.gather(*guesses))

    results = asyncio.run(story())
    assert work.calls == 3
    assert [result.wait > 0 for result in results] == [False] * 3 + [True] * 37
    assert asyncio.run(users.check("alice", "secret", HERE)).wait > 0
    assert asyncio.run(users.check("alice", "secret", THERE)).user == "alice"


def test_many_logins_at_once_are_hashed_once(hashed: UsersFile, work: Work) -> None:
    async def story() -> list[CheckResult]:
        return list(
            await asyncio.gather(*(hashed.check("alice", "secret", HERE) for _ in range(40)))
        )

    assert {result.user for result in asyncio.run(story())} == {"alice"}
    assert work.calls == 1


def test_too_many_who_wait(hashed: UsersFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "QUEUE", 3)

    async def story() -> list[CheckResult]:
        guesses = (hashed.check(f"user{n}", "guess", f"192.0.2.{n}") for n in range(5))
        return list(await asyncio.gather(*guesses))

    waits = [result.wait for result in asyncio.run(story())]
    assert sorted(waits) == [0.0, 0.0, 0.0, 2.0, 2.0]
    assert check(hashed, "alice", "secret") == "alice"


def test_too_many_who_wait_for_their_turn(
    hashed: UsersFile, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "QUEUE", 3)

    async def story() -> list[CheckResult]:
        return list(
            await asyncio.gather(*(hashed.check("carol", "guess", HERE) for _ in range(10)))
        )

    waits = [result.wait for result in asyncio.run(story())]
    assert (waits.count(0.0), waits.count(2.0)) == (3, 7)  # one is hashed, two wait for it
    assert check(hashed, "alice", "secret") == "alice"


def test_too_many_who_wait_for_keys(hashed: UsersFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "QUEUE", 3)

    async def story() -> list[ScramKeys | BaseException]:
        exchanges = (hashed.scram_keys(f"user{n}") for n in range(10))
        return list(await asyncio.gather(*exchanges, return_exceptions=True))

    kinds = [type(answer) for answer in asyncio.run(story())]
    assert (kinds.count(ScramKeys), kinds.count(TooBusy)) == (3, 7)


def test_where_nobody_is_hashed_nothing_is(path: Path, work: Work) -> None:
    path.write_text("bob builder\n")
    users = UsersFile(path.parent, work, work.clock)
    assert check(users, "carol", "x") is None
    assert check(users, "bob", "x") is None
    assert check(users, "bob", "builder") == "bob"
    assert work.calls == 0


def test_no_password_is_not_the_password_of_nobody(hashed: UsersFile, work: Work) -> None:
    right = checking.Checking(work, work.clock).is_right(None, "", hashing=False)
    assert asyncio.run(right) is False


def test_keys_that_are_kept(hashed: UsersFile, path: Path, work: Work) -> None:
    assert asyncio.run(hashed.scram_keys("ALICE")) == SECRET.keys
    asyncio.run(hashed.scram_keys("bob"))
    asyncio.run(hashed.scram_keys("carol"))
    assert work.calls == 3  # the same for each
    rewrite(
        path,
        f"alice {credential.write(SECRET)}\ndave {credential.write(Hashed(SECRET.argon2, None))}\n",
    )
    assert asyncio.run(hashed.scram_keys("alice")) == SECRET.keys
    unknown = asyncio.run(hashed.scram_keys("dave"))
    assert (len(unknown.salt), unknown.iterations) == (16, SCRAM_ITERATIONS)
    assert work.calls == 3


def test_a_hashed_password_cannot_be_had(hashed: UsersFile) -> None:
    assert hashed.clear_password("alice") is None
    assert hashed.clear_password("bob") == "builder"


def test_servers_over_one_folder_give_the_same_false_salts(hashed: UsersFile, path: Path) -> None:
    other = UsersFile(path.parent)
    salts = {asyncio.run(users.scram_keys("carol")).salt for users in (hashed, other)}
    assert len(salts) == 1
    assert (path.parent / ".mailserver" / "secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("mode", "said"), [(0o600, 0), (0o640, 1), (0o604, 1)])
def test_a_file_that_others_can_read(
    path: Path, caplog: pytest.LogCaptureFixture, mode: int, said: int
) -> None:
    path.write_text("bob builder\n")
    path.chmod(mode)
    UsersFile(path.parent).find("bob")
    assert len([m for m in caplog.messages if "can be read by others" in m]) == said


@pytest.mark.parametrize("octets", [b"", bytes(70)])
def test_a_secret_that_is_not_what_was_made(users: UsersFile, path: Path, octets: bytes) -> None:
    (path.parent / OWN_FOLDER / "secret").write_bytes(octets)
    with pytest.raises(OSError, match="not the 32 octets that were made"):
        UsersFile(path.parent)


def test_no_password_is_ever_logged(
    hashed: UsersFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    rewrite(path, "alice {ARGON2ID}topsecret\nbob top\tsecret\n-x topsecret\nbob topsecret\n")
    check(hashed, "alice", "topsecret")
    assert len(caplog.messages) >= 4
    assert "topsecret" not in caplog.text
    assert "top\\tsecret" not in caplog.text

"""users.txt: what its lines mean, and what is wrong with them."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.post import MORE

from mailserver.accounts import credential
from mailserver.accounts.credential import Clear, Hashed
from mailserver.accounts.users_list import UsersList, parse

HASHED = credential.write(credential.from_password("wonder land"))
ARGON2 = HASHED.partition(" ")[0]


def clear(users: UsersList) -> dict[str, str]:
    return {n: kept.password for n, kept in users.credentials.items() if isinstance(kept, Clear)}


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
    assert clear(accounts) == {name: password}
    assert accounts.names == {name.lower(): name}


@pytest.mark.parametrize(
    "line", [b"", b" ", b"\t", b"\r", b"# alice x", b"   # x", b"\xef\xbb\xbf", b"#"]
)
def test_lines_that_say_nothing(line: bytes) -> None:
    accounts = parse(line)
    assert clear(accounts) == {}
    assert accounts.problems == ()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"../alice x", "'../alice' cannot be a user name"),
        (b".mailserver x", "'.mailserver' cannot be a user name"),
        (b".. x", "'..' cannot be a user name"),
        (b". x", "'.' cannot be a user name"),
        (b"mailserver.toml x", "'mailserver.toml' cannot be a user name"),
        (b"Users.txt x", "'Users.txt' cannot be a user name"),
        (b"users.txt.new x", "'users.txt.new' cannot be a user name"),
        (b"lost+found x", "'lost+found' cannot be a user name"),
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
        (b"alice", "alice: no password"),
        (b"alice ", "alice: no password"),
        (b"alice x\0y", "alice: a control character in the password"),
        (b"alice x\ty", "alice: a control character in the password"),
        (b"alice x\x1by", "alice: a control character in the password"),
        (b"alice x\rbob y", "alice: a control character in the password"),
        (b"\xc2\xa0", "'\\xa0' cannot be a user name"),
        (b"alice\xc2\xa0x", "cannot be a user name"),
        (b"al\xffice x", "is not UTF-8"),
        (b"alice \xff", "is not UTF-8"),
    ],
)
def test_a_line_that_cannot_be_used_has_its_number(line: bytes, problem: str) -> None:
    accounts = parse(b"one 1\n\n" + line + b"\ntwo 2\n")
    assert clear(accounts) == {"one": "1", "two": "2"}
    [said] = accounts.problems
    assert said.startswith("line 3")
    assert problem in said
    assert said.isprintable()


def test_no_password_is_ever_said() -> None:
    [problem] = parse(b"alice secret\tpassword").problems
    assert "secret" not in problem


def test_the_first_of_two_counts() -> None:
    accounts = parse(b"alice one\nALICE two\nalice three\n")
    assert clear(accounts) == {"alice": "one"}
    assert accounts.problems == (
        "line 2: ALICE is there twice; the first one counts",
        "line 3: alice is there twice; the first one counts",
    )


def test_a_file_from_another_system() -> None:
    accounts = parse(b"\xef\xbb\xbf# users\r\nalice a b\r\n\r\nbob c\r\n")
    assert clear(accounts) == {"alice": "a b", "bob": "c"}
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
    for name in clear(accounts):
        assert os.path.normpath(os.path.join("/data", name)) == f"/data/{name}"
        assert os.path.basename(name) == name
        assert not name.startswith(".")
        assert name.isascii()
        assert name.isprintable()
        assert len(name) <= 64
    assert len(accounts.names) == len(clear(accounts))
    assert all(problem.isprintable() for problem in accounts.problems)


# -- what stands behind the name -----------------------------------------------


def test_a_hashed_line() -> None:
    users = parse(f"alice {HASHED}\r\n".encode())
    kept = users.credentials["alice"]
    assert isinstance(kept, Hashed)
    assert credential.write(kept) == HASHED
    assert credential.is_password(kept, "wonder land")
    assert not credential.is_password(kept, "wonder  land")
    assert kept.keys is not None
    assert (users.hashed, users.clear) == (True, False)


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("{PLAIN}x y", "x y"),
        ("{plain}x", "x"),
        (f"{{PLAIN}}{HASHED}", HASHED),
        ("{PLAIN}{PLAIN}x", "{PLAIN}x"),
        ("{}", "{}"),
        ("{secret}", "{secret}"),
        ("{SCRAM-SHA-256}x", "{SCRAM-SHA-256}x"),
        ("$argon2id$v=19$", "$argon2id$v=19$"),
        ("{ARGON2I}x", "{ARGON2I}x"),
    ],
)
def test_passwords_that_look_like_something_else(text: str, password: str | None) -> None:
    users = parse(f"alice {text}\n".encode())
    assert clear(users) == ({"alice": password} if password else {})
    assert bool(users.problems) is (password is None)


def test_a_hash_from_elsewhere_needs_no_keys() -> None:
    kept = parse(f"alice {ARGON2.replace('ARGON2ID', 'argon2id')}".encode()).credentials["alice"]
    assert isinstance(kept, Hashed)
    assert kept.keys is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{ARGON2ID}secret", "if this is a password, write {PLAIN} before it"),
        ("{ARGON2ID}", "no argon2id hash"),
        (ARGON2.replace("argon2id", "argon2i"), "no argon2id hash"),
        (ARGON2[:-30], "no argon2id hash"),
        (ARGON2.replace("m=19456", "m=4194304"), "costs more than"),
        (ARGON2.replace("t=2", "t=99"), "costs more than"),
        (f"{ARGON2} secret", "no {SCRAM-SHA-256}iterations,salt"),
        (HASHED.replace("}20000,", "}100,"), "no {SCRAM-SHA-256}iterations,salt"),
        (HASHED.replace("}20000,", "}999999999,"), "no {SCRAM-SHA-256}iterations,salt"),
        (HASHED[:-3], "no {SCRAM-SHA-256}iterations,salt"),
        (HASHED + "AAAA", "no {SCRAM-SHA-256}iterations,salt"),
        ("{PLAIN}", "no password"),
        ("{PLAIN}x\ty", "a control character in the password"),
    ],
    ids=itertools.count(),  # a hash has another salt each time
)
def test_a_credential_that_is_none_has_its_line(text: str, problem: str) -> None:
    users = parse(f"bob builder\nalice {text}\n".encode())
    assert list(users.credentials) == ["bob"]
    [said] = users.problems
    assert said.startswith("line 2: alice: ")
    assert problem in said
    assert "secret" not in said


def test_keys_follow_the_way_umlauts_are_typed() -> None:
    kept = credential.from_password("pa\u0308ss")
    assert credential.is_password(kept, "p\u00e4ss")


def test_nobody_costs_what_the_others_cost() -> None:
    assert not credential._HASHER.check_needs_rehash(credential.NOBODY.argon2)

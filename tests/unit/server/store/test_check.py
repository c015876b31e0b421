"""What `mailadmin check` finds in a data folder, and what it makes of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract import post

from mailserver.store import index, mbox
from mailserver.store.check import Report, check, spans
from mailserver.store.files import FileStore

A = b"From a@x Mon Nov 23 14:05:09 2026\nSubject: a\n\nA.\n\n"
B = b"From b@x Mon Nov 23 14:05:09 2026\nSubject: b\n\nB.\n\nAnd B.\n\n"
ZEROS = bytes(40)

PARTS: list[tuple[bytes, list[tuple[bytes, str]]]] = [
    (b"", []),
    (A, [(A, "")]),
    (A + B, [(A, ""), (B, "")]),
    (A + ZEROS, [(A, ""), (ZEROS, "zeros")]),
    (A + b"\0", [(A, ""), (b"\0", "zeros")]),
    (ZEROS, [(ZEROS, "zeros")]),
    (ZEROS + A, [(ZEROS, "zeros"), (A, "")]),
    (A + ZEROS + B, [(A, ""), (ZEROS, "zeros"), (B, "")]),
    (A + ZEROS + B[40:] + B, [(A, ""), (ZEROS + B[40:], "zeros"), (B, "")]),
    (A + B[:40] + ZEROS, [(A, ""), (B[:40] + ZEROS, "a piece of a message that ends in zeros")]),
    (b"hello\n\n" + A, [(b"hello\n\n", "text before the first message"), (A, "")]),
    (A + B[:-1], [(A, ""), (B[:-1], "")]),
]


@pytest.mark.parametrize(("octets", "parts"), PARTS)
def test_parts(octets: bytes, parts: list[tuple[bytes, str]]) -> None:
    found = [(octets[part.start : part.end], part.no_message) for part in spans(octets)]
    assert found == parts


@given(st.lists(st.sampled_from([A, B, ZEROS, b"\0", b"\n", b"From ", b"x"])).map(b"".join))
def test_the_parts_are_the_whole(octets: bytes) -> None:
    found = list(spans(octets))
    assert b"".join(octets[part.start : part.end] for part in found) == octets
    assert all(octets.startswith(b"From ", part.start) for part in found if not part.no_message)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    ticks = itertools.count()
    store = FileStore(tmp_path, lambda: float(next(ticks)), reserve_octets=0)
    yield store
    store.close()


@pytest.fixture
def sent(store: FileStore) -> list[bytes]:
    """Bob's mail."""
    large = b"Subject: large\r\n\r\n" + b"a line\r\n" * 20_000
    return [post.deliver(store, "bob", content) for content in (post.CONTENT, large, post.CONTENT)]


def look(data: Path, *, repair: bool = False) -> Report:
    [report] = check(str(data), 1.5, repair=repair)
    return report


def repaired(store: FileStore, data: Path, sent: list[bytes], whats: list[str]) -> Report:
    """It is found, and put right, and nothing good is lost."""
    before = (data / "bob" / "mymailbox").read_bytes()
    found = look(data)
    assert [problem.what for problem in found.problems] == whats
    assert not found.repaired
    assert (data / "bob" / "mymailbox").read_bytes() == before
    report = look(data, repair=True)
    assert report.repaired
    assert report.problems == found.problems
    assert look(data).clean
    assert post.contents(store, "bob") == sent
    again = look(data)
    assert again.clean
    assert again.messages == len(sent)
    return report


def test_clean(tmp_path: Path, store: FileStore, sent: list[bytes]) -> None:
    (tmp_path / "nobody").mkdir()
    (tmp_path / "users.txt").write_text("bob builder\n")
    bob, nobody = check(str(tmp_path), 1.5, repair=True)
    assert bob.clean
    assert nobody.clean
    assert (bob.user, bob.messages) == ("bob", 3)
    assert bob.octets == (tmp_path / "bob" / "mymailbox").stat().st_size
    assert not bob.repaired
    (tmp_path / "bob" / ".index").unlink()
    assert all(report.clean for report in check(str(tmp_path), 1.5))


def test_zeros_at_the_end(tmp_path: Path, store: FileStore, sent: list[bytes]) -> None:
    with (tmp_path / "bob" / "mymailbox").open("ab") as file:
        offset = file.tell()
        file.write(ZEROS)
    report = repaired(store, tmp_path, sent, ["zeros"])
    assert (report.problems[0].octet, report.problems[0].octets) == (offset, 40)
    assert str(report.problems[0]) == f"octets {offset} to {offset + 40}: zeros"
    assert report.problems[0].remedy == f"moved to {report.kept_in}"
    assert (tmp_path / report.kept_in).read_bytes() == ZEROS


def test_a_hole_and_good_mail_behind_it(
    tmp_path: Path, store: FileStore, sent: list[bytes]
) -> None:
    path = tmp_path / "bob" / "mymailbox"
    path.chmod(0o640)
    with path.open("ab") as file:
        file.write(B[:30] + ZEROS + B)
    report = repaired(
        store,
        tmp_path,
        [*sent, b"Subject: b\r\n\r\nB.\r\n\r\nAnd B.\r\n"],
        ["a piece of a message that ends in zeros"],
    )
    assert (tmp_path / report.kept_in).read_bytes() == B[:30] + ZEROS
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_append_that_was_cut(tmp_path: Path, store: FileStore, sent: list[bytes]) -> None:
    """By its form it would be a message: the index says that it is none."""
    path = tmp_path / "bob" / "mymailbox"
    size = path.stat().st_size
    entry = index.Entry(size, len(B), 1, mbox.digest([B]), 1, index.beginning(B))
    with (tmp_path / "bob" / ".index").open("ab") as file:
        file.write(index.pack([entry]))
    with path.open("ab") as file:
        file.write(B[: B.index(b"And")])
    report = repaired(store, tmp_path, sent, ["an append was cut here, and never acknowledged"])
    assert (tmp_path / report.kept_in).read_bytes() == B[: B.index(b"And")]


def test_unfinished(tmp_path: Path, store: FileStore, sent: list[bytes]) -> None:
    with (tmp_path / "bob" / "mymailbox").open("ab") as file:
        file.write(A[:-1])
    theirs = b"Subject: a\r\n\r\nA.\r\n"
    repaired(store, tmp_path, [*sent, theirs], ["no empty line at the end"])


def test_octets_that_changed(tmp_path: Path, store: FileStore, sent: list[bytes]) -> None:
    path = tmp_path / "bob" / "mymailbox"
    octets = path.read_bytes()
    path.write_bytes(octets.replace(b"a line", b"a lime", 1))
    sent[1] = sent[1].replace(b"a line", b"a lime", 1)
    report = look(tmp_path)
    [problem] = report.problems
    assert problem.message == 2
    assert problem.what.startswith("it is not what was stored")
    repaired(store, tmp_path, sent, [problem.what])


def test_a_file_that_became_shorter(tmp_path: Path, store: FileStore, sent: list[bytes]) -> None:
    path = tmp_path / "bob" / "mymailbox"
    octets = path.read_bytes()
    path.write_bytes(octets[: octets.rindex(b"From alice")])
    repaired(store, tmp_path, sent[:2], ["the index has a message that is not here"])


def test_no_mailbox(tmp_path: Path, sent: list[bytes]) -> None:
    (tmp_path / "bob" / "mymailbox").unlink()
    (tmp_path / "bob" / "mymailbox").symlink_to("/etc/passwd")
    report = look(tmp_path, repair=True)
    assert "symbolic link" in report.unusable
    assert not report.clean

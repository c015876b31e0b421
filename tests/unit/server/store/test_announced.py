"""What a power cut leaves of an append when the index knows nothing of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract import post
from tests.contract.post import contents, delete, deliver

from mailserver.message.verdict import Kind
from mailserver.store import announced, index
from mailserver.store.files import FileStore

LONG = b"Subject: long\r\n\r\n" + b"one line\r\n\r\nand more\r\n" * 30


class Box:
    """Bob's mailbox, and what a power cut makes of it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.file = data / "bob" / "mymailbox"
        self.index = data / "bob" / ".index"
        self.old = b""

    def remember_index(self) -> None:
        """It will be what is left of the index."""
        self.old = self.index.read_bytes()

    def cut(self, octets: bytes) -> None:
        """The power fails, and this is what is left of the mailbox."""
        self.file.write_bytes(octets)
        self.index.write_bytes(self.old)

    def lost_and_found(self) -> list[bytes]:
        folder = self.data / ".mailserver" / "lost+found"
        return [path.read_bytes() for path in folder.iterdir()]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    probe = tmp_path / "probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.probe", b"1")
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            pytest.skip("the file system of the test folder keeps no extended attributes")
        raise
    return Box(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    store = FileStore(tmp_path, iter(range(10**6)).__next__, reserve_octets=0)
    yield store
    store.close()


@pytest.fixture(params=["the last index", "no index"])
def settled(request: pytest.FixtureRequest, store: FileStore, box: Box) -> tuple[bytes, bytes]:
    """A mailbox with one settled message: what bob reads, and its octets."""
    sent = deliver(store, "bob")
    if request.param == "the last index":
        box.remember_index()
    return sent, box.file.read_bytes()


def test_a_piece_of_an_append_is_set_aside(
    store: FileStore, box: Box, settled: tuple[bytes, bytes]
) -> None:
    """Cut anywhere, even where the piece looks like a whole message."""
    sent, start = settled
    deliver(store, "bob", LONG)
    whole = box.file.read_bytes()
    looks_whole = whole.index(b"\n\nand more") + 2
    for size in (len(start) + 1, len(start) + 60, looks_whole, len(whole) - 2, len(whole) - 1):
        box.cut(whole[:size])
        assert contents(store, "bob") == [sent], size
        assert box.file.read_bytes() == start
        assert whole[len(start) : size] in box.lost_and_found()
        deliver(store, "bob", LONG)  # and the same again
        whole = box.file.read_bytes()


def test_octets_of_an_older_append_are_set_aside(
    store: FileStore, box: Box, settled: tuple[bytes, bytes]
) -> None:
    """The file was cut back and grew again, and only its size came to the disk."""
    sent, start = settled
    deliver(store, "bob", LONG)
    older = box.file.read_bytes()[len(start) :]
    delete(store, "bob", 2)
    deliver(store, "bob", LONG)
    box.cut(start + older)
    assert contents(store, "bob") == [sent]
    assert box.lost_and_found() == [older]


@pytest.mark.parametrize("hole", ["to the end", "in the middle", "at the start", "all", "one line"])
def test_zeros_are_set_aside(
    store: FileStore, box: Box, settled: tuple[bytes, bytes], hole: str
) -> None:
    sent, start = settled
    deliver(store, "bob", LONG)
    tail = bytearray(box.file.read_bytes()[len(start) :])
    first, last = {
        "to the end": (100, len(tail)),
        "in the middle": (300, 400),
        "at the start": (0, 300),
        "all": (0, len(tail)),
        "one line": (tail.index(b"\n\nand") + 2, tail.index(b"\n\nand") + 3),
    }[hole]
    tail[first:last] = bytes(last - first)
    box.cut(start + tail)
    assert contents(store, "bob") == [sent]
    assert box.lost_and_found() == [bytes(tail)]


def test_zeros_behind_a_whole_append_are_set_aside(
    store: FileStore, box: Box, settled: tuple[bytes, bytes]
) -> None:
    sent, _ = settled
    second = deliver(store, "bob", LONG)
    box.cut(box.file.read_bytes() + bytes(500))
    assert contents(store, "bob") == [sent, second]
    assert box.lost_and_found() == [bytes(500)]


def test_a_whole_append_stays_and_is_written_again(
    store: FileStore, box: Box, settled: tuple[bytes, bytes]
) -> None:
    sent, _ = settled
    second = deliver(store, "bob", LONG)
    whole = box.file.read_bytes()
    box.cut(whole)
    assert contents(store, "bob") == [sent, second]
    assert box.file.read_bytes() == whole
    assert box.lost_and_found() == []


def test_of_an_append_that_was_shortened_on_purpose_nothing_is_lost(
    store: FileStore, box: Box, settled: tuple[bytes, bytes]
) -> None:
    """Three came with one sync, the last one was deleted, and the index is older than all that."""
    sent, _ = settled
    made = [post.deposit_of(store, ["bob"], LONG) for _ in range(3)]
    assert all(store.append([deposit for _, deposit, _ in made]))
    for staging, _, _ in made:
        staging.discard()
    delete(store, "bob", 4)
    box.cut(box.file.read_bytes())
    assert contents(store, "bob") == [sent, made[0][2]["bob"], made[1][2]["bob"]]
    assert box.lost_and_found() == []


def test_what_another_program_made_of_it_stays(
    store: FileStore, box: Box, settled: tuple[bytes, bytes]
) -> None:
    """It wrote a status field into the last message, in the same file."""
    sent, start = settled
    deliver(store, "bob", LONG)
    octets = box.file.read_bytes().replace(b"Subject: long\n", b"Subject: long\nStatus: RO\n")
    box.cut(octets)
    assert [sent[:9], b"Return-Pa"] == [one[:9] for one in contents(store, "bob")]
    assert box.file.read_bytes() == octets
    assert box.file.read_bytes().startswith(start)


def test_other_programs_may_append_zeros(store: FileStore, box: Box) -> None:
    deliver(store, "bob")
    with box.file.open("ab") as file:
        file.write(post.FROM_LINE + b"Subject: \0\n\nx\n\n")
    assert len(contents(store, "bob")) == 2
    assert box.lost_and_found() == []


def test_where_no_attributes_are_kept_the_index_is_synced(
    store: FileStore, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    fdatasync = os.fdatasync

    def sync(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        fdatasync(fd)

    def unsupported(*args: object) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    deliver(store, "bob")
    monkeypatch.setattr(os, "fdatasync", sync)
    monkeypatch.setattr(os, "setxattr", unsupported)
    deliver(store, "bob")
    assert synced == [str(box.index), str(box.file)]


def test_a_note_that_cannot_be_left_refuses_the_mail(
    store: FileStore, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = deliver(store, "bob")

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "setxattr", full)
        assert post.try_deliver(store, ["bob"])[0].kind is Kind.DISK_FULL
    assert contents(store, "bob") == [sent]
    assert box.lost_and_found() == []


def test_a_foreign_attribute_says_nothing(tmp_path: Path, box: Box) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 50)
    os.setxattr(path, "user.mailserver.append", b"short")
    with path.open("r+b") as file:
        assert announced.noted(file.fileno()) is None
        assert announced.settle(file.fileno(), 50, index.Index([], 0)) == 50


def test_a_deletion_that_was_cut_leaves_no_zeros(
    store: FileStore, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The octets behind the new end are gone, the size is the old one, and so is the index."""
    sent = [deliver(store, "bob", LONG) for _ in range(3)]
    whole, before = box.file.read_bytes(), box.index.read_bytes()
    end = whole.index(b"From ", len(whole) // 3 - 40)
    with monkeypatch.context() as patch:
        patch.setattr(os, "removexattr", lambda *args: None)  # the power fails before
        delete(store, "bob", 2, 3)
    box.old = before
    box.cut(whole[:end] + bytes(100) + whole[end + 100 :])
    assert contents(store, "bob") == sent[:1]

"""A disk that is really full: small file systems of their own, which needs root."""

from __future__ import annotations

import itertools
import mailbox
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract import post
from tests.contract.post import contents, delete, try_deliver

from mailserver.message.verdict import Kind
from mailserver.store import index, mbox
from mailserver.store.files import FileStore

CONTENT = b"Subject: x\r\n\r\n" + b"From x\r\n" * 2500


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]}: {done.stderr.strip()}")


@pytest.fixture(params=["tmpfs", "ext4"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder with some two MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    folder = tmp_path / "data"
    folder.mkdir()
    if request.param == "tmpfs":
        _run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder))
    else:
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("no mkfs.ext4 here")
        image = tmp_path / "image"
        image.write_bytes(b"")
        os.truncate(image, 3 * 1024 * 1024)
        _run("mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(image))
        _run("mount", "-o", "loop", str(image), str(folder))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def store(data: Path) -> Iterator[FileStore]:
    ticks = itertools.count()
    store = FileStore(data, lambda: float(next(ticks)), reserve_octets=0)
    yield store
    store.close()


def fill_with_mail(store: FileStore) -> dict[str, list[bytes]]:
    """Mail for both, until a message is refused; what was taken."""
    taken: dict[str, list[bytes]] = {"alice": [], "bob": []}
    while True:
        verdict, read = try_deliver(store, ["alice", "bob"], CONTENT)
        if not verdict:
            assert verdict.kind is Kind.DISK_FULL
            return taken
        for user, content in read.items():
            taken[user].append(content)


def fill_up(data: Path) -> Path:
    """No octet more."""
    filler = data / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (64 * 1024, 4096, 512, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return filler


def test_full(data: Path, store: FileStore) -> None:
    taken = fill_with_mail(store)
    assert len(taken["bob"]) > 10
    store.settle()  # the journal's room is to be used up, too
    filler = fill_up(data)
    for _ in range(3):
        assert try_deliver(store, ["alice", "bob"], CONTENT)[0].kind is Kind.DISK_FULL
    fresh = FileStore(data, lambda: 0.0, reserve_octets=0)
    for user, sent in taken.items():
        assert contents(store, user) == contents(fresh, user) == sent
        theirs = mailbox.mbox(data / user / "mymailbox", create=False)
        assert len(theirs) == len(sent)
        theirs.close()
    fresh.close()
    # deleting at the end needs no room
    last = len(taken["bob"])
    delete(store, "bob", last - 1, last)
    assert contents(store, "bob") == taken["bob"][:-2]
    # and makes room for other mail
    verdict, read = try_deliver(store, ["bob"])
    assert verdict
    assert contents(store, "bob") == [*taken["bob"][:-2], read["bob"]]
    # deleting at the beginning needs room for what stays: all or none
    filler.unlink()
    fill_up(data)
    with pytest.raises(OSError, match="No space"):
        delete(store, "alice", 1)
    assert contents(store, "alice") == taken["alice"]
    assert not (data / "alice" / "mymailbox.new").exists()
    filler.unlink()
    delete(store, "bob", *range(1, last))
    delete(store, "alice", 1)
    assert contents(store, "alice") == taken["alice"][1:]
    verdict, read = try_deliver(store, ["alice", "bob"], CONTENT)
    assert verdict
    assert contents(store, "alice")[-1] == read["alice"]


def test_repairs_on_a_full_disk(data: Path, store: FileStore) -> None:
    """An index lost, a tail torn: who wants to make room can still log in."""
    taken = fill_with_mail(store)
    record = post.FROM_LINE + b"Subject: torn\n\n" + b"x" * 9000 + b"\n\n"
    path = data / "alice" / "mymailbox"
    entry = index.Entry(
        path.stat().st_size, len(record), 1, mbox.digest([record]), 1, index.beginning(record)
    )
    filler = data / "filler"
    delete(store, "alice", len(taken["alice"]))
    taken["alice"].pop()
    entry = entry._replace(offset=path.stat().st_size)
    with (data / "alice" / ".index").open("ab") as file:
        file.write(index.pack([entry]))
    with path.open("ab") as file:
        file.write(record[:5000])
    (data / "bob" / ".index").unlink()
    fill_up(data)
    (data / "bob" / ".index").touch()
    fill_up(data)
    for user, sent in taken.items():
        assert contents(store, user) == sent
        delete(store, user, len(sent))
        sent.pop()
        assert contents(store, user) == sent
    filler.unlink()
    for user, sent in taken.items():
        verdict, read = try_deliver(store, [user])
        assert verdict
        assert contents(store, user) == [*sent, read[user]]


def test_room_is_looked_at_first(data: Path) -> None:
    store = FileStore(data, lambda: 0.0, reserve_octets=512 * 1024)
    assert store.has_room(0)
    assert store.has_room(100 * 1024)
    assert not store.has_room(2 * 1024 * 1024)
    fill_up(data)
    assert not store.has_room(0)
    store.close()

"""The store over many mailboxes: what it keeps open, what it says, what it leaves behind."""

from __future__ import annotations

import errno
import gc
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contract import post
from tests.contract.post import contents, delete, deliver, read, try_deliver
from tests.faults.calls import Calls, Fails

from mailserver import durable
from mailserver.message.verdict import Kind
from mailserver.store import maildrop
from mailserver.store.base import MailboxUnusable
from mailserver.store.files import FileStore
from mailserver.store.locks import FileLock
from mailserver.store.staging import FileBody

JOURNALS = 3  # and the notes about syncs
"""Descriptors of a store that has appended."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    store = FileStore(tmp_path, lambda: 0.0, reserve_octets=0)
    yield store
    store.close()


@pytest.fixture
def lock(tmp_path: Path, store: FileStore) -> Iterator[FileLock]:
    """Bob's write lock, as another program would hold it."""
    deliver(store, "bob")
    folder = durable.open_folder(str(tmp_path / "bob"))
    lock = FileLock(".write", folder)
    os.close(folder)
    assert lock.try_acquire()
    yield lock
    lock.close()


def test_a_locked_mailbox_is_busy(store: FileStore, lock: FileLock) -> None:
    verdict, _ = try_deliver(store, ["alice", "bob"])
    assert verdict.kind is Kind.MAILBOX_BUSY
    assert contents(store, "alice") == []
    assert [deliver(store, "alice")] == contents(store, "alice")
    lock.release()
    assert try_deliver(store, ["bob"])[0]


def test_a_locked_mailbox_can_be_read(store: FileStore, lock: FileLock) -> None:
    assert len(read(store, "bob")) == 1


def test_deleting_waits_for_the_lock_and_gives_up(
    store: FileStore, lock: FileLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maildrop, "WRITE_LOCK_SECONDS", 0.01)
    with pytest.raises(OSError, match="keeps it locked") as raised:
        delete(store, "bob", 1)
    assert raised.value.errno == errno.EBUSY
    assert len(read(store, "bob")) == 1
    lock.release()
    delete(store, "bob", 1)
    assert read(store, "bob") == []


def test_what_is_not_settled_is_not_listed(store: FileStore, tmp_path: Path) -> None:
    """A message that is written but not yet synced may still be taken back."""
    sent = deliver(store, "bob")
    seen = []
    real = durable.sync_data

    def sync(fd: int) -> None:
        file = os.readlink(f"/proc/self/fd/{fd}")
        if file.endswith("journal/0a"):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(maildrop, "WRITE_LOCK_SECONDS", 0.0)
                with pytest.raises(OSError, match="keeps it locked"):
                    store.open_maildrop("bob")
            seen.append(file)
        real(fd)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable, "sync_data", sync)
        late = deliver(store, "bob")
    assert len(seen) == 1
    assert contents(store, "bob") == [sent, late]


def test_one_sync_a_mailbox(store: FileStore) -> None:
    deliver(store, "bob")
    staged = [post.deposit_of(store, ["bob"]) for _ in range(50)]
    synced: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable, "sync_data", synced.append)
        assert all(store.append([deposit for _, deposit, _ in staged]))
    assert len(synced) == 1


def test_only_so_many_mailboxes_stay_open(tmp_path: Path) -> None:
    store = FileStore(tmp_path, lambda: 0.0, reserve_octets=0, open_mailboxes=3)
    users = [f"user{n}" for n in range(10)]
    before = len(os.listdir("/proc/self/fd"))
    sent = {user: [deliver(store, user)] for user in users}
    store.settle()
    assert len(os.listdir("/proc/self/fd")) == before + 3 * 5 + JOURNALS
    verdict, late = try_deliver(store, users)
    assert verdict
    store.settle()
    assert len(os.listdir("/proc/self/fd")) == before + 3 * 5 + JOURNALS
    for user in users:
        assert contents(store, user) == [*sent[user], late[user]]
    store.close()


def test_closing_closes_everything(tmp_path: Path) -> None:
    gc.collect()
    before = set(os.listdir("/proc/self/fd"))
    store = FileStore(tmp_path, lambda: 0.0, reserve_octets=0)
    deliver(store, "alice")
    deliver(store, "bob", b"Subject: big\r\n\r\n" + b"x\r\n" * 200_000)
    read(store, "bob")
    delete(store, "bob", 1)
    store.close()
    gc.collect()
    assert set(os.listdir("/proc/self/fd")) == before


def _link(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).symlink_to("elsewhere")


def _folder(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).mkdir()


SPOILED = [
    *map(_link, [".write", ".session", ".index", "mymailbox"]),
    *map(_folder, [".write", ".session", ".index", "mymailbox", "mymailbox.new"]),
]


@pytest.mark.parametrize("spoil", SPOILED)
def test_no_descriptor_is_left_by_what_cannot_be_used(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    (tmp_path / "bob").mkdir()
    spoil(tmp_path / "bob")
    before = set(os.listdir("/proc/self/fd"))
    store = FileStore(tmp_path, lambda: 0.0, reserve_octets=0)
    refused = 0
    for _ in range(3):
        refused += not try_deliver(store, ["bob"])[0]
        try:
            read(store, "bob")
        except (OSError, MailboxUnusable):
            refused += 1
    assert refused >= 3
    store.close()
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM])
def test_an_error_that_passes_is_no_fault_of_the_mailbox(store: FileStore, code: int) -> None:
    """It must not be reported as if the mailbox were a link or a folder."""
    deliver(store, "bob")
    for at in itertools.count(1):
        with Calls() as calls:
            calls.fault = fault = Fails(at, code)
            try:
                store.open_maildrop("bob").close()
            except OSError as error:
                refused = error.errno
            else:
                refused = 0
        if not fault.happened:
            break
        assert refused == code, fault.happened
    assert at > 4
    assert len(read(store, "bob")) == 1


def test_what_was_set_aside_is_all_kept(tmp_path: Path) -> None:
    ticks = iter(range(100))
    store = FileStore(tmp_path, lambda: next(ticks), reserve_octets=0)
    for n in range(3):
        store._set_aside("bob", [b"piece ", b"%d" % n])
    store.close()
    folder = tmp_path / ".mailserver" / "lost+found"
    assert sorted(path.read_bytes() for path in folder.iterdir()) == [
        b"piece 0",
        b"piece 1",
        b"piece 2",
    ]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())


def test_lost_and_found_is_made_again(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / ".mailserver" / "lost+found").rmdir()
    store._set_aside("bob", [b"piece"])
    assert len(list((tmp_path / ".mailserver" / "lost+found").iterdir())) == 1


def test_a_data_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileStore(tmp_path / "nowhere", lambda: 0.0)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        FileStore(tmp_path / "file", lambda: 0.0)


def test_space_is_kept_in_reserve(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    room = found.f_bavail * found.f_frsize
    store = FileStore(tmp_path, lambda: 0.0, reserve_octets=room // 2)
    assert store.has_room(0)
    assert store.has_room(room // 8)
    assert not store.has_room(room // 2)
    store.close()


@pytest.mark.parametrize("alone", ["one", "batch"])
def test_one_message_that_cannot_be_read_back_spoils_no_other(store: FileStore, alone: str) -> None:
    """Its spool file is on a disk that fails; the others of its batch are stored."""
    good = [post.deposit_of(store, ["alice", "bob"]) for _ in range(2 if alone == "batch" else 0)]
    staging = store.stage()
    staging.write(b"Subject: x\r\n\r\nlost\r\n")
    staging.spill()
    bad, _ = post.address(staging, ["alice", "bob"])
    body = bad[0].body
    assert isinstance(body, FileBody)
    assert body.file is not None
    body.file.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(body), "chunks", _failing(body, type(body).chunks))
        verdicts = store.append(
            [*(deposit for _, deposit, _ in good[:1]), bad] + [d for _, d, _ in good[1:]]
        )
    kinds = [verdict.kind for verdict in verdicts]
    assert kinds.count(Kind.STORAGE_FAILED) == 1
    assert kinds.count(Kind.ACCEPTED) == len(good)
    for user in ("alice", "bob"):
        assert contents(store, user) == [copies[user] for _, _, copies in good]


def _failing(bad: object, whole: Callable[..., Iterator[bytes]]) -> Callable[..., Iterator[bytes]]:
    def chunks(self: FileBody) -> Iterator[bytes]:
        if self is bad:
            raise OSError(errno.EIO, "Input/output error")
        yield from whole(self)

    return chunks

"""A maildrop is opened without waiting for the disk, or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.post import contents, deliver, needs_to_know_what_is_in_memory

from mailserver import durable
from mailserver.store.base import MailboxUnusable, MaildropInUse
from mailserver.store.edition import NAME as EDITION
from mailserver.store.files import FileStore
from mailserver.store.pieces import INDEX, MAILBOX
from mailserver.store.reach import AT_HAND


@pytest.fixture
def bob(tmp_path: Path) -> Path:
    """A user's folder."""
    folder = tmp_path / "bob"
    folder.mkdir()
    needs_to_know_what_is_in_memory(folder)
    return folder


@pytest.fixture
def store(tmp_path: Path, bob: Path) -> Iterator[FileStore]:
    store = FileStore(tmp_path, lambda: 0.0, reserve_octets=0)
    deliver(store, "bob")
    deliver(store, "bob")
    assert len(contents(store, "bob")) == 2
    yield store
    store.close()


def forget(path: Path) -> None:
    """The kernel has it no more in memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


ATTEMPTS = 100
"""A quick disk may have brought it before it is asked again whether it is there."""


@pytest.fixture
def forgets(bob: Path) -> None:
    """Some file systems are all in memory."""
    for _ in range(ATTEMPTS):
        forget(bob / "probe")
        with (bob / "probe").open("rb") as file:
            try:
                os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)  # begins to read it
            except BlockingIOError:
                return
    pytest.skip("no disk here")


def is_free(store: FileStore) -> bool:
    """No lock is left behind."""
    return len(contents(store, "bob")) == 2


def test_what_is_in_memory_is_opened(store: FileStore) -> None:
    waiting = store.open_maildrop("bob")
    listed = [*waiting.octets], [*waiting.unique_ids]
    waiting.close()
    maildrop = store.open_maildrop("bob", may_wait=False)
    assert ([*maildrop.octets], [*maildrop.unique_ids]) == listed
    maildrop.delete([1])
    maildrop.close()
    assert len(contents(store, "bob")) == 1


@pytest.mark.usefixtures("forgets")
@pytest.mark.parametrize("name", [INDEX, MAILBOX, EDITION])
def test_what_is_not_in_memory_is_not_waited_for(store: FileStore, bob: Path, name: str) -> None:
    for _ in range(ATTEMPTS):
        forget(bob / name)
        try:
            store.open_maildrop("bob", may_wait=False).close()
        except BlockingIOError:
            break
    else:
        pytest.fail("it is opened as if it were in memory")
    assert is_free(store)
    store.open_maildrop("bob", may_wait=False).close()


def test_a_name_that_only_the_disk_knows_is_not_looked_for(bob: Path) -> None:
    folder = durable.open_folder(str(bob))
    with pytest.raises(BlockingIOError):
        AT_HAND.open_file("never-heard-of", folder, os.O_RDONLY)
    os.close(folder)


def test_nothing_is_made(store: FileStore, tmp_path: Path) -> None:
    with pytest.raises(OSError):  # noqa: PT011 # the kernel's choice
        store.open_maildrop("carol", may_wait=False)
    assert not (tmp_path / "carol").exists()
    (tmp_path / "carol").mkdir()
    with pytest.raises(OSError):  # noqa: PT011
        store.open_maildrop("carol", may_wait=False)
    assert not list((tmp_path / "carol").iterdir())


def test_a_mailbox_that_has_to_be_looked_through_is_not(store: FileStore, bob: Path) -> None:
    with (bob / MAILBOX).open("ab") as file:
        file.write(b"From x\n\n")
    with pytest.raises(BlockingIOError):
        store.open_maildrop("bob", may_wait=False)
    assert len(contents(store, "bob")) == 3


def test_a_long_index_is_not_read(store: FileStore, bob: Path) -> None:
    with (bob / INDEX).open("ab") as file:
        file.write(bytes(128 * 1024))
    with pytest.raises(BlockingIOError):
        store.open_maildrop("bob", may_wait=False)
    assert is_free(store)


def test_a_link_is_not_followed(store: FileStore, bob: Path) -> None:
    (bob / MAILBOX).rename(bob / "elsewhere")
    (bob / MAILBOX).symlink_to("elsewhere")
    with pytest.raises(MailboxUnusable, match="symbolic link"):
        store.open_maildrop("bob", may_wait=False)


def test_another_session_is_seen(store: FileStore) -> None:
    other = store.open_maildrop("bob")
    with pytest.raises(MaildropInUse):
        store.open_maildrop("bob", may_wait=False)
    other.close()
    assert is_free(store)


@pytest.mark.parametrize("name", [INDEX, EDITION])
def test_that_it_was_read_is_not_noted(store: FileStore, bob: Path, name: str) -> None:
    """With a commit of ext4's journal under way, a note of that would wait for the disk."""
    os.utime(bob / name, (0, (bob / name).stat().st_mtime))
    for _ in range(2):
        store.open_maildrop("bob", may_wait=False).close()
    store.open_maildrop("bob").close()
    assert (bob / name).stat().st_atime == 0


def test_another_users_mailbox_is_read_in_a_thread(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the owner may ask that it is not noted."""
    maildrop = store.open_maildrop("bob")
    assert maildrop.content_at_hand(1) is not None
    maildrop.close()
    opens = os.open

    def anothers(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_NOATIME:
            raise PermissionError(errno.EPERM, "not the owner")
        return opens(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", anothers)
    maildrop = store.open_maildrop("bob")
    assert maildrop.content_at_hand(1) is None
    assert b"".join(maildrop.content(1)).endswith(b"At five.\r\n")
    maildrop.close()

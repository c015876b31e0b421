"""What makes things durable, call by call."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.calls import Calls, Fails, Short

from mailserver import durable


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = durable.open_folder(str(tmp_path))
    yield fd
    os.close(fd)


def test_a_folder_is_made_when_it_is_missing(tmp_path: Path, folder: int) -> None:
    with Calls() as calls:
        os.close(durable.open_folder("bob", folder, create=True))
        assert calls.disk.names == set()
    assert (tmp_path / "bob").stat().st_mode & 0o777 == 0o700
    os.close(durable.open_folder("bob", folder, create=True))
    os.close(durable.open_folder("bob", folder))


def test_a_folder_is_not_made_unasked(tmp_path: Path, folder: int) -> None:
    with pytest.raises(FileNotFoundError):
        durable.open_folder("bob", folder)
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_with_one_sync(tmp_path: Path, folder: int) -> None:
    (tmp_path / "bob").mkdir()
    for syncs in (1, 0):  # nothing is missing the second time
        with Calls() as calls:
            calls.fault = fault = Fails(0, errno.EIO)  # it never does, but counts
            durable.make_folders(("alice", "bob", "carol"), folder)
            assert calls.disk.names == set()
        assert fault.seen == 3 + syncs
    assert sorted(one.name for one in tmp_path.iterdir()) == ["alice", "bob", "carol"]
    assert (tmp_path / "carol").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["link", "file", "dangling link"])
def test_what_is_no_folder_is_refused(tmp_path: Path, folder: int, kind: str) -> None:
    (tmp_path / "real").mkdir()
    if kind == "file":
        (tmp_path / "bob").touch()
    else:
        (tmp_path / "bob").symlink_to("real" if kind == "link" else "nowhere")
    with pytest.raises(OSError, match=r"directory|link"):
        durable.open_folder("bob", folder, create=True)
    assert not (tmp_path / "nowhere").exists()


def test_a_file_is_private_and_no_link(tmp_path: Path, folder: int) -> None:
    os.close(durable.open_file("box", folder, os.O_RDWR | os.O_CREAT))
    assert (tmp_path / "box").stat().st_mode & 0o777 == 0o600
    (tmp_path / "link").symlink_to("box")
    with pytest.raises(OSError, match="symbolic"):
        durable.open_file("link", folder, os.O_RDWR)
    with pytest.raises(OSError, match="symbolic"):
        durable.open_file("link", folder, os.O_RDWR | os.O_CREAT)


def test_a_pipe_is_not_waited_for(tmp_path: Path, folder: int) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.close(durable.open_file("pipe", folder, os.O_RDONLY))


def test_descriptors_are_not_inherited(folder: int) -> None:
    fd = durable.open_file("box", folder, os.O_RDWR | os.O_CREAT)
    assert not os.get_inheritable(fd)
    assert not os.get_inheritable(folder)
    os.close(fd)


def test_short_writes_are_finished(tmp_path: Path, folder: int) -> None:
    octets = bytes(range(256)) * 100
    for at in range(1, 4):
        fd = durable.open_file("box", folder, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        with Calls() as calls:
            calls.fault = Short(at)
            assert durable.write_at(fd, octets, 0) == len(octets)
            assert durable.write_at(fd, b"end", len(octets)) == len(octets) + 3
        os.close(fd)
        assert (tmp_path / "box").read_bytes() == octets + b"end"


def test_nothing_is_written_for_nothing(folder: int) -> None:
    fd = durable.open_file("box", folder, os.O_RDWR | os.O_CREAT)
    assert durable.write_at(fd, b"", 7) == 7
    assert os.fstat(fd).st_size == 0
    os.close(fd)


def test_a_failed_sync_is_raised_and_not_repeated(folder: int) -> None:
    fd = durable.open_file("box", folder, os.O_RDWR | os.O_CREAT)
    with Calls() as calls:
        calls.fault = fault = Fails(1, errno.EIO)
        with pytest.raises(OSError, match="Input/output"):
            durable.sync_data(fd)
        assert fault.seen == 1
    os.close(fd)


def test_written_atomically(tmp_path: Path, folder: int) -> None:
    for content in ([b"one", b"", b"two"], [b"three"], []):
        with Calls() as calls:
            durable.write_atomically("box", folder, content)
            assert calls.disk.writes == {}
            assert calls.disk.sizes == calls.disk.names == set()
            assert calls.disk.renamed_unsynced == []
        assert (tmp_path / "box").read_bytes() == b"".join(content)
        assert [path.name for path in tmp_path.iterdir()] == ["box"]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("old", [None, b"old"])
def test_each_call_fails_once(tmp_path: Path, folder: int, code: int, old: bytes | None) -> None:
    """All of the new content or all of the old, no matter what; and no descriptor left."""
    path = tmp_path / "box"
    failed = []
    for at in range(1, 100):
        path.unlink(missing_ok=True)
        if old is not None:
            path.write_bytes(old)
        before = len(os.listdir("/proc/self/fd"))
        with Calls() as calls:
            calls.fault = fault = Fails(at, code)
            try:
                durable.write_atomically("box", folder, [b"new", b" and newer"])
            except OSError:
                assert fault.happened
        assert len(os.listdir("/proc/self/fd")) == before
        left = path.read_bytes() if path.exists() else None
        if not fault.happened:
            assert left == b"new and newer"
            break
        [call] = fault.happened
        failed.append(call)
        # the folder's sync comes when the new content has its name already
        assert left == (b"new and newer" if at == len(failed) == 6 else old), fault.happened
        assert not path.with_name("box.new").exists()
    assert failed == ["open", "pwrite", "pwrite", "fsync", "rename", "fsync"]


def test_an_error_of_the_content_leaves_the_old(tmp_path: Path, folder: int) -> None:
    (tmp_path / "box").write_bytes(b"old")

    def chunks() -> Iterator[bytes]:
        yield b"new"
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        durable.write_atomically("box", folder, chunks())
    assert [path.name for path in tmp_path.iterdir()] == ["box"]
    assert (tmp_path / "box").read_bytes() == b"old"


def test_removing_what_is_not_there(tmp_path: Path, folder: int) -> None:
    durable.remove("box", folder)
    (tmp_path / "box").touch()
    durable.remove("box", folder)
    assert not (tmp_path / "box").exists()

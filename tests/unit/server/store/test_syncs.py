"""Which mailbox files cannot be relied on."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from mailserver import durable
from mailserver.store.syncs import Syncs, doubtful


@pytest.fixture
def syncs(folder: int) -> Iterator[Syncs]:
    made = Syncs(0, folder)
    yield made
    made.close()


def _fail(fd: int) -> None:
    raise OSError(errno.EIO, "no")


def test_under_way(syncs: Syncs, folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    during: list[set[int]] = []
    monkeypatch.setattr(durable, "sync_data", lambda fd: during.append(doubtful(folder)))
    syncs.run(7, -1)
    syncs.run(1 << 60, -1)
    assert during == [{7}, {1 << 60}]
    assert doubtful(folder) == set()


def test_failed(syncs: Syncs, folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "sync_data", _fail)
    for inode in (7, 8):
        with pytest.raises(OSError, match="no"):
            syncs.run(inode, -1)
    monkeypatch.undo()
    syncs.run(7, folder)
    assert doubtful(folder) == {7, 8}, "a later sync says nothing"
    syncs.forget()
    assert doubtful(folder) == set()


def test_of_several_processes(syncs: Syncs, folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Syncs(1, folder)
    monkeypatch.setattr(durable, "sync_data", _fail)
    for inode, one in ((7, syncs), (8, other)):
        with pytest.raises(OSError, match="no"):
            one.run(inode, -1)
    syncs.forget()
    assert doubtful(folder) == {8}
    other.close()


def test_more_failures_than_can_be_noted(
    syncs: Syncs, folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "sync_data", _fail)
    for inode in range(1, 1001):
        with pytest.raises(OSError, match=r"no|hundreds"):
            syncs.run(inode, -1)
    monkeypatch.undo()
    with pytest.raises(OSError, match="hundreds of syncs have failed"):
        syncs.run(7, folder)
    syncs.forget()
    syncs.run(7, folder)

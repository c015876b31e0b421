"""Which edition of a mailbox there is, on a disk that fails."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.calls import Calls, Fails

from mailserver.store.edition import NAME, Edition, EditionFile

FIRST, SECOND, THIRD = (Edition(number, 7) for number in (1, 2, 3))
BLOCK = 4096


@pytest.fixture
def file(folder: int) -> Iterator[EditionFile]:
    opened = EditionFile(folder)
    yield opened
    opened.close()


class SyncFails(Fails):
    """The next so many."""

    def due(self, name: str) -> bool:
        return name == "fdatasync" and len(self.happened) < self.at


def lose(path: Path, block: int) -> None:
    """The disk never got it."""
    with (path / NAME).open("r+b") as disk:
        disk.seek(block * BLOCK)
        disk.write(bytes(BLOCK))


def test_what_was_said_last_is_read(file: EditionFile, folder: int, tmp_path: Path) -> None:
    assert file.read() == Edition(0, 0)
    for said in (FIRST, THIRD, SECOND._replace(cut=5), SECOND._replace(suspect=True)):
        file.say(said)
        assert file.read() == said
    assert (tmp_path / NAME).stat().st_size < BLOCK


@pytest.mark.parametrize("failures", [1, 2, 5])
def test_a_block_whose_sync_failed_is_not_relied_on(
    file: EditionFile, tmp_path: Path, failures: int
) -> None:
    file.say(FIRST)
    with Calls() as calls:
        calls.fault = SyncFails(failures, errno.EIO)
        for _ in range(failures):
            with pytest.raises(OSError, match="Input/output"):
                file.say(SECOND)
    assert file.read() == SECOND
    file.say(THIRD)
    for block in range(failures):
        lose(tmp_path, block)
    assert file.read() == THIRD


def test_what_was_said_before_a_failure_stays(file: EditionFile, tmp_path: Path) -> None:
    file.say(FIRST)
    with Calls() as calls:
        calls.fault = SyncFails(1, errno.EIO)
        with pytest.raises(OSError, match="Input/output"):
            file.say(SECOND)
    lose(tmp_path, 1)
    assert file.read() in (FIRST, SECOND)


def test_a_disk_that_always_fails_does_not_fill_the_file(file: EditionFile, tmp_path: Path) -> None:
    with Calls() as calls:
        calls.fault = SyncFails(200, errno.EIO)
        for _ in range(200):
            with pytest.raises(OSError, match="Input/output"):
                file.say(SECOND)
    assert (tmp_path / NAME).stat().st_size < 100 * BLOCK
    assert file.read() == SECOND


def test_which_edition_a_file_is_of_while_another_gets_its_name() -> None:
    said = Edition(2, 7, suspect=True)
    for new in (8, 9, 8):  # each time the disk fails before the name is given
        said = said.renaming_to(new, 7)
        assert (said.of(new), said.of(7)) == (3, 2)
        assert said.suspects(7)
        assert not said.suspects(new)
    said = said.renaming_to(9, 8)
    assert (said.of(9), said.of(8)) == (4, 3)
    assert not said.suspects(8)
    assert Edition(0, 0).of(7) is None

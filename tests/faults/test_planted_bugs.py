"""The tests of faults must bite: with a bug planted, each of these finds it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.faults.stories import (
    AppendAndSettle,
    AppendBatch,
    AppendOne,
    AppendToFullJournal,
    AppendToNobody,
    DeleteAmong,
    DeleteBesideBig,
    DeleteLast,
    RepairByAppend,
    Start,
    Story,
)
from tests.faults.test_failing_calls import FAULTS, fail_each_call
from tests.faults.test_kill import kill_each_call

from mailserver import durable
from mailserver.store import intake, recovery, repairing
from mailserver.store.base import MailboxUnusable
from mailserver.store.files import FileStore
from mailserver.store.intake import Intake
from mailserver.store.mailbox_file import MailboxFile
from mailserver.store.maildrop import FileMaildrop

Plant = Callable[[pytest.MonkeyPatch], None]

_NOTHING: Callable[..., None] = lambda *args, **kwargs: None  # noqa: E731


def _into_the_journal(sync: Callable[[int], None]) -> Callable[..., None]:
    def append(self: intake._File, octets: bytes) -> None:
        durable.write_at(self.fd, octets, self.end)
        sync(self.fd)
        self.end += len(octets)
        self.batches += 1

    return append


def _again(fd: int) -> None:
    try:
        durable.sync_data(fd)
    except OSError:
        durable.sync_data(fd)


def _swallowing(fd: int) -> None:
    with suppress(OSError):
        durable.sync_data(fd)


def acknowledge_before_the_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(intake._File, "append", _into_the_journal(_NOTHING))


def sync_again_when_it_failed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(intake._File, "append", _into_the_journal(_again))


def swallow_a_failed_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(intake._File, "append", _into_the_journal(_swallowing))


def acknowledge_big_ones_before_the_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MailboxFile, "sync", _NOTHING)


def sync_big_ones_again_when_it_failed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MailboxFile, "sync", lambda self: _again(self.mailbox))


def leave_what_was_not_stored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MailboxFile, "roll_back", MailboxFile.close_files)


def take_back_only_the_first(patch: pytest.MonkeyPatch) -> None:
    whole = FileStore._roll_back
    patch.setattr(FileStore, "_roll_back", staticmethod(lambda files: whole(files[:1])))


def keep_a_torn_tail(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(repairing, "was_cut", lambda mailbox, entry: False)


def forget_what_a_journal_promised(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "redo", _NOTHING)


def empty_the_journal_before_the_syncs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Intake, "_begin_to_settle", _NOTHING)


def rename_without_a_sync(patch: pytest.MonkeyPatch) -> None:
    def replace(temporary: str, name: str, folder: int, fd: int) -> None:
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        durable.sync_directory(folder)

    patch.setattr(durable, "replace", replace)


def rename_without_the_folders_sync(patch: pytest.MonkeyPatch) -> None:
    def replace(temporary: str, name: str, folder: int, fd: int) -> None:
        os.fsync(fd)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)

    patch.setattr(durable, "replace", replace)


def never_sync_a_folder(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(durable, "sync_directory", _NOTHING)


def forget_the_last(patch: pytest.MonkeyPatch) -> None:
    def delete(self: FileMaildrop, numbers: Any) -> int:
        file = self._locked_file()
        try:
            entries = self._listing.entries
            gone = {entries[number - 1].offset for number in numbers}
            kept = [entry for entry in entries[:-1] if entry.offset not in gone]
            file.rewrite(entries, kept)
            return len(gone)
        finally:
            file.close()

    patch.setattr(FileMaildrop, "delete", delete)


def truncate_without_a_sync(patch: pytest.MonkeyPatch) -> None:
    def truncate(self: MailboxFile, entries: Any, kept: Any) -> None:
        self.end = entries[len(kept)].offset
        os.ftruncate(self.mailbox, self.end)
        self.save(kept)

    patch.setattr(MailboxFile, "truncate", truncate)


def write_once(patch: pytest.MonkeyPatch) -> None:
    """A short write taken for a whole one."""

    def write_at(fd: int, octets: bytes | memoryview, offset: int) -> int:
        os.pwrite(fd, octets, offset)
        return offset + len(octets)

    patch.setattr(durable, "write_at", write_at)


FAILING: list[tuple[Plant, type[Story], str]] = [
    (acknowledge_before_the_sync, AppendOne, "EIO once"),
    (sync_again_when_it_failed, AppendOne, "EIO once"),
    (swallow_a_failed_sync, AppendOne, "EIO once"),
    (acknowledge_big_ones_before_the_sync, AppendBatch, "EIO once"),
    (sync_big_ones_again_when_it_failed, AppendBatch, "EIO once"),
    (leave_what_was_not_stored, AppendBatch, "EIO once"),
    (take_back_only_the_first, AppendBatch, "EIO once"),
    (forget_what_a_journal_promised, Start, "EIO once"),
    (empty_the_journal_before_the_syncs, AppendAndSettle, "EIO once"),
    (empty_the_journal_before_the_syncs, AppendToFullJournal, "EIO once"),
    (rename_without_a_sync, DeleteAmong, "EIO once"),
    (rename_without_the_folders_sync, DeleteAmong, "EIO once"),
    (never_sync_a_folder, AppendToNobody, "EIO once"),
    (forget_the_last, DeleteAmong, "EIO once"),
    (truncate_without_a_sync, DeleteLast, "EIO once"),
    (write_once, AppendOne, "short once"),
    (write_once, DeleteAmong, "short once"),
    (write_once, DeleteBesideBig, "short once"),
]
KILLING: list[tuple[Plant, type[Story], str]] = [
    (keep_a_torn_tail, RepairByAppend, "before"),
]


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize(("plant", "story", "fault"), FAILING)
def test_a_failing_call_shows_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, plant: Plant, story: type[Story], fault: str
) -> None:
    plant(monkeypatch)
    with pytest.raises((AssertionError, MailboxUnusable)):
        fail_each_call(folder, story, FAULTS[fault])


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize(("plant", "story", "when"), KILLING)
def test_a_kill_shows_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, plant: Plant, story: type[Story], when: str
) -> None:
    plant(monkeypatch)
    with pytest.raises((AssertionError, MailboxUnusable)):
        kill_each_call(folder, story, when)

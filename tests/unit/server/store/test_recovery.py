"""What the journals promise is in the mailboxes after a start, once and whole, and nothing else."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.contract.post import contents, delete, deliver, read, try_deliver
from tests.faults.child import run_in_child

from mailserver import durable
from mailserver.store import journal, recovery, syncs
from mailserver.store.check import check
from mailserver.store.files import FileStore
from mailserver.store.intake import GROWTH, Intake
from mailserver.store.mailbox_file import MailboxFile
from mailserver.store.orphans import promised

BIG = b"Subject: big\r\n\r\n" + b"x" * 300_000 + b"\r\n"


def opened(data: Path, journal_octets: int = 1 << 20) -> FileStore:
    return FileStore(data, lambda: 0.0, reserve_octets=0, journal_octets=journal_octets)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    store = opened(tmp_path)
    yield store
    store.close()


Crash = Callable[[], FileStore]


@pytest.fixture
def crash(store: FileStore) -> Crash:
    """The server is gone without a word, and another one starts."""

    def start(data: Path) -> FileStore:
        assert store._intake is not None
        store._intake.close()
        store._intake = None
        return opened(data)

    return lambda: start(Path(os.readlink(f"/proc/self/fd/{store._folder}")))


def mailbox(data: Path) -> Path:
    return data / "bob" / "mymailbox"


def zero(path: Path, start: int, end: int) -> None:
    octets = bytearray(path.read_bytes())
    octets[start:end] = bytes(end - start)
    path.write_bytes(octets)


def test_nothing_reached_the_disk(store: FileStore, crash: Crash, tmp_path: Path) -> None:
    sent = [deliver(store, "bob"), deliver(store, "bob")]
    os.truncate(mailbox(tmp_path), 0)
    again = crash()
    assert contents(again, "bob") == sent
    assert journals(tmp_path) == 0
    again.close()


@pytest.mark.parametrize("lost", ["the index too", "not the index"])
def test_any_page_did_not_reach_the_disk(
    store: FileStore, crash: Crash, tmp_path: Path, lost: str
) -> None:
    lines = b"".join(b"line %d of this message\r\n" % n for n in range(300))
    sent = [deliver(store, "bob", b"Subject: %d\r\n\r\n%s" % (n, lines)) for n in range(4)]
    ids = [mail.unique_id for mail in read(store, "bob")]
    whole = mailbox(tmp_path).read_bytes()
    for start in range(0, len(whole), 4096):
        zero(mailbox(tmp_path), start, min(start + 4096, len(whole)))
    if lost == "the index too":
        (tmp_path / "bob" / ".index").unlink()
    again = crash()
    assert contents(again, "bob") == sent
    assert [mail.unique_id for mail in read(again, "bob")] == ids
    assert mailbox(tmp_path).read_bytes() == whole
    again.close()


def test_what_was_deleted_does_not_come_back(
    store: FileStore, crash: Crash, tmp_path: Path
) -> None:
    sent = [deliver(store, "bob", b"Subject: %d\r\n\r\nx\r\n" % n) for n in range(5)]
    delete(store, "bob", 4, 5)  # a truncation
    late = deliver(store, "bob", b"Subject: late\r\n\r\nx\r\n")
    delete(store, "bob", 1)  # a rewrite
    later = deliver(store, "bob", b"Subject: later\r\n\r\nx\r\n")
    again = crash()
    assert contents(again, "bob") == [*sent[1:3], late, later]
    again.close()


def test_a_rewrite_without_its_rename(store: FileStore, crash: Crash, tmp_path: Path) -> None:
    """The power failed when the new file was announced, and before it had the name."""
    sent = [deliver(store, "bob"), deliver(store, "bob")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable, "replace", _fail)
        with pytest.raises(OSError, match="no"):
            delete(store, "bob", 1)
    os.truncate(mailbox(tmp_path), 3)
    again = crash()
    assert contents(again, "bob") == sent
    again.close()


def _fail(*args: object) -> None:
    raise OSError(errno.EIO, "no")


def test_what_another_program_removed_is_looked_for(
    store: FileStore, crash: Crash, tmp_path: Path
) -> None:
    """It moved the others, too: none of them is there twice."""
    sent = [deliver(store, "bob", b"Subject: %d\r\n\r\nx\r\n" % n) for n in range(3)]
    octets = mailbox(tmp_path).read_bytes()
    second = octets.index(b"\n\nFrom ") + 2
    mailbox(tmp_path).write_bytes(octets[second:])
    again = crash()
    assert sorted(contents(again, "bob")) == sorted(sent)
    again.close()


def take_out_the_first(data: Path) -> None:
    """Another program does, in place, and syncs nothing."""
    octets = mailbox(data).read_bytes()
    rest = octets[octets.index(b"\n\nFrom ") + 2 :]
    with mailbox(data).open("r+b") as file:
        file.write(rest)
        file.truncate()


@pytest.mark.parametrize("octets", [1, 300_000], ids=["small", "big"])
def test_what_another_program_moved_is_not_there_twice(
    store: FileStore, crash: Crash, tmp_path: Path, octets: int
) -> None:
    """It lies elsewhere; and its place, behind the end, looks as if nothing had come there yet."""
    deliver(store, "bob", b"Subject: old\r\n\r\n" + b"x" * octets + b"\r\n")
    store.settle()
    new = deliver(store, "bob", b"Subject: new\r\n\r\n" + b"x" * octets + b"\r\n")
    late = deliver(store, "bob", b"Subject: late\r\n\r\nx\r\n")
    take_out_the_first(tmp_path)
    again = crash()
    assert contents(again, "bob") == [new, late]
    again.close()


def test_a_journal_promises_nothing_for_long(
    store: FileStore, crash: Crash, tmp_path: Path
) -> None:
    """Mail comes all the time, for others; what another program removed does not come back."""
    deliver(store, "bob")
    assert store._intake is not None
    store._intake._seconds = 0.0
    for _ in range(2):
        deliver(store, "alice")
    os.truncate(mailbox(tmp_path), 0)
    again = crash()
    assert contents(again, "bob") == []
    assert len(contents(again, "alice")) == 2
    again.close()


@pytest.mark.parametrize("reached", [0, 100], ids=lambda octets: f"{octets} octets")
def test_what_another_program_moved_and_the_disk_lost_comes(
    store: FileStore, crash: Crash, tmp_path: Path, reached: int
) -> None:
    """It is promised, and in no place."""
    kept = deliver(store, "bob")
    store.settle()
    old = deliver(store, "bob")
    store.settle()
    ends = len(mailbox(tmp_path).read_bytes()) // 2
    new = [deliver(store, "bob"), deliver(store, "bob")]
    take_out_the_first(tmp_path)
    os.truncate(mailbox(tmp_path), ends + reached)
    again = crash()
    found = contents(again, "bob")
    assert found[:1] == [old]
    assert sorted(found[-2:]) == sorted(new)
    assert kept not in found
    again.close()


def test_a_refused_message_does_not_come(store: FileStore, crash: Crash, tmp_path: Path) -> None:
    sent = deliver(store, "bob")
    real = MailboxFile.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MailboxFile, "write", lambda self, records: real(self, records) or _fail())
        assert not try_deliver(store, ["bob"])[0]
    again = crash()
    assert contents(again, "bob") == [sent]
    again.close()


@pytest.mark.parametrize(
    ("start", "end"), [(1_000, 4_000_000), (0, 100), (0, 612), (100, 612), (4196, 8292)]
)
def test_a_big_one_that_was_cut(tmp_path: Path, start: int, end: int) -> None:
    """It is in the mailbox alone: what is there of it goes to lost+found. It begins 100 octets
    before a block, and these octets of it did not reach the disk."""
    first = opened(tmp_path)
    sent = [deliver(first, "bob", b"\r\n\r\n")]
    least = mailbox(tmp_path).stat().st_size
    sent.append(deliver(first, "bob", b"\r\n%b\r\n" % (b"x" * (4096 - 100 - 2 * least))))
    place = mailbox(tmp_path).stat().st_size
    assert place == 4096 - 100
    first.close()

    def act() -> None:
        dying = opened(tmp_path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MailboxFile, "sync", lambda self: os.kill(os.getpid(), signal.SIGKILL))
            deliver(dying, "bob", BIG)

    run_in_child(act)
    size = mailbox(tmp_path).stat().st_size
    if place + end > size:
        os.truncate(mailbox(tmp_path), place + start)
    else:
        zero(mailbox(tmp_path), place + start, place + end)
    (tmp_path / "bob" / ".index").unlink()
    again = opened(tmp_path)
    assert contents(again, "bob") == sent
    assert len(list((tmp_path / ".mailserver" / "lost+found").iterdir())) == 1
    late = deliver(again, "bob", BIG)
    assert contents(again, "bob") == [*sent, late]
    again.close()


def test_a_user_who_is_gone(store: FileStore, crash: Crash, tmp_path: Path) -> None:
    deliver(store, "alice")
    sent = deliver(store, "bob")
    shutil.rmtree(tmp_path / "alice")
    again = crash()
    assert contents(again, "bob") == [sent]
    assert not (tmp_path / "alice").exists()
    again.close()


def test_a_living_servers_journal_is_its_own(store: FileStore, tmp_path: Path) -> None:
    sent = deliver(store, "bob")
    other = opened(tmp_path)
    assert journals(tmp_path) == 1
    late = deliver(other, "bob")
    assert journals(tmp_path) == 2
    assert contents(store, "bob") == [sent, late]
    other.close()
    assert journals(tmp_path) == 1


def test_a_full_journal(tmp_path: Path) -> None:
    """Again and again; the mailboxes are synced before what promised them goes."""
    store = opened(tmp_path, 64 * 1024)
    users = ["alice", "bob", "carol"]
    sent: dict[str, list[bytes]] = {user: [] for user in users}
    for n in range(60):
        verdict, copies = try_deliver(store, users, b"Subject: %d\r\n\r\n%s\r\n" % (n, b"x" * 990))
        assert verdict
        for user in users:
            sent[user].append(copies[user])
    assert all(path.stat().st_size <= 64 * 1024 for path in files(tmp_path))
    for user in users:
        assert contents(store, user) == sent[user]
    store.close()


def test_a_journal_has_room_for_the_next_batches(
    store: FileStore, crash: Crash, tmp_path: Path
) -> None:
    """Which need no new blocks, and so no more than their own sync."""
    sent = [deliver(store, "bob")]
    size = files(tmp_path)[0].stat().st_size
    sent += [deliver(store, "bob") for _ in range(4)]
    assert files(tmp_path)[0].stat().st_size == size == 5 * journal.BLOCK
    again = crash()
    assert contents(again, "bob") == sent
    again.close()


def test_no_room_for_the_next_batches(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs none to take this one."""
    write_at = durable.write_at

    def full(fd: int, octets: bytes | memoryview, offset: int) -> int:
        if bytes(octets).strip(b"\0") or len(octets) < GROWTH[0]:
            return write_at(fd, octets, offset)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable, "write_at", full)
    sent = [deliver(store, "bob") for _ in range(3)]
    assert contents(store, "bob") == sent


def test_a_sync_in_the_background_that_failed(tmp_path: Path) -> None:
    """What it lost is written again before the journal lets go of it."""
    store = opened(tmp_path, 64 * 1024)
    sent = [deliver(store, "bob")]
    real, lost = durable.sync_data, []

    def sync(fd: int) -> None:
        if not lost and os.readlink(f"/proc/self/fd/{fd}") == str(mailbox(tmp_path)):
            lost.append(fd)
            os.truncate(mailbox(tmp_path), 0)
            _fail()
        real(fd)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable, "sync_data", sync)
        store.settle()
    assert lost
    assert contents(store, "bob") == sent
    store.close()


@contextmanager
def failing(data: Path) -> Iterator[None]:
    """The disk does not take what is in bob's mailbox."""
    real = durable.sync_data

    def sync(fd: int) -> None:
        if os.path.samestat(os.fstat(fd), mailbox(data).stat()):
            raise OSError(errno.EIO, "no")
        real(fd)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable, "sync_data", sync)
        yield


def doubtful(data: Path) -> set[int]:
    folder = os.open(data / ".mailserver" / "journal", os.O_RDONLY)
    try:
        return syncs.doubtful(folder)
    finally:
        os.close(folder)


def begin_to_settle(store: FileStore) -> None:
    assert store._intake is not None
    store._intake._begin_to_settle(store._intake._active)


def test_a_sync_failed_and_who_knew_it_was_killed(
    store: FileStore, crash: Crash, tmp_path: Path
) -> None:
    """Later syncs say that all is well, and it is not: the mailbox is to be written anew."""
    sent = [deliver(store, "bob"), deliver(store, "bob")]
    before = mailbox(tmp_path).stat().st_ino
    with failing(tmp_path):
        begin_to_settle(store)
    assert doubtful(tmp_path) == {before}
    again = crash()
    assert mailbox(tmp_path).stat().st_ino != before
    assert doubtful(tmp_path) == set()
    assert contents(again, "bob") == sent
    again.close()


def test_a_sync_failed_and_somebody_else_deletes(store: FileStore, tmp_path: Path) -> None:
    """He cannot know that from his own sync: what stays goes into a new file."""
    sent = [deliver(store, "bob"), deliver(store, "bob")]
    before = mailbox(tmp_path).stat().st_ino
    with failing(tmp_path):
        begin_to_settle(store)
    reader = opened(tmp_path)
    delete(reader, "bob", 2)
    assert mailbox(tmp_path).stat().st_ino != before
    store.settle()
    assert doubtful(tmp_path) == set()
    assert contents(reader, "bob") == sent[:1]
    reader.close()


def test_syncs_that_went_well_leave_no_doubt(store: FileStore, tmp_path: Path) -> None:
    deliver(store, "bob")
    before = mailbox(tmp_path).stat().st_ino
    begin_to_settle(store)
    assert doubtful(tmp_path) == set()
    delete(store, "bob", 1)
    assert mailbox(tmp_path).stat().st_ino == before


def test_killed_in_a_sync_of_a_deletion(store: FileStore, tmp_path: Path) -> None:
    sent = [deliver(store, "bob"), deliver(store, "bob")]
    before = mailbox(tmp_path).stat().st_ino
    with failing(tmp_path), pytest.raises(OSError, match="no"):
        delete(store, "bob", 2)
    assert contents(store, "bob") == sent
    assert mailbox(tmp_path).stat().st_ino != before


def test_check_knows_the_journals(store: FileStore, crash: Crash, tmp_path: Path) -> None:
    sent = [deliver(store, "bob"), deliver(store, "bob")]
    kept = mailbox(tmp_path).read_bytes()
    assert store._intake is not None
    store._intake.close()
    store._intake = None
    assert [report.clean for report in check(str(tmp_path), 0.0)] == [True]
    second = kept.index(b"\n\nFrom ") + 2
    os.truncate(mailbox(tmp_path), second)
    (report,) = check(str(tmp_path), 0.0)
    assert "in the journal of a server" in str(report.problems[0])
    assert mailbox(tmp_path).stat().st_size == second
    (report,) = check(str(tmp_path), 0.0, repair=True)
    assert report.repaired
    assert mailbox(tmp_path).read_bytes() == kept
    assert journals(tmp_path) == 0
    assert [report.clean for report in check(str(tmp_path), 0.0)] == [True]
    assert contents(store, "bob") == sent


def files(data: Path) -> list[Path]:
    return sorted((data / ".mailserver" / "journal").glob("[0-9]*"))


def journals(data: Path) -> int:
    """How many promise something."""
    return sum(path.read_bytes().startswith(journal.MAGIC) for path in files(data))


def test_a_cut_is_durably_announced_by_whoever_does_it(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The announcement did not get to the disk; a block of the mailbox that is cut might."""
    sent = [deliver(store, "bob", b"Subject: %d\r\n\r\nx\r\n" % n) for n in range(3)]
    did: list[str] = []

    def noted(call: Callable[..., None]) -> Callable[..., None]:
        def noting(fd: int, *rest: int) -> None:
            name = Path(os.readlink(f"/proc/self/fd/{fd}")).name
            if name in ("mymailbox", ".edition"):
                did.append(f"{call.__name__} {name}")
            if did == ["fdatasync mymailbox", "fdatasync .edition"]:
                _fail()
            call(fd, *rest)

        return noting

    for call in (os.fdatasync, os.ftruncate):
        monkeypatch.setattr(os, call.__name__, noted(call))
    with pytest.raises(OSError, match="no"):
        delete(store, "bob", 3)
    assert contents(store, "bob") == sent[:2]
    assert did[2:4] == ["fdatasync .edition", "ftruncate mymailbox"]


def test_the_promises_of_the_living_are_their_own(store: FileStore, tmp_path: Path) -> None:
    deliver(store, "bob")
    folder = os.open(tmp_path, os.O_RDONLY)
    with promised(folder, "bob") as found:
        assert found == []
    assert store._intake is not None
    store._intake.close()
    store._intake = None
    with promised(folder, "bob") as found:
        assert [one.record() for one in found] == [mailbox(tmp_path).read_bytes()]
    os.close(folder)


def test_what_a_journal_has_in_memory_only(
    store: FileStore, crash: Crash, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last sync failed, and nobody knows. The first one to act on it is killed, then the power
    fails: all that he did had to be there still, or could be in the mailbox in part."""
    sent = [deliver(store, "bob"), deliver(store, "bob")]
    monkeypatch.setattr(recovery, "redo", _fail)
    with pytest.raises(OSError, match="no"):
        crash()
    monkeypatch.undo()
    for path in files(tmp_path):
        if not path.name.endswith(".copy"):
            path.write_bytes(b"")
    os.truncate(mailbox(tmp_path), 100)
    again = opened(tmp_path)
    assert contents(again, "bob") == sent
    assert journals(tmp_path) == 0
    assert [path.name for path in files(tmp_path) if path.name.endswith(".copy")] == []
    again.close()


def test_no_room_for_a_copy(
    store: FileStore, crash: Crash, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = deliver(store, "bob")
    os.truncate(mailbox(tmp_path), 0)
    real = durable.write_atomically

    def full(name: str, *args: object) -> None:
        if name.endswith(".copy"):
            raise OSError(errno.ENOSPC, "full")
        real(name, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(durable, "write_atomically", full)
    again = crash()
    assert contents(again, "bob") == [sent]
    again.close()


def test_the_journal_of_who_just_died_is_not_taken(store: FileStore, tmp_path: Path) -> None:
    deliver(store, "bob")
    assert store._intake is not None
    store._intake.close()
    folder = os.open(tmp_path / ".mailserver" / "journal", os.O_RDONLY)
    before = {path: path.read_bytes() for path in files(tmp_path)}
    other = Intake(folder, lambda fd: None)
    other.append([], [])
    assert {path: path.read_bytes() for path in before} == before
    other.close()
    os.close(folder)
    store._intake = None

"""The locks of other programs, held by a program that knows nothing of ours."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contract.post import contents, delete, deliver, try_deliver

from mailserver import durable
from mailserver.message.verdict import Kind
from mailserver.store import mailbox_lock, maildrop
from mailserver.store.base import MailboxUnusable
from mailserver.store.files import FileStore
from mailserver.store.mailbox_lock import Foreign, MailboxLock

_HOLD = """
import fcntl, sys
box = open(sys.argv[1], "r+b")
fcntl.lockf(box, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
HERE = os.uname().nodename


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return tmp_path / "bob" / "mymailbox"


@pytest.fixture
def dotlock(box: Path) -> Path:
    return box.with_name("mymailbox.lock")


@pytest.fixture(params=[Foreign.FCNTL, Foreign.DOTLOCK, Foreign.OFF], ids=lambda one: one.value)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FileStore]:
    store = FileStore(tmp_path, lambda: 0.0, reserve_octets=0, foreign=request.param)
    deliver(store, "bob")
    deliver(store, "bob")
    yield store
    store.close()


only = pytest.mark.parametrize
TAKEN = only("store", [Foreign.FCNTL, Foreign.DOTLOCK], indirect=True, ids=lambda one: one.value)
NOT_TAKEN = only("store", [Foreign.OFF], indirect=True, ids=lambda one: one.value)


@pytest.fixture
def holder(store: FileStore, box: Path) -> Iterator[subprocess.Popen[str]]:
    """Another program, which has the fcntl lock until its input ends or it is killed."""
    command = [sys.executable, "-c", _HOLD, str(box)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield other
        other.kill()


@pytest.fixture
def lock(box: Path) -> Iterator[MailboxLock]:
    """A lock without a store."""
    box.parent.mkdir(exist_ok=True)
    folder = durable.open_folder(str(box.parent))
    lock = MailboxLock(folder, "bob", Foreign.FCNTL)
    yield lock
    lock.close()
    os.close(folder)


def is_busy(store: FileStore) -> bool:
    """For senders and for those who delete; reading goes on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maildrop, "WRITE_LOCK_SECONDS", 0.01)
        verdict, _ = try_deliver(store, ["bob"])
        if verdict:
            return False
        assert verdict.kind is Kind.MAILBOX_BUSY
        assert len(contents(store, "bob")) == 2
        with pytest.raises(OSError, match="locked"):
            delete(store, "bob", 1)
        assert len(contents(store, "bob")) == 2
    return True


@TAKEN
def test_a_mailbox_with_an_fcntl_lock_is_busy(
    store: FileStore, holder: subprocess.Popen[str]
) -> None:
    assert is_busy(store)
    holder.kill()
    holder.wait()
    assert not is_busy(store)


@NOT_TAKEN
def test_where_nobody_else_writes_nothing_is_asked(
    store: FileStore, holder: subprocess.Popen[str], dotlock: Path
) -> None:
    dotlock.touch()
    assert not is_busy(store)


def test_who_has_a_dotlock_finds_no_fcntl_lock(lock: MailboxLock, box: Path, dotlock: Path) -> None:
    """Not for a moment: Python's mailbox tries once, and breaks off in the middle of its work."""
    box.touch()
    dotlock.touch()
    waiting = threading.Thread(target=lock.acquire, args=(0.3,))
    waiting.start()
    while waiting.is_alive():
        with box.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@TAKEN
def test_a_mailbox_with_a_dotlock_is_busy(store: FileStore, dotlock: Path) -> None:
    dotlock.touch()
    assert is_busy(store)
    dotlock.unlink()
    assert not is_busy(store)


def others_may(box: Path) -> bool:
    """Get an fcntl lock: asked in another process, as a lock of one's own hides none."""
    code = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    done = subprocess.run([sys.executable, "-c", code, str(box)], capture_output=True, check=False)
    assert done.returncode == 0 or b"BlockingIOError" in done.stderr
    return done.returncode == 0


@only("replace", [False, True])
def test_others_wait_for_us(lock: MailboxLock, box: Path, dotlock: Path, replace: bool) -> None:
    assert lock.acquire(0.0, replace=replace)
    assert not others_may(box)
    assert dotlock.exists() == replace
    if replace:
        assert dotlock.read_text() == f"{os.getpid()}:{HERE}"
    lock.release()
    assert others_may(box)
    assert not dotlock.exists()


@only("end", [MailboxLock.release, MailboxLock.close])
def test_all_is_free_at_the_end(
    box: Path, dotlock: Path, end: Callable[[MailboxLock], None]
) -> None:
    box.parent.mkdir()
    folder = durable.open_folder(str(box.parent))
    for _ in range(2):
        lock, other = (MailboxLock(folder, "bob", Foreign.DOTLOCK) for _ in range(2))
        assert lock.acquire(0.0)
        assert not other.acquire(0.0)
        end(lock)
        assert other.acquire(0.0)
        other.close()
        if end is MailboxLock.release:
            lock.close()
    assert not dotlock.exists()
    os.close(folder)


@TAKEN
def test_what_a_killed_one_of_us_left_is_no_lock(store: FileStore, dotlock: Path) -> None:
    """Whatever number the new process has; it may well be the old one's."""
    os.link(dotlock.with_name(".write"), dotlock)
    assert not is_busy(store)
    delete(store, "bob", 1)
    assert not dotlock.exists()


@pytest.fixture(scope="module")
def gone() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
        return process.pid


OLD = mailbox_lock.ABANDONED_SECONDS + 5


@only("age", [0.0, OLD - 10, OLD])
@only(
    ("holder", "lives"),
    [
        ("{mine}:{here}", True),
        ("{mine}", True),
        ("{mine}\n", True),
        ("{mine}:elsewhere", False),
        ("{gone}:{here}", False),
        ("{gone}", False),
        ("", False),
        ("0", False),
        ("words", False),
        ("9" * 400, False),
    ],
)
def test_a_dotlock_that_was_left_behind(
    lock: MailboxLock, box: Path, dotlock: Path, gone: int, holder: str, lives: bool, age: float
) -> None:
    dotlock.write_text(holder.format(mine=os.getpid(), gone=gone, here=HERE))
    then = time.time() - age
    box.touch()
    os.utime(box, (then, then))
    os.utime(dotlock, (then, then))
    assert lock.acquire(0.0) == (age == OLD and not lives)


def test_who_changes_the_mailbox_is_at_work(lock: MailboxLock, box: Path, dotlock: Path) -> None:
    box.touch()
    dotlock.touch()
    os.utime(dotlock, (0, 0))
    assert not lock.acquire(0.0)
    os.utime(box, (0, 0))
    assert lock.acquire(0.0)


def test_a_mailbox_that_is_replaced_meanwhile_is_opened_again(
    lock: MailboxLock, box: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.touch()
    new = box.with_name("new")
    new.touch()
    real = fcntl.fcntl

    def replaced(*args: object) -> object:
        if new.exists():
            new.rename(box)
        return real(*args)  # type: ignore[call-overload]

    monkeypatch.setattr(fcntl, "fcntl", replaced)
    assert not lock.acquire(0.0)
    assert lock.acquire(0.0)
    assert not others_may(box)


def test_our_own_dotlock_alone_is_removed(lock: MailboxLock, box: Path, dotlock: Path) -> None:
    """Somebody took it for left behind, and made his own."""
    assert lock.acquire(0.0, replace=True)
    dotlock.unlink()
    dotlock.touch()
    lock.release()
    assert dotlock.exists()


def test_a_link_is_not_locked(lock: MailboxLock, box: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    box.symlink_to("../elsewhere")
    with pytest.raises(MailboxUnusable, match="symbolic"):
        lock.acquire(0.0)
    box.unlink()
    assert lock.acquire(0.0)

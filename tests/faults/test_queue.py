"""The queue's files under failing calls and kills: what was released is there, whole; what was
refused is not; what was noted is known."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.faults.calls import Calls, Disk, Fails, Fault, Kills, Short
from tests.faults.child import run_in_child
from tests.faults.conftest import Count

from mailserver.message.envelope import MailParameters, Recipient
from mailserver.message.outcome import Fate, Outcome
from mailserver.relay.entry import Entry, Record, Tried
from mailserver.relay.spool import Spool
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath

CONTENT = [b"Subject: one\r\n\r\n", b"text\r\n" * 1000]
LATER = Outcome(Fate.TEMPORARY, "4.2.2", "452 full", "mx")
TAKEN = Outcome(Fate.DELIVERED, "2.0.0", "250 OK", "mx")
BOB = Recipient(ForwardPath(Mailbox("bob", "b.test")))
FAULTS: dict[str, Callable[[int], Fault]] = {
    "EIO once": lambda at: Fails(at, errno.EIO),
    "EIO from then on": lambda at: Fails(at, errno.EIO, persistent=True),
    "ENOSPC once": lambda at: Fails(at, errno.ENOSPC),
    "ENOSPC from then on": lambda at: Fails(at, errno.ENOSPC, persistent=True),
    "EINTR once": lambda at: Fails(at, errno.EINTR),
    "EINTR from then on": lambda at: Fails(at, errno.EINTR, persistent=True),
    "short once": Short,
    "short from then on": lambda at: Short(at, persistent=True),
}


def entry(name: str) -> Entry:
    octets = sum(map(len, CONTENT))
    return Entry(name, 1.0, ReversePath(None), MailParameters(), (BOB,), octets)


def put(spool: Spool, name: str) -> None:
    held = spool.hold(entry(name), CONTENT)
    try:
        held.release()
    except OSError:
        held.discard()
        raise


def work(spool: Spool, tell: Callable[[str], None]) -> None:
    """Two messages come in, the first is tried."""
    for name in ("one", "two"):
        with suppress(OSError):
            put(spool, name)
            tell(name)
    with suppress(OSError):
        spool.note("one", Tried(2.0, (0,), LATER, 302.0))
        tell("noted")


def check(data: Path, told: set[str], *, refused: set[str]) -> None:
    """By a process that comes afterwards."""
    spool = Spool(data)
    try:
        assert spool.own()
        ids = set(spool.ids())
        assert told & {"one", "two"} <= ids
        assert not refused & ids
        for name in ids:
            message = spool.load(name)
            assert message.entry == entry(name)
            assert b"".join(spool.content(name)) == b"".join(CONTENT)
        if "noted" in told:
            assert spool.load("one").progress[0].outcome == LATER
        assert not any((data / ".mailserver/queue/coming").iterdir())
        put(spool, "after")
        assert "after" in spool.ids()
    finally:
        spool.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_each_call_fails(folder: Path, fault: str, count: Count) -> None:
    for at in itertools.count(1):
        data = folder / str(at)
        data.mkdir()
        striking, told = FAULTS[fault](at), set[str]()
        spool = Spool(data)
        with Calls() as calls:
            queue = str(data / ".mailserver/queue")

            def tell(name: str, calls: Calls = calls, queue: str = queue) -> None:
                told.add(name)  # noqa: B023 # it is called at once
                if name != "noted":
                    assert calls.disk.at_risk(queue, "messages", name) == []

            calls.fault = striking
            work(spool, tell)
            calls.fault = None
            once = len(striking.happened) < 2
            refused = {"one", "two"} - told if once else set()
            check(data, told, refused=refused)
        spool.close()
        shutil.rmtree(data)
        if not striking.happened:
            assert told == {"one", "two", "noted"}
            break
    assert at > 10
    count(fault, at - 1)


@pytest.mark.parametrize("when", ["before", "half", "after"])
def test_killed_at_each_call(folder: Path, when: str, count: Count) -> None:
    for at in itertools.count(1):
        data = folder / str(at)
        data.mkdir()
        reading, writing = os.pipe()

        def act(at: int = at, data: Path = data, writing: int = writing) -> None:
            spool = Spool(data)
            with Calls() as calls:
                calls.fault = Kills(at, when)
                work(spool, lambda name: _say(writing, name))

        killed = run_in_child(act)
        os.close(writing)
        with os.fdopen(reading) as said:
            told = set(said.read().splitlines())
        check(data, told, refused=set())
        shutil.rmtree(data)
        if not killed:
            break
    assert at > 10
    count(f"killed {when}", at - 1)


class Watches(Fault):
    """Nothing happens, but the calls are told; or the folder's sync fails."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__(0)
        self.names: list[str] = []
        self._fails = fails

    def due(self, name: str) -> bool:
        self.names.append(name)
        return self._fails and name == "fsync"

    def strike(self, disk: Disk, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise OSError(errno.EIO, "Input/output error")


RECORDS = [
    Record("one", (), done=True),
    Record("two", (Tried(2.0, (0,), LATER, 302.0),)),
    Record("three", (Tried(2.0, (0,), TAKEN, 0.0),)),
    Record("four", (), done=True),
    Record("five", (Tried(2.0, (0,), TAKEN, 0.0),)),
    Record("gone", (Tried(2.0, (0,), TAKEN, 0.0),)),
]


def record(data: Path, watch: Watches) -> list[OSError | None]:
    """All of them in one go; then what is left is looked at."""
    spool = Spool(data)
    for one in RECORDS[:-1]:
        put(spool, one.message_id)
    with Calls() as calls:
        calls.fault = watch
        problems = spool.record(RECORDS)
    assert set(spool.ids()) == {"two", "three", "five"}
    assert spool.load("two").progress[0].outcome == LATER
    assert spool.load("three").progress[0].outcome == TAKEN
    spool.close()
    return problems


def test_what_leaves_shares_a_sync_and_what_lasts_has_its_own(folder: Path) -> None:
    watch = Watches()
    assert record(folder, watch) == [None] * 6
    assert watch.names.count("fdatasync") == 2  # a try that failed for now needs none
    assert watch.names.count("fsync") == 1
    assert "unlink" not in watch.names[watch.names.index("fsync") :]


def test_a_sync_that_fails_is_told_to_those_who_shared_it(folder: Path) -> None:
    problems = record(folder, Watches(fails=True))
    assert [problem is not None for problem in problems] == [True, False, False, True, False, False]


def _say(fd: int, name: str) -> None:
    os.write(fd, f"{name}\n".encode())

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

import pytest
from tests.faults.calls import Calls, Fails, Fault, Kills, Short
from tests.faults.child import run_in_child

from mailserver.message.envelope import MailParameters, Recipient
from mailserver.message.outcome import Fate, Outcome
from mailserver.relay.entry import Entry, Tried
from mailserver.relay.spool import Spool
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath

CONTENT = [b"Subject: one\r\n\r\n", b"text\r\n" * 1000]
LATER = Outcome(Fate.TEMPORARY, "4.2.2", "452 full", "mx")
BOB = Recipient(ForwardPath(Mailbox("bob", "b.test")))
FAULTS: dict[str, Callable[[int], Fault]] = {
    "EIO once": lambda at: Fails(at, errno.EIO),
    "EIO from then on": lambda at: Fails(at, errno.EIO, persistent=True),
    "ENOSPC once": lambda at: Fails(at, errno.ENOSPC),
    "ENOSPC from then on": lambda at: Fails(at, errno.ENOSPC, persistent=True),
    "short once": Short,
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
def test_each_call_fails(folder: Path, fault: str) -> None:
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


@pytest.mark.parametrize("when", ["before", "half", "after"])
def test_killed_at_each_call(folder: Path, when: str) -> None:
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


def _say(fd: int, name: str) -> None:
    os.write(fd, f"{name}\n".encode())

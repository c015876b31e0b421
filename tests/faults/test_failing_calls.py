"""Each call of the operating system fails once, and again with all that follow it."""

from __future__ import annotations

import errno
import gc
import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.calls import Calls, Fails, Fault, Short
from tests.faults.conftest import Count
from tests.faults.stories import STORIES, Story

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


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("story", STORIES)
def test_each_call_fails(folder: Path, story: type[Story], fault: str, count: Count) -> None:
    points = fail_each_call(folder, story, FAULTS[fault])
    assert points >= 5
    count(fault, points)


def fail_each_call(folder: Path, story: type[Story], make: Callable[[int], Fault]) -> int:
    """How many calls there were to fail."""
    for at in itertools.count(1):
        fault = make(at)
        data = folder / str(at)
        data.mkdir()
        fail_one(data, story, fault)
        shutil.rmtree(data)
        if not fault.happened:
            return at - 1
    raise AssertionError


def fail_one(data: Path, story: type[Story], fault: Fault) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with Calls() as calls:
        one = story(data)
        told: set[str] = set()
        calls.fault = fault
        one.action(told.add)
        calls.fault = None
        once = len(fault.happened) < 2
        try:
            if not fault.happened or isinstance(fault, Short):
                assert told == one.asked()
            exact = once and not (fault.happened and one.going["bob"])
            one.check(told, exact=exact, disk=calls)
            one.works_again(calls if once else None)
            one.check(told, exact=False)
        except AssertionError as error:
            error.add_note(f"call {fault.at}: {fault.happened[:1]}")
            raise
        finally:
            one.close()
    if (left := set(os.listdir("/proc/self/fd"))) != before:
        gc.collect()
        left = set(os.listdir("/proc/self/fd"))
    assert left <= before, (fault.at, fault.happened[:1])

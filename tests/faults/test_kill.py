"""The process is killed before, after and within each call; then the folder is opened afresh."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import pytest
from tests.faults.calls import Calls, Kills
from tests.faults.child import run_in_child
from tests.faults.conftest import Count
from tests.faults.stories import STORIES, Story


@pytest.mark.parametrize("when", ["before", "half", "after"])
@pytest.mark.parametrize("story", STORIES)
def test_killed_at_each_call(folder: Path, story: type[Story], when: str, count: Count) -> None:
    count(f"killed {when}", kill_each_call(folder, story, when))


def kill_each_call(folder: Path, story: type[Story], when: str) -> int:
    """How many calls there were to be killed at."""
    for at in itertools.count(1):
        data = folder / str(at)
        data.mkdir()
        killed = kill_one(data, story, at, when)
        shutil.rmtree(data)
        if not killed:
            assert at > 3
            return at - 1
    raise AssertionError


def kill_one(data: Path, story: type[Story], at: int, when: str) -> bool:
    """False: it had no so many calls, and came to its end."""
    one = story(data)
    one.store.close()  # a lock that is held by both of us would outlive the child
    told, killed = act_in_child(one, at, when)
    one.store = one.open()
    try:
        if not killed:
            assert told == one.asked()
        one.check(told, exact=False)
        one.works_again()
        one.check(told, exact=False)
    except AssertionError as error:
        error.add_note(f"killed at call {at}")
        raise
    finally:
        one.close()
    return killed


def act_in_child(one: Story, at: int, when: str) -> tuple[set[str], bool]:
    """What the child was told before it was killed, if it was."""
    reading, writing = os.pipe()

    def act() -> None:
        with Calls() as calls:
            calls.fault = Kills(at, when)
            one.store = one.open()
            one.action(lambda name: _say(writing, name))

    killed = run_in_child(act)
    os.close(writing)
    with os.fdopen(reading) as said:
        return set(said.read().splitlines()), killed


def _say(fd: int, name: str) -> None:
    os.write(fd, f"{name}\n".encode())

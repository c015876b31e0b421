"""Exchanges that go on at the same time."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

from mailserver.accounts import checking
from mailserver.accounts.base import CheckResult
from mailserver.accounts.slowdown import Failures
from mailserver.accounts.users_file import UsersFile
from mailserver.auth import sasl
from mailserver.auth.sasl import Challenge
from mailserver.net.authentication import Authentication

HERE = "192.0.2.1"


def accounts(folder: Path) -> UsersFile:
    (folder / "users.txt").write_text("alice wonderland\n")
    return UsersFile(folder, allowed=Failures(of_account=3))


def exchange(accounts: UsersFile) -> Authentication:
    mechanism = sasl.start("SCRAM-SHA-256", sasl.Surroundings(lambda: "server"))
    return Authentication(mechanism, accounts, HERE)


FIRST = b"n,,n=alice,r=client"
PROOF = base64.b64encode(b"0" * 32)
LAST = b"c=biws,r=clientserver,p=" + PROOF


def test_a_crowd_of_exchanges_is_no_way_around_the_limit(tmp_path: Path) -> None:
    """All begin while nobody has failed yet; no more of them are looked at than else."""
    users = accounts(tmp_path)

    async def story() -> list[Challenge | CheckResult]:
        crowd = [exchange(users) for _ in range(20)]
        for one in crowd:
            assert isinstance(await one.step(FIRST), Challenge)
        ends = [await one.step(LAST) for one in crowd]
        for one in crowd:
            one.abandon()
        return ends

    ends = asyncio.run(story())
    assert all(isinstance(end, CheckResult) and end.user is None for end in ends)
    assert [isinstance(end, CheckResult) and end.wait > 0 for end in ends] == [False] * 3 + [
        True
    ] * 17
    assert users.must_wait("alice", HERE) < 600  # those were not counted besides


def test_too_many_who_wait_for_keys_are_told_to_come_again(tmp_path: Path) -> None:
    users = accounts(tmp_path)

    async def story() -> list[Challenge | CheckResult]:
        crowd = [exchange(users) for _ in range(checking.QUEUE + 5)]
        return list(await asyncio.gather(*(one.step(FIRST) for one in crowd)))

    answers = asyncio.run(story())
    assert answers.count(CheckResult(wait=2.0)) == 5
    assert users.must_wait("alice", HERE) == 0

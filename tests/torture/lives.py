"""What goes on in a data folder before the power fails: senders and readers, in processes that
come and go, some of them killed. All of it follows from a seed, but for what the kernel decides.
"""

from __future__ import annotations

import os
import random
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.contract import post
from tests.faults.calls import Calls, Kills
from tests.torture import oracle
from tests.torture.reading import by_maildrop

from mailserver.message.verdict import Kind
from mailserver.store.base import (
    Delivery,
    Deposit,
    MailboxUnusable,
    MaildropInUse,
    StagedMessage,
)
from mailserver.store.check import check
from mailserver.store.files import FileStore

JOURNAL_OCTETS = 96 * 1024
"""Few, so that it is full again and again, and some messages are too big for it."""

Tell = Callable[[bytes], None]

_WORDS = [b"From here", b"", b".", b">From there", b"and so on " * 7, b"x" * 900]


@dataclass(frozen=True, slots=True)
class World:
    """A data folder, who lives in it, and whom to tell what happens."""

    data: Path
    users: tuple[str, ...]
    tell: Tell
    faulty: bool = False
    """The disk may fail: calls may too."""

    def open(self) -> FileStore:
        return FileStore(self.data, time.time, reserve_octets=0, journal_octets=JOURNAL_OCTETS)


def world(data: Path, tell: Tell, dice: random.Random, *, faulty: bool = False) -> World:
    """Of two users, or some, or many."""
    count = dice.choice([2, 6, 20])
    return World(data, tuple(f"user{n:02}" for n in range(count)), tell, faulty)


def live(world: World, dice: random.Random, unrest: Callable[[random.Random], None]) -> None:
    """One life of the two servers; `unrest` is called again and again meanwhile."""
    roles = dice.choice([[send], [send], [fetch], [send, fetch], [send, fetch]])
    children = [_start(role, world, random.Random(dice.random())) for role in roles]
    while children:
        unrest(dice)
        for child in list(children):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                children.remove(child)
                _judge_end(status)


def _judge_end(status: int) -> None:
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return
    if status:
        raise oracle.Violation("a server ended with an error, see above")


def _start(role: Callable[[World, random.Random], None], world: World, dice: random.Random) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        with Calls() as calls:
            if dice.random() < 0.4:
                calls.fault = Kills(dice.randint(1, 150), dice.choice(["before", "half", "after"]))
            role(world, dice)
        status = 0
    except OSError:
        if world.faulty:
            status = 0
        else:
            traceback.print_exc()
    except BaseException:  # noqa: BLE001 - shown, and the parent stops
        traceback.print_exc()
    finally:
        os._exit(status)


# -- senders ---------------------------------------------------------------------------------------


def message(dice: random.Random, token: str) -> bytes:
    """Some are large: they are torn more often."""
    lines = dice.choice([1, 3, 20, 20, 100, dice.choice([100, 100, 3000])])
    body = [dice.choice(_WORDS) for _ in range(lines)]
    return b"\r\n".join([b"Subject: " + token.encode(), b"", *body, b""])


def send(world: World, dice: random.Random) -> None:
    """Batches to anybody."""
    store = world.open()
    for _ in range(dice.randint(1, 6)):
        append(store, world, dice, dice.choice([1, 1, 2, 5]))
    if dice.random() < 0.5:
        store.close()


def append(store: FileStore, world: World, dice: random.Random, messages: int) -> None:
    """One batch."""
    batch: list[tuple[Deposit, oracle.Copies]] = []
    staged = []
    for _ in range(messages):
        users = dice.sample(world.users, dice.randint(1, dice.choice([1, len(world.users)])))
        token = f"{dice.getrandbits(64):016x}"
        staging = post.staged(store, message(dice, token))
        staged.append(staging)
        deposit = address(staging.finish(), users, token)
        batch.append((deposit, [(one.user, _fingerprint(one)) for one in deposit]))
        world.tell(oracle.ask_to_store(batch[-1][1]))
    for _ in range(100):  # a mailbox that is busy is tried again, as group commit does it
        verdicts = store.append([deposit for deposit, _ in batch])
        for (_, copies), verdict in zip(batch, verdicts, strict=True):
            if verdict:
                world.tell(oracle.stored(copies))
            elif verdict.kind is not Kind.MAILBOX_BUSY and not world.faulty:
                raise oracle.Violation(f"refused: {verdict}")
        pairs = zip(batch, verdicts, strict=True)
        batch = [one for one, verdict in pairs if verdict.kind is Kind.MAILBOX_BUSY]
        if not batch:
            break
        time.sleep(0.002)
    for staging in staged:
        staging.discard()


def address(message: StagedMessage, users: Sequence[str], token: str) -> Deposit:
    """A copy for each, with the lines that a delivery gives it (docs/storage.md)."""
    trace = (
        "Return-Path: <alice@mailserver>\n"
        "Received: from client ([192.0.2.3]) by mailserver with ESMTP id {token}\n"
        "\tfor <{user}@mailserver>; Mon, 23 Nov 2026 14:05:09 +0000\n"
    )
    return tuple(
        Delivery(
            user,
            post.FROM_LINE,
            trace.format(token=token, user=user).encode() + message.header_block,
            message.body,
        )
        for user in users
    )


def _fingerprint(delivery: Delivery) -> str:
    return oracle.fingerprint(b"".join(_as_read(delivery)))


def _as_read(delivery: Delivery) -> Iterator[bytes]:
    """The message that its recipient must get, from what the store is given (quoted, LF)."""
    yield delivery.head.replace(b"\n", b"\r\n")
    body = b"".join(delivery.body.chunks())  # type: ignore[attr-defined]
    lines = [
        line[1:] if line.lstrip(b">").startswith(b"From ") and line.startswith(b">") else line
        for line in body.split(b"\n")
    ]
    yield b"\r\n".join(lines)


# -- readers ---------------------------------------------------------------------------------------


def fetch(world: World, dice: random.Random) -> None:
    """Sessions of anybody, most of them with deletions."""
    store = world.open()
    for _ in range(dice.randint(1, 4)):
        user = dice.choice(world.users)
        index = world.data / user / ".index"
        if dice.random() < 0.1:
            index.unlink(missing_ok=True)
        session(store, world, user, dice)
    if dice.random() < 0.5:
        store.close()


def session(store: FileStore, world: World, user: str, dice: random.Random) -> None:
    """Log in, list, delete some, QUIT."""
    try:
        maildrop = store.open_maildrop(user)
    except (MaildropInUse, MailboxUnusable):
        return
    try:
        mails = [
            oracle.Found(mail.unique_id, oracle.fingerprint(mail.content))
            for mail in post.listing(maildrop)
        ]
        world.tell(oracle.shown(user, mails))
        numbers = some(dice, len(mails))
        leaving = [mails[number - 1].fingerprint for number in numbers]
        if numbers:
            world.tell(oracle.ask_to_delete(user, leaving))
            maildrop.delete(numbers)
            world.tell(oracle.deleted(user, leaving))
    finally:
        maildrop.close()


def some(dice: random.Random, count: int) -> list[int]:
    """Messages to delete: the first, the last, all, or any."""
    everything = list(range(1, count + 1))
    if not everything:
        return []
    return dice.choice(
        [
            [],
            everything[:1],
            everything[-dice.randint(1, 2) :],
            everything,
            sorted(dice.sample(everything, dice.randint(1, count))),
        ]
    )


def look(world: World, judge: oracle.Oracle, *, without_index: bool) -> None:
    """The servers start again: all must be as it was promised. Raises Violation."""
    for lose_index in (False, True)[: 1 + without_index]:
        store = world.open()
        for user in judge.users:
            if lose_index:
                (world.data / user / ".index").unlink(missing_ok=True)
            found = by_maildrop(store, user)
            judge.judge(user, found)
            line = oracle.shown(user, found)
            judge.hear(line)
            world.tell(line)
        store.close()
    for report in check(str(world.data), time.time()):
        if not report.clean:
            raise oracle.Violation(
                f"mailadmin check, {report.user}: {list(map(str, report.problems))}"
            )

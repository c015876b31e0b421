"""Power cuts: what a disk would hold if the power had failed at any moment of a recording.

A disk that honours flushes has all that was written before the last one, and of what came later
anything: none of it, all, some writes, some pages of 4 KiB.
"""

from __future__ import annotations

import copy
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture import disk, lives, mounts
from tests.torture.disk import FLUSH, MARK, WRITE, Record
from tests.torture.lives import World
from tests.torture.oracle import Oracle
from tests.torture.reading import both

PAGE = 4096
CUTS = 50
"""Of a recording."""
IN_MAIL = b"Return-Path: "
"""By which the disk knows a write of mail from one of the file system's own."""
MEMORY = Path("/dev/shm")
"""Where the images lie: it is the fastest."""
LIVES = 4
"""Of the two servers, in a recording."""
FAULTY = 5
"""One recording of so many has a disk that fails."""
NESTED = 10
"""One cut of so many is followed by others, in the recovery from it."""


KEPT = Path(".torture")
"""What led to a violation: the image from before and the recording, a folder a seed."""


@dataclass
class Bench:
    """A folder for images, and what has been done so far."""

    kind: str
    folder: Path
    cuts: int = 0
    nested: int = 0
    records: int = 0
    unsynced: int = 0
    """Cuts that lost something."""
    messages: Counter[str] = field(default_factory=Counter)
    """By what was promised of them."""

    def __post_init__(self) -> None:
        for name in ("mounted", "checked"):
            (self.folder / name).mkdir()
        self.empty = self.folder / "empty"
        mounts.make(self.kind, self.empty)

    def report(self) -> str:
        """What was done."""
        counts = ", ".join(f"{count} {name}" for name, count in sorted(self.messages.items()))
        return (
            f"{self.cuts} power cuts, {self.unsynced} with writes lost or not,"
            f" {self.nested} of them in a recovery; {self.records} records; messages: {counts}"
        )

    @contextmanager
    def recorded(self, image: Path, recording: Path) -> Iterator[tuple[Path, int, disk.Orders]]:
        """The file system in `image`, mounted over a disk that records; the recording to mark."""
        device, orders = self.folder / "disk", self.folder / "orders"
        orders.unlink(missing_ok=True)
        control = disk.Orders(orders)
        command = [sys.executable, "-m", "tests.torture.disk", device, image, recording, orders]
        server = subprocess.Popen(command, stdout=subprocess.PIPE)
        marks = -1
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n", "the disk does not start"
            server.stdout.close()
            marks = os.open(recording, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with mounts.mounted(self.kind, device, self.folder / "mounted"):
                yield self.folder / "mounted", marks, control
        finally:
            mounts.detach(device)
            if marks >= 0:
                os.close(marks)
            server.terminate()
            server.wait()


# -- recording -------------------------------------------------------------------------------------


def record(bench: Bench, seed: str) -> tuple[Path, Path]:
    """Some lives of the servers; the image from before and the recording."""
    dice = random.Random(seed)
    faulty = not dice.randrange(FAULTY)
    image, recording = _copy(bench.empty, bench.folder / "base"), bench.folder / "recording"
    recording.unlink(missing_ok=True)
    work = _copy(image, bench.folder / "work")
    with bench.recorded(work, recording) as (data, marks, orders):

        def tell(line: bytes) -> None:
            disk.append(marks, MARK, octets=line)

        world = lives.world(data, tell, dice, faulty=faulty)

        def unrest(dice: random.Random) -> None:
            if faulty and dice.random() < 0.2:
                orders.fail(dice.choice([IN_MAIL, IN_MAIL, b""]))
            with suppress(OSError) if faulty else nullcontext():
                _unrest(data, dice)

        for _ in range(LIVES):
            lives.live(world, dice, unrest)
    return image, recording


def _unrest(data: Path, dice: random.Random) -> None:
    """Other programs and the kernel write what they like when they like."""
    match dice.randrange(12):
        case 0:
            with (data / "other").open("wb", buffering=0) as file:
                file.write(b"y" * dice.randint(1, 5000))
                os.fsync(file.fileno())
        case 1:
            for user in data.glob("user*/mymailbox"):
                if dice.random() < 0.5:
                    mounts.write_back(user)
        case _:
            time.sleep(dice.random() * 0.01)


# -- cutting ---------------------------------------------------------------------------------------


def positions(records: list[Record], dice: random.Random, count: int) -> list[int]:
    """Before which records the power fails: anywhere, more often where something is promised."""
    crucial = [
        at + offset
        for at, one in enumerate(records)
        if one.kind in (FLUSH, MARK)
        for offset in (0, 1, 2)
        if at + offset <= len(records)
    ]
    anywhere = range(len(records) + 1)
    return sorted(dice.choice(dice.choice([crucial, anywhere])) for _ in range(count))


def surviving(pending: list[Record], dice: random.Random) -> Iterator[Record]:
    """What of the writes after the last flush is on the disk."""
    share = dice.choice([0.0, 1.0, 0.1, 0.5, 0.9])
    mode = dice.choice(["first", "write", "page", "page"])
    if mode == "first":
        yield from pending[: dice.randint(0, len(pending))]
        return
    for one in pending:
        if mode == "write":
            if dice.random() < share:
                yield one
            continue
        for start in range(0, len(one.octets), PAGE):
            if dice.random() < share:
                yield Record(WRITE, one.offset + start, one.octets[start : start + PAGE])


def cut(
    bench: Bench, image: Path, records: list[Record], judge: Oracle, dice: random.Random, count: int
) -> Iterator[tuple[int, Path, Oracle]]:
    """Disks after so many power cuts: where it was, the image, and who knows what it must hold."""
    done, pending = 0, list[Record]()
    synced = _copy(image, bench.folder / f"{image.name}-synced")
    with synced.open("r+b") as durable:
        for position in positions(records, dice, count):
            for one in records[done:position]:
                if one.kind == MARK:
                    judge.hear(one.octets)
                elif one.kind == WRITE:
                    pending.append(one)
                else:
                    _apply(durable.fileno(), pending)
                    pending.clear()
            done = position
            crashed = _copy(synced, bench.folder / f"{image.name}-cut")
            kept = list(surviving(pending, dice))
            bench.unsynced += bool(pending)
            with crashed.open("r+b") as file:
                _apply(file.fileno(), kept)
            yield position, crashed, copy.deepcopy(judge)


def _apply(fd: int, writes: list[Record]) -> None:
    for one in writes:
        os.pwrite(fd, one.octets, one.offset)


def _copy(source: Path, target: Path) -> Path:
    """A sparse copy."""
    with source.open("rb") as old, target.open("wb") as new:
        size = os.fstat(old.fileno()).st_size
        new.truncate(size)
        start = end = 0
        while True:
            try:
                start = os.lseek(old.fileno(), end, os.SEEK_DATA)
            except OSError:  # ENXIO: no more
                return target
            end = os.lseek(old.fileno(), start, os.SEEK_HOLE)
            os.lseek(new.fileno(), start, os.SEEK_SET)
            left, offset = end - start, start
            while left:
                sent = os.sendfile(new.fileno(), old.fileno(), offset, left)
                offset, left = offset + sent, left - sent


# -- judging ---------------------------------------------------------------------------------------


def cuts(kind: str, seeds: Iterator[str], count: int) -> str:
    """So many cuts or all seeds, a recording each; what was done. Raises Violation."""
    logging.disable()  # what the servers say of their repairs
    mounts.own_mounts()
    used = []
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        bench = Bench(kind, Path(folder))
        while bench.cuts < count and (seed := next(seeds, "")):
            used.append(seed)
            try:
                run(bench, seed, CUTS)
            except Exception as problem:
                problem.add_note(f"again with: make repro SEED={seed}")
                raise
    return f"{bench.report()}, seeds {used[0]} to {used[-1]}"


def run(bench: Bench, seed: str, cuts: int) -> None:
    """Record (or take what was kept of this seed), cut, judge. Raises Violation."""
    if (KEPT / seed).exists():
        image, recording = KEPT / seed / "base", KEPT / seed / "recording"
    else:
        image, recording = record(bench, seed)
    try:
        _cut_and_judge(bench, seed, image, recording, cuts)
    except Exception:
        (KEPT / seed).mkdir(parents=True, exist_ok=True)
        for path in (image, recording):
            if path.parent == bench.folder:
                _copy(path, KEPT / seed / path.name)
        raise


def _cut_and_judge(bench: Bench, seed: str, image: Path, recording: Path, cuts: int) -> None:
    records = list(disk.read(recording))
    bench.records += len(records)
    judge = Oracle()
    made = cut(bench, image, records, judge, random.Random(f"{seed} cuts"), cuts)
    for number, (position, crashed, known) in enumerate(made):
        bench.cuts += 1
        try:
            _recover(bench, crashed, known, random.Random(f"{seed} cut {number}"))
        except Exception as problem:
            problem.add_note(f"cut {number}, before record {position} of {len(records)}")
            raise
    bench.messages.update(judge.summary())


def _recover(bench: Bench, crashed: Path, known: Oracle, dice: random.Random) -> None:
    if dice.randrange(NESTED):
        with mounts.mounted(bench.kind, crashed, bench.folder / "checked"):
            _look(bench.folder / "checked", known, lambda line: None, dice)
        return
    # the power fails again while the servers repair what they found
    recording = bench.folder / "recording-of-recovery"
    recording.unlink(missing_ok=True)
    judge = copy.deepcopy(known)
    before = _copy(crashed, bench.folder / "before-recovery")
    with bench.recorded(crashed, recording) as (data, marks, _):
        _look(data, known, lambda line: disk.append(marks, MARK, octets=line), dice)
    records = list(disk.read(recording))
    for _, again, known_then in cut(bench, before, records, judge, dice, 5):
        bench.cuts += 1
        bench.nested += 1
        with mounts.mounted(bench.kind, again, bench.folder / "checked"):
            _look(bench.folder / "checked", known_then, lambda line: None, dice)


def _look(data: Path, known: Oracle, tell: lives.Tell, dice: random.Random) -> None:
    """The servers start, everybody reads, and work goes on."""
    users = tuple(known.users)
    world = World(data, users, tell)
    lives.look(world, known, without_index=dice.random() < 0.3)
    if not users:
        return

    def heard(line: bytes) -> None:
        tell(line)
        known.hear(line)

    world = World(data, users, heard)
    store = world.open()
    lives.append(store, world, dice, 1)
    lives.session(store, world, dice.choice(users), dice)
    store.close()
    store = world.open()
    for user in users:
        known.judge(user, both(store, data, user))
    store.close()

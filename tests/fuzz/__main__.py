"""The long run: `make fuzz`. Inputs by the million, in one process, without end or for a time.

    make fuzz                                     a minute of each target
    make fuzz ARGS="--inputs 10000000"            so many in all, shared out among the targets
    make fuzz ARGS="--target mbox --seconds 600"  one of them
    make fuzz ARGS="--repeat mbox:1:4711"         one input again: target, seed, number
    make fuzz ARGS="--target proxy --coverage 600"  ten minutes of it led by coverage

By chance first, then led by coverage where atheris is installed (requirements-fuzz.txt).

An input follows from target, seed and number alone; one that atheris found is kept in .fuzz, and
`--repeat TARGET:FILE` has it again. A fault prints them, and the octets, and ends
the run with status 1. Too slow is a fault too: more than 10 ms of the processor for each KB, where
hashing and deriving keys, slow on purpose, do not count.
"""

from __future__ import annotations

import argparse
import gc
import logging
import random
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import coverage
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

SECONDS_A_KILOBYTE = 0.010


@dataclass
class Count:
    """What was done with one target."""

    inputs: int = 0
    octets: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    """Seconds for a KB."""


class Fault(Exception):
    """An input for which something does not hold."""

    def __init__(self, name: str, seed: int, number: int, data: bytes, why: str) -> None:
        super().__init__(
            f"{why}\ninput of {len(data)} octets: {data[:2000]!r}\n"
            f'again: make fuzz ARGS="--repeat {name}:{seed}:{number}"'
        )


def made(target: Target, seed: int, number: int) -> bytes:
    """The input of this number."""
    return target.make(random.Random(seed << 40 | number))


def allowed(data: bytes) -> float:
    """Seconds of the processor."""
    return SECONDS_A_KILOBYTE * max(1.0, len(data) / 1024)


def run(name: str, seed: int, first: int, last: int, until: float, count: Count) -> int:
    """Try the inputs with these numbers; which is next when it was time to end. Raises Fault."""
    number = first
    while number < last and time.monotonic() < until:
        number = batch(name, seed, number, last, count)
    return number


def batch(name: str, seed: int, first: int, last: int, count: Count) -> int:
    """What one object of the target gets; the number behind it."""
    target = TARGETS[name]()
    last = min(last, first + target.batch - first % target.batch)
    began = time.monotonic()
    try:
        for number in range(first, last):
            data = made(target, seed, number)
            try:
                seconds = target.timed(data)
            except Exception:  # noqa: BLE001 # any is a fault
                raise Fault(name, seed, number, data, traceback.format_exc()) from None
            if seconds > allowed(data):  # perhaps it was the machine, or other work in between
                seconds = min(seconds, *(target.timed(data) for _ in range(3)))
                if seconds > allowed(data):
                    raise Fault(name, seed, number, data, f"{seconds:.3f} s of the processor")
            count.inputs += 1
            count.octets += len(data)
            count.slowest = max(count.slowest, seconds / max(1.0, len(data) / 1024))
    finally:
        target.close()
        count.seconds += time.monotonic() - began
    return last


def repeat(what: str) -> None:
    """One input again, behind those that the same object got before it; or a file's, alone."""
    name, _, which = what.partition(":")
    target = TARGETS[name]()
    if Path(which).is_file():
        data = Path(which).read_bytes()
    else:
        seed, number = map(int, which.split(":"))
        for earlier in range(number - number % target.batch, number):
            target.check(made(target, seed, earlier))
        data = made(target, seed, number)
    print(f"{name}: {data!r}")
    seconds = target.timed(data)
    print(f"no fault; {seconds * 1000:.1f} ms, {allowed(data) * 1000:.1f} ms are allowed")


def told(name: str, count: Count) -> str:
    return (
        f"{name:15} {count.inputs:>10} inputs {count.octets / 1e6:>8.1f} MB {count.seconds:>7.0f} s"
        f"   at most {count.slowest * 1000:5.1f} ms a KB"
    )


def rounds(
    names: list[str], inputs: int | None, seconds: float
) -> Iterator[tuple[str, int, float]]:
    """Each target's turn: its name, how many inputs it gets in all, how many seconds."""
    shares = sum(TARGETS[name].share for name in names)
    for name in names:
        if inputs is None:
            yield name, 1 << 39, seconds
        else:
            yield name, round(inputs * TARGETS[name].share / shares), float("inf")


def lead(names: list[str], seed: int, seconds: float) -> None:
    """Each target, led by coverage. Raises Found."""
    if not coverage.is_there():
        print("not led by coverage: pip install -r requirements-fuzz.txt, where it can be")
        return
    for name in names:
        inputs = coverage.led(name, seed, seconds)
        print(f"{name:15} {inputs:>10} inputs, led by coverage", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inputs", type=int, help="in all; instead of --seconds")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--repeat", metavar="TARGET:SEED:NUMBER", help="or TARGET:FILE")
    parser.add_argument(
        "--coverage",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="for each target besides, led by coverage, where there is atheris; 0: none",
    )
    chosen = parser.parse_args()
    if chosen.repeat:
        repeat(chosen.repeat)
        return 0
    names = chosen.target or list(TARGETS)
    gc.freeze()
    in_all = Count()
    try:
        for name, inputs, seconds in rounds(names, chosen.inputs, chosen.seconds):
            count = Count()
            run(name, chosen.seed, 0, inputs, time.monotonic() + seconds, count)
            print(told(name, count), flush=True)
            in_all.inputs += count.inputs
            in_all.octets += count.octets
            in_all.seconds += count.seconds
            in_all.slowest = max(in_all.slowest, count.slowest)
        print(told("all", in_all), f"  seed {chosen.seed}", flush=True)
        if chosen.coverage:
            lead(names, chosen.seed, chosen.coverage)
    except (Fault, coverage.Found) as fault:
        print(fault)
        return 1
    return 0


if __name__ == "__main__":
    logging.disable()  # it would be most of the work
    sys.exit(main())

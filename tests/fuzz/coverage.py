"""Inputs led by coverage: atheris (libFuzzer) keeps those that reach what none reached before.

Where it is not installed, there are only the inputs by chance. It runs in a process of its own for
each target: a target's code has to be instrumented when it is loaded.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

FAULTS = Path(__file__).parents[2] / ".fuzz"
"""Where an input is kept for which something does not hold."""
_SEEDS = 300
_SECONDS_AN_INPUT = 10
_MORE_SECONDS = 120.0  # to load, and to try the seeds


class Found(Exception):
    """An input for which something does not hold; says which, and why."""


def is_there() -> bool:
    """atheris is installed."""
    return find_spec("atheris") is not None


def led(name: str, seed: int, seconds: float) -> int:
    """One target for so long; how many inputs it got. Raises Found."""
    FAULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        command = [sys.executable, "-m", "tests.fuzz.coverage", name, str(seed), corpus]
        command += [f"-max_total_time={seconds:.0f}", f"-seed={seed}", "-print_final_stats=1"]
        command += [f"-artifact_prefix={FAULTS}/{name}-", f"-timeout={_SECONDS_AN_INPUT}"]
        child = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds + _MORE_SECONDS,
        )
    said = child.stdout.decode(errors="backslashreplace")
    if child.returncode:
        kept = re.search(r"Test unit written to (\S+)", said)
        again = f'\nagain: make fuzz ARGS="--repeat {name}:{kept[1]}"' if kept else ""
        raise Found(said[-4000:] + again)
    count = re.search(r"number_of_executed_units: *(\d+)", said)
    return int(count[1]) if count else 0


def main() -> None:
    """The process of one target: its name, a seed, a folder, libFuzzer's options."""
    import atheris

    name, seed, corpus, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["mailserver"]):
        from tests.fuzz.inputs import mutated
        from tests.fuzz.targets import TARGETS
    import logging

    logging.disable()  # it would be most of the work
    kind = TARGETS[name]
    target, left = kind(), kind.batch
    maker = kind()
    made = [maker.make(random.Random(f"{seed} {number}")) for number in range(_SEEDS)]
    for number, data in enumerate([*kind.seeds, *made]):
        Path(corpus, str(number)).write_bytes(data)

    def check(data: bytes) -> None:
        nonlocal target, left
        if not left:
            target.close()
            target, left = kind(), kind.batch
        left -= 1
        target.check(data)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return mutated(data, made, chance)[:most]

    atheris.Setup([name, corpus, *options], check, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

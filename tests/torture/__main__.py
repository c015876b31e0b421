"""Tests that go on for as long as one likes; docs/storage.md tells what they look for.

python -m tests.torture power [--cuts N] [--seed N]
python -m tests.torture repro SEED
"""

from __future__ import annotations

import argparse
import itertools
import logging
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.torture import mounts, power

CUTS_A_RECORDING = 50
_MEMORY = Path("/dev/shm")


def main() -> int:
    parser = argparse.ArgumentParser(prog="torture", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    cuts = commands.add_parser("power", help="power cuts on ext4 and xfs")
    cuts.add_argument("--cuts", type=int, default=10_000)
    cuts.add_argument("--seed", type=int, default=time.time_ns() // 1_000_000 % 1_000_000_000)
    repro = commands.add_parser("repro", help="one seed again")
    repro.add_argument("seed", help="as a failed run printed it: ext4:123")
    arguments = parser.parse_args()
    uname = os.uname()
    print(f"kernel {uname.sysname} {uname.release} {uname.machine}, {os.cpu_count()} cores")
    if arguments.command == "repro":
        return cut_power(arguments.seed.partition(":")[0], [arguments.seed], CUTS_A_RECORDING)
    return all_at_once(arguments.seed, arguments.cuts)


def all_at_once(seed: int, cuts: int) -> int:
    """A process for each kind of file system; 0 when all is well."""
    share = cuts // len(mounts.MAKE)
    processes = [
        multiprocessing.Process(target=_cut_power_and_exit, args=(kind, seed, share))
        for kind in mounts.MAKE
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return int(any(process.exitcode for process in processes))


def _cut_power_and_exit(kind: str, seed: int, cuts: int) -> None:
    sys.exit(cut_power(kind, (f"{kind}:{seed + n}" for n in itertools.count()), cuts))


def cut_power(kind: str, seeds: itertools.chain[str] | list[str], cuts: int) -> int:
    """So many cuts, a recording for each seed; 0 when all is well."""
    if lack := mounts.missing(kind):
        print(f"{kind}: SKIPPED, {lack}")
        return 0
    logging.disable()  # what the servers say of their repairs
    mounts.own_mounts()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        bench = power.Bench(kind, Path(folder))
        first = last = ""
        for seed in seeds:
            first, last = first or seed, seed
            try:
                power.run(bench, seed, min(CUTS_A_RECORDING, cuts))
            except Exception:  # noqa: BLE001 - whatever it is, it is told and counts
                traceback.print_exc()
                print(f"{kind}: VIOLATION; again with: make repro SEED={seed}", flush=True)
                return 1
            if bench.cuts >= cuts:
                break
        seconds = time.monotonic() - begin
    print(f"{kind}: {bench.report()}, seeds {first} to {last}, {seconds:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

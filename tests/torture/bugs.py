"""Bugs to plant: a rig that does not find each of them soon proves nothing."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

from tests.torture import mounts, power
from tests.torture.oracle import Violation

from mailserver import durable
from mailserver.store.edition import EditionFile
from mailserver.store.intake import Intake


def acknowledge_before_the_sync() -> None:
    durable.sync_data = lambda fd: None


def never_sync_a_folder() -> None:
    durable.sync_directory = lambda fd: None


def rename_without_a_sync() -> None:
    def replace(temporary: str, name: str, folder: int, fd: int) -> None:
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        durable.sync_directory(folder)

    durable.replace = replace


def sync_again_when_it_failed() -> None:
    power.FAULTY = 1  # all disks fail
    sync_data = durable.sync_data

    def sync(fd: int) -> None:
        try:
            sync_data(fd)
        except OSError:
            sync_data(fd)

    durable.sync_data = sync


def let_old_promises_stand() -> None:
    """No word of which edition of a mailbox a promise was for."""
    EditionFile.say = EditionFile.hint = lambda self, said: None  # type: ignore[method-assign]


def forget_what_is_promised_before_it_is_synced() -> None:
    """The journal is used anew while the mailbox files are in memory only."""
    Intake._begin_to_settle = lambda self, file: None  # type: ignore[method-assign]


BUGS: dict[str, Callable[[], None]] = {
    plant.__name__: plant
    for plant in (
        acknowledge_before_the_sync,
        never_sync_a_folder,
        rename_without_a_sync,
        sync_again_when_it_failed,
        let_old_promises_stand,
        forget_what_is_promised_before_it_is_synced,
    )
}

CUTS = 400
"""Of each file system, within which a bug must be found on one of them."""
_CUTS_A_RECORDING = 20
_FOUND = 7


def hunt(seed: int) -> str:
    """Every bug must be found; what was done. Raises Violation."""
    found = {name: _find(name, seed) for name in BUGS}
    if missed := [name for name, where in found.items() if not where]:
        raise Violation(f"planted, and not found in {CUTS} cuts: {missed}, seed {seed}")
    return f"{len(BUGS)} planted bugs found, seed {seed}: {found}"


def _find(name: str, seed: int) -> list[str]:
    """On which file systems; the first to find it ends the hunt on the other."""
    fork = multiprocessing.get_context("fork")
    found = fork.Event()
    processes = {
        kind: fork.Process(target=_live_with, args=(name, kind, seed, found))
        for kind in mounts.MAKE
    }
    for process in processes.values():
        process.start()
    for process in processes.values():
        process.join()
    return [kind for kind, process in processes.items() if process.exitcode == _FOUND]


def _seeds(kind: str, first: int, found: Event) -> Iterator[str]:
    for seed in itertools.count(first):
        yield f"{kind}:{seed}"
        if found.is_set():
            return


def _live_with(name: str, kind: str, seed: int, found: Event) -> None:
    BUGS[name]()
    power.CUTS = _CUTS_A_RECORDING
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        power.KEPT = Path(folder)
        os.dup2(nowhere.fileno(), 2)
        try:
            power.cuts(kind, _seeds(kind, seed, found), CUTS)
        except (AssertionError, OSError):
            found.set()
            os._exit(_FOUND)

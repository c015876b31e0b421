"""The journals of processes that are gone: what they promised is to be found in the mailboxes.

What a journal file shows may be in memory only: its last batch, if the process was killed before
the sync, or after one that failed. Nothing may come into a mailbox file that a power cut could
take from the journal, so a copy is made durable before anybody acts on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

from mailserver import durable
from mailserver.store import intake, syncs
from mailserver.store.intake import Promise

COPY = ".copy"
"""Behind the name of a journal file."""


class Orphans:
    """What is left; nobody else takes it meanwhile."""

    def __init__(self, folder: int, opened: ExitStack) -> None:
        self._folder = folder
        self._opened = opened
        self._journals: dict[str, int] = {}  # descriptors, by name
        self._copies: dict[str, int] = {}
        self._notes: list[int] = []
        for first in sorted(name for name in os.listdir(folder) if name.endswith("a")):
            number = first[:-1]
            fd = self._open(first)
            if intake.lock(fd):
                self._journals[first] = fd
                with suppress(FileNotFoundError):
                    self._journals[f"{number}b"] = self._open(f"{number}b")
                with suppress(FileNotFoundError):
                    self._notes.append(self._open(f"{number}{syncs.NAME}"))
        for name in self._journals:
            with suppress(FileNotFoundError):
                self._copies[name] = self._open(f"{name}{COPY}")

    def _open(self, name: str) -> int:
        fd = durable.open_file(name, self._folder, os.O_RDWR)
        self._opened.callback(os.close, fd)
        return fd

    def promises(self) -> Mapping[str, list[Promise]]:
        """By user; raises OSError."""
        return intake.promises((self._journals | self._copies).values())

    def secure(self) -> None:
        """What they promise stays, whatever happens. Raises OSError."""
        for name, fd in self._journals.items():
            if name not in self._copies and (octets := intake.octets_of(fd)):
                self._copy(name, octets)
        if self._copies:
            durable.sync_directory(self._folder)  # who made one may have been killed before

    def _copy(self, name: str, octets: bytes) -> None:
        try:
            durable.write_atomically(f"{name}{COPY}", self._folder, [octets])
        except OSError as error:
            if not durable.is_full(error):
                raise
            # those who want to delete mail must not wait for somebody to make room
            durable.sync_data(self._journals[name])
        else:
            self._copies[name] = self._open(f"{name}{COPY}")

    def end(self) -> None:
        """All is done, durably. Raises OSError."""
        for fd in self._journals.values():
            if not intake.is_empty(fd):
                intake.empty(fd)
        for fd in self._notes:
            syncs.forget(fd)
        for name in self._copies:
            durable.remove(f"{name}{COPY}", self._folder)
        if self._copies:
            durable.sync_directory(self._folder)  # or it would be taken for the next process's


@contextmanager
def orphans(folder: int) -> Iterator[Orphans]:
    """`folder`: of the journals. Raises OSError."""
    with ExitStack() as opened:
        yield Orphans(folder, opened)


@contextmanager
def promised(data_folder: int, user: str) -> Iterator[list[Promise]]:
    """What the journals whose process is gone promise this user. A living process has written what
    it promised, unless it has the user's mailbox locked. Raises OSError."""
    with intake.folder_of(data_folder) as folder, orphans(folder) as left:
        left.secure()
        yield left.promises().get(user, [])

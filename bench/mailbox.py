"""mbox files and maildirs: made once for reading, and the messages in files that grow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

MADE = Path("/data/made")
SEPARATOR = b"\n\nFrom "
CHUNK = 1 << 20
HEADER_OCTETS = 300
"""About so many in each message made here."""


@dataclass(frozen=True)
class Mailbox:
    """What is in a mailbox when a run begins: the same octets each time, made once and copied."""

    messages: int = 0
    octets: int = 4096
    """Of each message."""
    owners: int = 4
    """How many of the users have one."""
    scales: bool = False
    """Whether it is smaller where less is measured."""

    def __bool__(self) -> bool:
        return self.messages > 0

    def of_share(self, share: float) -> Mailbox:
        """As it is in a run with this share of the full counts."""
        return replace(self, messages=max(1, round(self.messages * share))) if self.scales else self

    def put_mbox(self, path: Path) -> None:
        """As one mbox file."""
        made = MADE / f"{self.messages}-{self.octets}.mbox"
        if not made.exists():
            MADE.mkdir(exist_ok=True)
            new = made.with_suffix(".new")
            with new.open("wb") as file:
                file.writelines(separator + message for separator, message in self._parts())
            new.rename(made)
        shutil.copyfile(made, path)

    def put_maildir(self, path: Path) -> None:
        """As a maildir, named as Dovecot's own delivery names files: their sizes are in the names.

        A maildir's files are never written to again, so these are links to those made once.
        """
        made = MADE / f"{self.messages}-{self.octets}.maildir"
        if not made.exists():
            new = made.with_suffix(".new")
            new.mkdir(parents=True)
            for number, (_, message) in enumerate(self._parts()):
                text = message[:-1]  # without the blank line that ends an mbox's record
                sizes = f"S={len(text)},W={len(text) + text.count(10)}"
                (new / f"{1795442400 + number}.M{number}P1.mailserver,{sizes}:2,").write_bytes(text)
            new.rename(made)
        for name in ("cur", "new", "tmp"):
            (path / name).mkdir(parents=True)
        for file in os.scandir(made):
            os.link(file.path, path / "cur" / file.name)

    def _parts(self) -> Iterator[tuple[bytes, bytes]]:
        """Separator line and message, with the blank line behind it."""
        # What Dovecot adds at its first visit: it has been here, and its index was lost.
        known = f"X-IMAPbase: 1795442400 {self.messages:010}\n"
        body = (b"x" * 71 + b"\n") * ((self.octets - HEADER_OCTETS) // 72)
        for number in range(self.messages):
            clock = f"14:{number // 60 % 60:02}:{number % 60:02}"
            head = (
                "Return-Path: <bob@mailserver>\n"
                f"Date: Mon, 23 Nov 2026 {clock} +0000\n"
                "From: bob@mailserver\n"
                "To: alice@mailserver\n"
                f"Message-ID: <{number}@mailserver>\n"
                f"Subject: number {number}\n"
                f"{known}X-UID: {number + 1:<40}\n"
                "Status: RO\n"
                f"Content-Length: {len(body)}\n"
                "\n"
            ).encode()
            known = ""
            yield f"From bob@mailserver Mon Nov 23 {clock} 2026\n".encode(), head + body + b"\n"


class MailboxCounter:
    """Counts the messages of an mbox that others append to; reads each octet once.

    smtp-source's lines begin with a digit or an X, so a line that begins with "From " after a
    blank line is a separator and nothing else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._found = 0
        self._tail = b"\n\n"  # the file's first line has no blank line before it

    def count(self) -> int:
        """Messages whose separator was in the file at the call; 0 when there is no file."""
        try:
            with self._path.open("rb") as file:
                end = os.fstat(file.fileno()).st_size
                file.seek(self._offset)
                while self._offset < end and (chunk := file.read(min(CHUNK, end - self._offset))):
                    self._scan(chunk)
        except FileNotFoundError:
            pass
        return self._found

    def _scan(self, chunk: bytes) -> None:
        self._offset += len(chunk)
        text = self._tail + chunk
        self._found += text.count(SEPARATOR)
        self._tail = text[-(len(SEPARATOR) - 1) :]


class MailboxesCounter:
    """The same over several mailboxes."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._counters = [MailboxCounter(path) for path in paths]

    def count(self) -> int:
        return sum(counter.count() for counter in self._counters)

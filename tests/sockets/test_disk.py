"""A disk with no room: 452, nothing half stored, and mail can still be read and deleted."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sockets.conftest import Mail, transaction

MEGABYTE = 1024 * 1024
FULL = b"452 4.3.1 Not enough storage; try again later"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 80 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=80m,mode=700", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small file system here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def leave(disk: Path, octets: int) -> None:
    """Fill the disk up to this."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    found = os.statvfs(disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - octets)


def test_a_full_disk(small_disk: Path) -> None:
    mail = Mail(small_disk)
    user = mail.new_user()
    before = b"Subject: before\r\n\r\ntext\r\n"
    mail.send(user, before)
    big = b"Subject: big\r\n\r\n" + (b"x" * 98 + b"\r\n") * 20_000 + b"."
    small = b"Subject: small\r\n\r\n" + b"x" * 60_000 + b"\r\n."

    with mail.raw_smtp(*transaction(user)) as smtp:
        leave(small_disk, MEGABYTE)  # it fills up while the message comes in
        assert smtp.ask(big) == FULL
        assert smtp.ask(b"MAIL FROM:<a@mailserver>") == FULL
    (small_disk / "filler").unlink()

    with mail.raw_smtp(*transaction(user)) as smtp:
        leave(small_disk, 8192)  # small enough to stay in memory: the mailbox has no room for it
        assert smtp.ask(small) == FULL

    assert [m.endswith(before[-8:]) for m in mail.messages(user)] == [True]
    mailbox = (small_disk / user / "mymailbox").read_bytes()
    assert mailbox.count(b"\nSubject: ") == 1
    with mail.raw_pop3(user) as pop3:
        assert pop3.ask(b"DELE 1") == b"+OK message 1 deleted"
        assert pop3.ask(b"QUIT") == b"+OK bye, 1 deleted"

    (small_disk / "filler").unlink()
    mail.send(user, b"Subject: after\r\n\r\n")
    assert len(mail.messages(user)) == 1
    mail.stop()


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """As a quota: EFBIG in the middle of a write."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    mail = Mail(tmp_path, before=limit)
    user, other = mail.new_user(), mail.new_user()
    mail.send(user, b"Subject: 1\r\n\r\n" + b"x" * 70_000 + b"\r\n")
    with mail.raw_smtp(*transaction(user)[:-1]) as smtp:
        assert smtp.ask(b"RCPT TO:<%s@mailserver>" % other.encode()).startswith(b"250 ")
        assert smtp.ask(b"DATA").startswith(b"354 ")
        assert smtp.ask(b"Subject: 2\r\n\r\n" + b"x" * 70_000 + b"\r\n.") == FULL
    assert len(mail.messages(user)) == 1
    assert mail.messages(other) == []
    mail.send(user, b"Subject: 3\r\n\r\nshort\r\n")
    assert len(mail.messages(user)) == 2
    mail.stop()

"""Others' programs that write to mailbox files: procmail, mutt, Python's mailbox, Dovecot."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import pty
import pwd
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.client_pty import dovecot

SECONDS = 60.0
"""The longest that any of them may take; they wait for locks by the second."""
_PYTHON = Path(__file__).with_name("python_mailbox.py")
_PROCMAILRC = """\
LOCKSLEEP=1
SHELL=/bin/sh
:0:
{box}
"""
_MUTT = (
    "set sleep_time=0 mark_old=no delete=yes quit=yes move=no confirmappend=no beep=no "
    "header_cache='' mail_check=0 wait_key=no"
)
_SILENCE_SECONDS = 2.0


def owner() -> pwd.struct_passwd:
    """Whose mail they look after: Dovecot serves no mail of root's."""
    return pwd.getpwnam("nobody" if os.geteuid() == 0 else getpass.getuser())


def _as_owner() -> dict[str, Any]:
    if os.geteuid():
        return {}
    who = owner()
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}


def missing() -> str:
    """What is to be installed, or nothing."""
    packages = {"procmail": "procmail", "mutt": "mutt"}
    lacking = [package for program, package in packages.items() if not shutil.which(program)]
    if dovecot.program() is None:
        lacking.append("dovecot-pop3d")
    if python() is None:
        lacking.append("python3")
    return f"apt-get install {' '.join(lacking)}" if lacking else ""


def python() -> str | None:
    """A Python that the owner of the mail may start, which one in root's home is not."""
    for path in (shutil.which("python3", path="/usr/bin:/usr/local/bin"), shutil.which("python3")):
        if path is not None:
            try:
                subprocess.run([path, "-c", ""], check=True, **_as_owner())
            except (OSError, subprocess.CalledProcessError):
                continue
            return path
    return None


class Hangs(Exception):
    """A program of others does not end, or waits for one that does not."""


@contextmanager
def _ending(box: Path) -> Iterator[None]:
    """Who does not end leaves a lock, for which nobody has to wait: the round is over."""
    try:
        yield
    except subprocess.TimeoutExpired as late:
        box.with_name(f"{box.name}.lock").unlink(missing_ok=True)
        raise Hangs(f"{late}; it said {late.output!r}, {late.stderr!r}") from None


def procmail(folder: Path, box: Path, message: str) -> bool:
    """Deliver a message as an MDA does, with a lock file; whether it says that it is delivered.
    Raises Hangs, as does `mutt`."""
    rules = folder / "procmailrc"
    rules.write_text(_PROCMAILRC.format(box=box))
    with _ending(box):
        done = subprocess.run(
            ["procmail", "-f", "ann@example.org", f"DEFAULT={box}", str(rules)],
            input=message.encode(),
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            cwd=folder,
            timeout=SECONDS,
            capture_output=True,
            check=False,
            **_as_owner(),
        )
    return done.returncode == 0


def mutt(folder: Path, box: Path, word: str) -> bool:
    """A person deletes the message with this word, and leaves; whether it is gone then."""
    keys = f"<delete-pattern>~b {word}<enter><sync-mailbox><sync-mailbox><exit>"
    command = ["mutt", "-n", "-F", "/dev/null", "-f", str(box), "-e", _MUTT, "-e", f'push "{keys}"']
    ours, its = pty.openpty()
    try:
        process = subprocess.Popen(
            command,
            stdin=its,
            stdout=its,
            stderr=its,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "vt100"},
            cwd=folder,
            start_new_session=True,
            **_as_owner(),
        )
        os.close(its)
        with _ending(box):
            try:
                _let_work(ours, process)
            finally:
                process.kill()
                process.wait()
    finally:
        os.close(ours)
    return not _has(box, word)


def _let_work(terminal: int, process: subprocess.Popen[bytes]) -> None:
    """Until it ends; who has lost his keys for want of a lock is asked to leave once more."""
    give_up = time.monotonic() + SECONDS
    said = b""
    while process.poll() is None:
        if time.monotonic() > give_up:
            raise subprocess.TimeoutExpired(process.args, SECONDS, said)
        if select.select([terminal], [], [], _SILENCE_SECONDS)[0]:
            try:
                said = (said + os.read(terminal, 65536))[-4000:]
            except OSError:  # EIO: it has closed its side
                process.wait(SECONDS)
        else:
            os.write(terminal, b"x")


def _has(box: Path, word: str) -> bool:
    """No program writes while we look."""
    while True:
        with box.open("rb") as file:
            fcntl.lockf(file, fcntl.LOCK_SH)
            if os.path.samestat(os.fstat(file.fileno()), box.stat()):
                return word.encode() in file.read()


class PythonMailbox:
    """A script that adds and removes mail."""

    def __init__(self, folder: Path, box: Path) -> None:
        self._process = subprocess.Popen(
            [str(python()), "-c", _PYTHON.read_text(), str(box)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            text=True,
            **_as_owner(),
        )

    def change(self, add: str, remove: str) -> bool:
        """Add a message, remove the one with a word in it; whether that was there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"add": add, "remove": remove}) + "\n")
        self._process.stdin.flush()
        return bool(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()

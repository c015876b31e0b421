"""The systems that are measured: how each is given an empty house, started and stopped.

Every start removes what the run before has left, so each measurement begins with the same
folder. All of it lives in /data, a volume on a plain file system.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import stop

RUN = Path("/data/run")
SOURCE = Path(os.environ.get("BENCH_SOURCE", "/src"))
PEERS = SOURCE / "bench" / "peers"
USERS = ("alice", "bob", "carol", "dave")
PASSWORD = "wonderland"
OWNER = "alice"
"""The system user that owns ours and Dovecot's mailboxes."""
SECONDS_TO_START = 30.0
SECONDS_TO_STOP = 15.0


class StartFailed(Exception):
    """A server did not come up; the text has the end of its log."""


@dataclass(frozen=True)
class Server:
    """A running server: the root of its process tree, its port, and alice's mailbox file."""

    pid: int
    port: int
    mailbox: Path
    tls_port: int = 0
    """Where TLS begins at once; 0: nowhere."""

    def port_for(self, tls: str) -> int:
        """`tls`: "at once", or another word where it begins later or never."""
        return self.tls_port if tls == "at once" else self.port


Start = Callable[[bytes], AbstractContextManager[Server]]


def empty_run_folder() -> None:
    """What the run before has left is gone, from the disk too."""
    if RUN.exists():
        shutil.rmtree(RUN)
    RUN.mkdir(parents=True)
    os.sync()  # the run before pays for its own dirty pages, not this one


def mailboxes(folder: Path, content: bytes) -> None:
    """A folder for each user with `content` as its mymailbox, none where that is empty."""
    for user in USERS:
        (folder / user).mkdir(parents=True)
        if content:
            (folder / user / "mymailbox").write_bytes(content)


def give_to_owner(folder: Path) -> None:
    """The folder and all that is in it."""
    owner = pwd.getpwnam(OWNER)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.pw_uid, owner.pw_gid)


def _wait_for_greeting(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                if connection.recv(3) in (b"220", b"+OK"):
                    return
        except OSError:
            time.sleep(0.05)
    tail = log.read_text(errors="replace")[-2000:]
    raise StartFailed(f"{process.args!r} gave no greeting on port {port}:\n{tail}")


@contextmanager
def serving(
    command: Sequence[str | Path],
    port: int,
    mailbox: Path,
    user: str | None = None,
    tls_port: int = 0,
) -> Iterator[Server]:
    """Started, until the end of the block."""
    log = RUN / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            user=user,
        )
    try:
        _wait_for_greeting(process, port, log)
        yield Server(process.pid, port, mailbox, tls_port)
    finally:
        stop(process.pid, SECONDS_TO_STOP)
        process.wait(SECONDS_TO_STOP)


def ours(
    script: str,
    port: int,
    content: bytes,
    prepare: Callable[[Path], None] = lambda data: None,
    tls_port: int = 0,
) -> AbstractContextManager[Server]:
    """Over a new data folder, to which `prepare` adds what it likes."""
    empty_run_folder()
    data = RUN / "ours"
    data.mkdir()
    (data / "users.txt").write_text("".join(f"{user} {PASSWORD}\n" for user in USERS))
    prepare(data)
    if content:
        mailboxes(data, content)
    give_to_owner(data)
    command: list[str | Path] = [
        sys.executable,
        SOURCE / "server" / script,
        str(port),
        "--data",
        data,
    ]
    command += ["--host", "127.0.0.1"] + (["--domain", "mailserver"] if port == 2525 else [])
    return serving(command, port, data / OWNER / "mymailbox", OWNER, tls_port)


def smtpmail(content: bytes) -> AbstractContextManager[Server]:
    return ours("smtpmail.py", 2525, content)


def popserver(content: bytes) -> AbstractContextManager[Server]:
    return ours("popserver.py", 1110, content)


def postfix(content: bytes) -> AbstractContextManager[Server]:
    """Postfix in a private instance; `content` must be empty, it begins without a mailbox."""
    assert not content
    empty_run_folder()
    house = postfix_house()
    command: list[str | Path] = ["/usr/sbin/postfix", "-c", house / "etc", "start-fg"]
    return serving(command, 2600, house / "mail" / OWNER)


def postfix_house() -> Path:
    """Its settings, an empty queue, no mailbox."""
    house = RUN / "postfix"
    for name in ("etc", "queue", "lib", "mail"):
        (house / name).mkdir(parents=True)
    shutil.chown(house / "lib", "postfix")
    (house / "mail").chmod(0o1777)
    for name in ("main.cf", "master.cf"):
        shutil.copy(PEERS / name, house / "etc" / name)
    return house


CLEAR = dict.fromkeys(USERS, f"{{PLAIN}}{PASSWORD}")
"""What Dovecot is told of the passwords: themselves."""


def dovecot_house(content: bytes, passwords: Mapping[str, str] = CLEAR) -> Path:
    """Mailboxes, and what it knows of each user's password."""
    house = RUN / "dovecot"
    mailboxes(house / "mail", content)
    give_to_owner(house / "mail")
    owner = pwd.getpwnam(OWNER)
    (house / "passwd").write_text(
        "".join(
            f"{user}:{password}:{owner.pw_uid}:{owner.pw_gid}::::\n"
            for user, password in passwords.items()
        )
    )
    return house


def _dovecot(content: bytes, more: str = "") -> AbstractContextManager[Server]:
    empty_run_folder()
    house = dovecot_house(content)
    if more:
        shutil.copy(PEERS / more, house / "more.conf")
    return dovecot_in(house)


def dovecot_in(house: Path, tls_port: int = 0) -> AbstractContextManager[Server]:
    """Dovecot over what was put there."""
    command: list[str | Path] = ["/usr/sbin/dovecot", "-F", "-c", PEERS / "dovecot.conf"]
    return serving(command, 2601, house / "mail" / OWNER / "mymailbox", tls_port=tls_port)


def dovecot(content: bytes) -> AbstractContextManager[Server]:
    return _dovecot(content)


def dovecot_reused(content: bytes) -> AbstractContextManager[Server]:
    return _dovecot(content, more="dovecot-reused.conf")

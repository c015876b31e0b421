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

from bench.mailbox import Mailbox
from bench.processes import stop

RUN = Path("/data/run")
SOURCE = Path(__file__).resolve().parents[1]
PEERS = SOURCE / "bench" / "peers"
USERS = ("alice", "bob", "carol", "dave")
PASSWORD = "wonderland"
OWNER = "alice"
"""The system user that owns ours and Dovecot's mailboxes."""
SECONDS_TO_START = 30.0
SECONDS_TO_STOP = 15.0
SECONDS_BETWEEN_LOOKS = 0.002
SECONDS_FOR_FILES = 120.0


class StartFailed(Exception):
    """A server did not come up; the text has the end of its log."""


@dataclass(frozen=True)
class Server:
    """A running server: the root of its process tree, its port, and where users' mailboxes are."""

    pid: int
    port: int
    mail: str
    """The name of each user's mbox file, with {user} in it; empty: it keeps none."""
    tls_port: int = 0
    """Where TLS begins at once; 0: nowhere."""
    seconds_to_start: float = 0.0
    """From the start of its first process to the end of its greeting's first octets."""
    started: float = 0.0
    """When that was, by time.monotonic."""

    def mailbox(self, user: str) -> Path:
        """The mbox file of a user."""
        return Path(self.mail.format(user=user))

    def port_for(self, tls: str) -> int:
        """`tls`: "at once", or another word where it begins later or never."""
        return self.tls_port if tls == "at once" else self.port


Start = Callable[[Mailbox], AbstractContextManager[Server]]


def empty_run_folder() -> None:
    """What the run before has left is gone, from the disk too."""
    if RUN.exists():
        shutil.rmtree(RUN)
    RUN.mkdir(parents=True)
    os.sync()  # the run before pays for its own dirty pages, not this one


def mailboxes(folder: Path, content: Mailbox) -> None:
    """A folder for each user, with his mymailbox where he has one."""
    for number, user in enumerate(USERS):
        (folder / user).mkdir(parents=True)
        if content and number < content.owners:
            content.put_mbox(folder / user / "mymailbox")


def give_to_owner(folder: Path) -> None:
    """The folder and all that is in it."""
    owner = pwd.getpwnam(OWNER)
    command: list[str | Path] = ["chown", "-R", f"{owner.pw_uid}:{owner.pw_gid}", folder]
    subprocess.run(command, check=True, timeout=SECONDS_FOR_FILES)


def _wait_for_greeting(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                if connection.recv(3) in (b"220", b"+OK"):
                    return
        except OSError:
            time.sleep(SECONDS_BETWEEN_LOOKS)
    tail = log.read_text(errors="replace")[-2000:]
    raise StartFailed(f"{process.args!r} gave no greeting on port {port}:\n{tail}")


@contextmanager
def serving(
    command: Sequence[str | Path],
    port: int,
    mail: str,
    user: str | None = None,
    tls_port: int = 0,
) -> Iterator[Server]:
    """Started, until the end of the block."""
    log = RUN / "log"
    os.sync()  # what was copied for this run is on the disk before it begins
    with log.open("wb") as output:
        begin = time.monotonic()
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
        yield Server(process.pid, port, mail, tls_port, time.monotonic() - begin, begin)
    finally:
        stop(process.pid, SECONDS_TO_STOP)
        process.wait(SECONDS_TO_STOP)


def ours(
    script: str,
    port: int,
    content: Mailbox,
    prepare: Callable[[Path], None] = lambda data: None,
    tls_port: int = 0,
    users: Sequence[str] = USERS,
) -> AbstractContextManager[Server]:
    """Over a new data folder, to which `prepare` adds what it likes."""
    empty_run_folder()
    data = RUN / "ours"
    data.mkdir()
    (data / "users.txt").write_text("".join(f"{user} {PASSWORD}\n" for user in users))
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
    return serving(command, port, f"{data}/{{user}}/mymailbox", OWNER, tls_port)


def _many(data: Path) -> None:
    """What somebody sets who wants 10,000 connections: each worker takes its part of them, and
    the kernel deals them out by chance."""
    (data / "mailserver.toml").write_text("connections = 15000\n")


def smtpmail(content: Mailbox, users: Sequence[str] = USERS) -> AbstractContextManager[Server]:
    return ours("smtpmail.py", 2525, content, users=users)


def smtpmail_for_many(content: Mailbox) -> AbstractContextManager[Server]:
    """Takes 10,000 connections and more."""
    return ours("smtpmail.py", 2525, content, _many)


def popserver(content: Mailbox) -> AbstractContextManager[Server]:
    return ours("popserver.py", 1110, content)


def popserver_for_many(content: Mailbox) -> AbstractContextManager[Server]:
    """The same, with users to log in by the thousand."""
    users = [f"user{number}" for number in range(2_000)]
    return ours("popserver.py", 1110, content, _many, users=users)


def smtp_sink(content: Mailbox) -> AbstractContextManager[Server]:
    """Postfix's test server, in C: takes messages and forgets them."""
    assert not content
    empty_run_folder()
    command = ["/usr/sbin/smtp-sink", "-u", OWNER, "127.0.0.1:2700", "1000"]
    return serving(command, 2700, "")


def postfix(content: Mailbox, users: Sequence[str] = ()) -> AbstractContextManager[Server]:
    """Postfix in a private instance, which begins without a mailbox; its users are the system's."""
    assert not content
    empty_run_folder()
    _add_to_system(users)
    house = postfix_house()
    command: list[str | Path] = ["/usr/sbin/postfix", "-c", house / "etc", "start-fg"]
    return serving(command, 2600, f"{house}/mail/{{user}}")


def _add_to_system(users: Sequence[str]) -> None:
    """Those of them that the system does not know yet."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    with Path("/etc/passwd").open("a") as file:
        for number, user in enumerate(users, start=20_000):
            if user not in known:
                file.write(f"{user}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n")


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


def dovecot_house(content: Mailbox, passwords: Mapping[str, str] = CLEAR) -> Path:
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


def _dovecot(content: Mailbox, more: str) -> AbstractContextManager[Server]:
    empty_run_folder()
    house = dovecot_house(content)
    shutil.copy(PEERS / more, house / "more.conf")
    return dovecot_in(house)


def dovecot_in(house: Path, tls_port: int = 0) -> AbstractContextManager[Server]:
    """Dovecot over what was put there."""
    command: list[str | Path] = ["/usr/sbin/dovecot", "-F", "-c", PEERS / "dovecot.conf"]
    return serving(command, 2601, f"{house}/mail/{{user}}/mymailbox", tls_port=tls_port)


def dovecot(content: Mailbox) -> AbstractContextManager[Server]:
    """As it comes."""
    empty_run_folder()
    return dovecot_in(dovecot_house(content))


def dovecot_reused(content: Mailbox) -> AbstractContextManager[Server]:
    """Its processes serve one session after another."""
    return _dovecot(content, "dovecot-reused.conf")


def dovecot_maildir(content: Mailbox) -> AbstractContextManager[Server]:
    """The same over maildirs."""
    empty_run_folder()
    house = dovecot_house(Mailbox())
    for user in USERS[: content.owners]:
        content.put_maildir(house / "mail" / user / "Maildir")
    give_to_owner(house / "mail")
    more = (PEERS / "dovecot-reused.conf").read_text() + (PEERS / "maildir.conf").read_text()
    (house / "more.conf").write_text(more)
    return dovecot_in(house)

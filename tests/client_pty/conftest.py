"""The real servers on free ports of this machine, and the real client in a pipe or a terminal."""

from __future__ import annotations

import os
import poplib
import re
import signal
import smtplib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

ROOT = Path(__file__).resolve().parents[2]
CLIENT = [sys.executable, str(ROOT / "client" / "mailclient.py")]
USERS = {"alice": "wonderland", "bob": "the builder"}


def _start(command: list[str]) -> tuple[subprocess.Popen[str], int, threading.Thread]:
    """The process, the port that it says it listens on, and who reads what it says from then on."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", line):
            # Somebody has to read on, or the server would one day wait for it.
            reader = threading.Thread(target=process.stderr.read, daemon=True)
            reader.start()
            return process, int(found[1]), reader
    pytest.fail("the server did not start: " + "".join(said))


@dataclass
class MailServer:
    """Both servers over one data folder."""

    data: Path
    smtp_port: int
    pop3_port: int

    def deliver(self, message: bytes, recipient: str = "alice") -> None:
        """Bring a message in as any other program would."""
        lines = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        with smtplib.SMTP("127.0.0.1", self.smtp_port, local_hostname="localhost") as smtp:
            smtp.sendmail("eve@elsewhere.example", [f"{recipient}@mailserver"], lines)

    def pop3(self, user: str = "alice") -> poplib.POP3:
        """An open session of another program."""
        session = poplib.POP3("127.0.0.1", self.pop3_port)
        session.user(user)
        session.pass_(USERS[user])
        return session

    def count(self, user: str = "alice") -> int:
        """How many messages the user has."""
        session = self.pop3(user)
        try:
            return session.stat()[0]
        finally:
            session.quit()


@pytest.fixture
def mailserver(tmp_path: Path) -> Iterator[MailServer]:
    accounts = "".join(f"{user} {password}\n" for user, password in USERS.items())
    (tmp_path / "users.txt").write_text(accounts)
    options = ["0", "--data", str(tmp_path), "--host", "127.0.0.1"]
    running: list[tuple[subprocess.Popen[str], threading.Thread]] = []
    ports = []
    try:
        for program, more in (("smtpmail.py", ["--domain", "mailserver"]), ("popserver.py", [])):
            command = [sys.executable, str(ROOT / "server" / program), *options, *more]
            process, port, reader = _start(command)
            running.append((process, reader))
            ports.append(port)
        yield MailServer(tmp_path, *ports)
    finally:
        for process, _ in running:
            process.terminate()
        for process, reader in running:
            process.wait(15)
            reader.join(5)
            assert process.stderr is not None
            process.stderr.close()


@pytest.fixture
def client_command() -> list[str]:
    """How the client is started."""
    return CLIENT


@pytest.fixture
def homes(tmp_path: Path) -> dict[str, str]:
    """Where the client keeps what it remembers: for this test alone."""
    return {
        "XDG_STATE_HOME": str(tmp_path / "client" / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "client" / "config"),
    }


@dataclass
class Talk:
    """What the client wrote, and how it ended."""

    out: str
    err: str
    code: int


Pipe = Callable[..., Talk]


@pytest.fixture
def pipe(mailserver: MailServer, homes: dict[str, str]) -> Pipe:
    """Run the client with these lines from a pipe."""

    def run(*lines: str | bytes, env: dict[str, str] | None = None) -> Talk:
        typed = b"".join((x.encode() if isinstance(x, str) else x) + b"\n" for x in lines)
        command = [*CLIENT, "127.0.0.1", str(mailserver.smtp_port), str(mailserver.pop3_port)]
        done = subprocess.run(
            command,
            input=typed,
            capture_output=True,
            timeout=50,
            check=False,
            env={**os.environ, **homes, **(env or {})},
        )
        return Talk(done.stdout.decode(errors="replace"), done.stderr.decode(), done.returncode)

    return run


Terminal = Callable[[], "pexpect.spawn[str]"]


@pytest.fixture
def terminal(mailserver: MailServer, homes: dict[str, str]) -> Iterator[Terminal]:
    """Run the line mode in a terminal of 80x24."""
    running: list[pexpect.spawn[str]] = []

    def run() -> pexpect.spawn[str]:
        arguments = ["127.0.0.1", str(mailserver.smtp_port), str(mailserver.pop3_port)]
        running.append(
            pexpect.spawn(
                CLIENT[0],
                [CLIENT[1], "--plain", *arguments],
                encoding="utf-8",
                timeout=20,
                dimensions=(24, 80),
                env={**os.environ, **homes, "TERM": "xterm", "LANG": "C.UTF-8"},
                # tests that run in the background have it ignored, and so would the client
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        )
        return running[-1]

    yield run
    for child in running:
        child.close(force=True)

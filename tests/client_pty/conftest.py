"""The real servers on free ports of this machine, and the real client in a pipe or a terminal."""

from __future__ import annotations

import compileall
import os
import poplib
import re
import shutil
import signal
import smtplib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pexpect
import pytest
from tests.client_pty.face import DEADLINE_SECONDS, Face, end
from tests.client_pty.relay import Relay

ROOT = Path(__file__).resolve().parents[2]
CLIENT = [sys.executable, str(ROOT / "client" / "mailclient.py")]
USERS = {"alice": "wonderland", "bob": "the builder"}


class _Running:
    """A server on a free port."""

    def __init__(self, program: str, *options: str) -> None:
        """Begins to start it."""
        command = [sys.executable, str(ROOT / "server" / program), "0", *options]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        self._said = self._process.stderr
        self._reader = threading.Thread(target=self._said.read, daemon=True)

    def port(self) -> int:
        """Once it listens. From then on somebody reads what it says, or one day it would wait."""
        said = []
        for line in self._said:
            said.append(line)
            if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", line):
                self._reader.start()
                return int(found[1])
        pytest.fail("the server did not start: " + "".join(said))

    def stop(self) -> None:
        """In whatever state it is."""
        self._process.terminate()
        self._process.wait(15)
        if self._reader.is_alive():
            self._reader.join(5)
        self._said.close()


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
        """An open session of another program, as soon as the one before is gone for the server."""
        give_up = time.monotonic() + DEADLINE_SECONDS
        while True:
            session = poplib.POP3("127.0.0.1", self.pop3_port)
            session.user(user)
            try:
                session.pass_(USERS[user])
            except poplib.error_proto as refused:
                session.close()
                if b"[IN-USE]" not in refused.args[0] or time.monotonic() > give_up:
                    raise
            else:
                return session

    def count(self, user: str = "alice") -> int:
        """How many messages the user has."""
        session = self.pop3(user)
        try:
            return session.stat()[0]
        finally:
            session.quit()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    """One pair for all tests, to which every test comes from the same address."""
    for package in (
        "client",
        "server",
    ):  # where nothing may be written later, all read it each time
        compileall.compile_dir(ROOT / package, quiet=1)
    data = tmp_path_factory.mktemp("data")
    accounts = "".join(f"{user} {password}\n" for user, password in USERS.items())
    (data / "users.txt").write_text(accounts)
    options = ("--data", str(data), "--host", "127.0.0.1", "--auth-failures", "10000")
    running = [
        # what goes to other servers waits: nobody listens there, and no report comes into a test
        _Running("smtpmail.py", *options, "--domain", "mailserver", "--routes", "*=127.0.0.1:1"),
        _Running("popserver.py", *options),
    ]
    try:
        smtp_port, pop3_port = [one.port() for one in running]
        yield MailServer(data, smtp_port, pop3_port)
    finally:
        for one in running:
            one.stop()


@pytest.fixture
def mailserver(servers: MailServer) -> MailServer:
    """Nobody has mail yet; the ports may be changed."""
    for user in USERS:
        shutil.rmtree(servers.data / user, ignore_errors=True)
    return replace(servers)


@pytest.fixture
def relay(mailserver: MailServer) -> Iterator[Relay]:
    """Before the POP3 server; the client is sent to it by its port."""
    made = Relay(mailserver.pop3_port)
    yield made
    made.close()


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


Start = Callable[..., Face]
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
        running[-1].delaybeforesend = None  # type: ignore[assignment]
        return running[-1]

    yield run
    for child in running:
        end(child)


@pytest.fixture
def face(
    mailserver: MailServer, homes: dict[str, str], client_command: list[str]
) -> Iterator[Start]:
    """Start the client in a terminal of this size; with a password file it signs in by itself."""
    running: list[Face] = []
    secret = mailserver.data / "secret"
    secret.write_text("wonderland\n")

    def start(
        columns: int = 80,
        rows: int = 24,
        signs_in: bool = True,
        program: list[str] | None = None,
        **env: str,
    ) -> Face:
        ports = [str(mailserver.smtp_port), str(mailserver.pop3_port)]
        who = ["--user", "alice", "--password-file", str(secret)] if signs_in else []
        settings = {**homes, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PATH": "/bin:/usr/bin"}
        command = [*(program or client_command), *who, "127.0.0.1", *ports]
        running.append(Face(command, settings | env, columns, rows))
        return running[-1]

    yield start
    for one in running:
        one.close()

"""The real commands, as processes, and plain ways to talk with them."""

from __future__ import annotations

import itertools
import os
import poplib
import re
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[2] / "server"
SECONDS = 20.0
"""The longest that anything here may take; nothing waits that long when all is well."""


class Server:
    """One running server process."""

    def __init__(
        self,
        command: str,
        data: Path,
        *options: str,
        before: Callable[[], None] | None = None,
        domain: str = "mailserver",
        port: int = 0,
    ) -> None:
        arguments = ["--data", str(data), "--host", "127.0.0.1", "--domain", domain]
        arguments += ["--workers", "1"]  # so that the process is the server; options may say more
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER / f"{command}.py"), str(port), *arguments, *options],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SERVER)},
            preexec_fn=before,  # noqa: PLW1509 # it sets a limit, no more
        )
        self.log: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = int(self.wait_for(r"listening on 127\.0\.0\.1:(\d+)")[1])

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self.log.append(line)
                self._more.notify_all()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Until the log has a line with this."""

        def found() -> re.Match[str] | None:
            return next(filter(None, (re.search(pattern, line) for line in self.log)), None)

        with self._more:
            match = self._more.wait_for(found, SECONDS)
        assert match, f"{pattern!r} is not in the log:\n{''.join(self.log)}"
        return match

    def resident_octets(self) -> int:
        """Memory that the process has."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]

    def stop(self) -> int:
        """SIGTERM if it still runs, and the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(SECONDS)
        self._reader.join()
        self.process.stderr.close()  # type: ignore[union-attr]
        return status


class Raw:
    """One connection, octet by octet."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self._lines = self.socket.makefile("rb")

    def say(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def line(self) -> bytes:
        """The next line without its CRLF; b"" at the end."""
        return self._lines.readline().removesuffix(b"\r\n")

    def reply(self) -> bytes:
        """The last line of the next SMTP reply."""
        while (line := self.line())[3:4] == b"-" and line[:3].isdigit():
            pass
        return line

    def ask(self, command: bytes) -> bytes:
        """Say a line and get the reply."""
        self.say(command + b"\r\n")
        return self.reply()

    def to_end(self) -> bytes:
        """All that comes until the server closes."""
        said = b""
        with suppress(ConnectionResetError):
            while more := self._lines.read1(65536):  # type: ignore[attr-defined]
                said += more
        return said

    def close(self) -> None:
        self._lines.close()
        self.socket.close()

    def drop(self) -> None:
        """Close with a reset, as a machine that vanished."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Mail:
    """Both servers over one data folder."""

    def __init__(
        self,
        data: Path,
        *smtp_options: str,
        before: Callable[[], None] | None = None,
        domain: str = "mailserver",
        smtp_port: int = 0,
    ) -> None:
        self.data = data
        self._domain = domain
        self._names = itertools.count(1)
        self._servers: list[Server] = []
        (data / "users.txt").write_text("first secret\n")
        self.smtp = self._start("smtpmail", *smtp_options, before=before, port=smtp_port)
        self.pop3 = self._start("popserver", before=before)

    def _start(
        self, command: str, *options: str, before: Callable[[], None] | None, port: int = 0
    ) -> Server:
        server = Server(command, self.data, *options, before=before, domain=self._domain, port=port)
        self._servers.append(server)
        return server

    def new_user(self) -> str:
        """A user with the password "secret", whom the running servers learn of."""
        name = f"user{next(self._names)}"
        with (self.data / "users.txt").open("a") as users:
            users.write(f"{name} secret\n")
        return name

    def raw_smtp(self, *commands: bytes) -> Raw:
        """An SMTP connection on which these commands went well."""
        raw = Raw(self.smtp.port)
        assert raw.reply() == b"220 %s Service Ready" % self._domain.encode()
        for command in commands:
            reply = raw.ask(command)
            assert reply[:1] in b"23", (command, reply)
        return raw

    def raw_pop3(self, user: str = "") -> Raw:
        """A POP3 connection, logged in when a user is named."""
        raw = Raw(self.pop3.port)
        domain = re.escape(self._domain.encode())
        greeting = rb"\+OK %s POP3 ready <[\w-]{43}@%s>" % (domain, domain)
        assert re.fullmatch(greeting, raw.line())
        if user:
            assert raw.ask(b"UTF8") == b"+OK UTF-8 it is"
            assert raw.ask(b"USER " + user.encode()) == b"+OK now PASS"
            assert raw.ask(b"PASS secret").startswith(b"+OK maildrop has ")
        return raw

    def send(self, user: str, content: bytes) -> None:
        """One message with smtplib; content with CRLF line ends."""
        with smtplib.SMTP("127.0.0.1", self.smtp.port, timeout=SECONDS) as client:
            client.sendmail("sender@mailserver", [f"{user}@mailserver"], content)

    def login(self, user: str) -> poplib.POP3:
        client = poplib.POP3("127.0.0.1", self.pop3.port, timeout=SECONDS)
        client.user(user)
        client.pass_("secret")
        return client

    def messages(self, user: str) -> list[bytes]:
        """All messages of a user, by a POP3 client of our own that takes any line."""
        with self.raw_pop3(user) as raw:
            count = int(raw.ask(b"STAT").split()[1])
            found = []
            for number in range(1, count + 1):
                octets = int(raw.ask(b"RETR %d" % number).split()[1])
                lines = []
                while (line := raw._lines.readline()) != b".\r\n":
                    assert line, "the connection broke off"
                    lines.append(line[line.startswith(b".") :])
                found.append(b"".join(lines))
                assert len(found[-1]) == octets
            assert raw.ask(b"QUIT") == b"+OK bye"
            return found

    def stop(self) -> None:
        for server in self._servers:
            assert server.stop() == 0
            assert not any("Traceback" in line for line in server.log), "".join(server.log)


def transaction(user: str) -> tuple[bytes, ...]:
    """What comes before the content."""
    return (
        b"EHLO client",
        b"MAIL FROM:<sender@mailserver>",
        b"RCPT TO:<%s@mailserver>" % user.encode(),
        b"DATA",
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mail]:
    """Servers that all tests of a module share."""
    mail = Mail(tmp_path_factory.mktemp("data"))
    yield mail
    mail.stop()


@pytest.fixture
def mail(running: Mail) -> Iterator[Mail]:
    """Servers on which two other connections, and a message to somebody else, go on meanwhile."""
    bystander = running.new_user()
    smtp = running.raw_smtp(*transaction(bystander))
    pop3 = running.raw_pop3(running.new_user())
    yield running
    assert pop3.ask(b"NOOP") == b"+OK"
    assert smtp.ask(b"Subject: meanwhile\r\n.").startswith(b"250 2.0.0 OK message stored")
    smtp.close()
    pop3.close()
    assert len(running.messages(bystander)) == 1


def eventually(condition: Callable[[], bool]) -> None:
    """Until it is so; for what another process does without telling."""
    give_up = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)

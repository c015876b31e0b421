"""Starting and stopping: one clear line when something is wrong, nothing lost when it ends."""

from __future__ import annotations

import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sockets.conftest import SECONDS, SERVER, Mail, Raw, Server, eventually, transaction

COMMANDS = ("smtpmail", "popserver")
both = pytest.mark.parametrize("command", COMMANDS)


def start(command: str, *arguments: str) -> tuple[int, str]:
    """The status and the standard error of a start that fails."""
    done = subprocess.run(
        [sys.executable, str(SERVER / f"{command}.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, "PYTHONPATH": str(SERVER)},
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def last_line(text: str) -> str:
    assert "Traceback" not in text
    return text.splitlines()[-1]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "users.txt").write_text("alice wonderland\n")
    return tmp_path


@both
def test_port_in_use(command: str, data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, said = start(command, str(port), "--data", str(data), "--host", "127.0.0.1")
    assert status == 78
    assert last_line(said) == (f"{command}: port {port} of 127.0.0.1 is in use by another program")


@pytest.mark.parametrize("command", [*COMMANDS, "mailadmin"])
def test_without_the_libraries(command: str) -> None:
    """`python server/smtpmail.py` before `pip install`."""
    done = subprocess.run(
        [sys.executable, "-S", str(SERVER / f"{command}.py"), "2525"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 78
    [said] = done.stderr.splitlines()
    assert said.startswith(f"{command}: Python has no module ")
    assert "pip install ./server" in said


@both
def test_an_address_that_is_not_here(command: str, data: Path) -> None:
    status, said = start(command, "0", "--data", str(data), "--host", "192.0.2.1")
    assert status == 78
    assert last_line(said).startswith(f"{command}: cannot listen on port 0 of 192.0.2.1: ")


@both
def test_data_folder_missing(command: str, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    status, said = start(command, "0", "--data", str(missing))
    assert status == 78
    assert said == (f"{command}: {missing} is not a folder; name the data folder with --data DIR\n")


@both
def test_list_of_users_missing(command: str, tmp_path: Path) -> None:
    status, said = start(command, "0", "--data", str(tmp_path))
    assert status == 78
    assert len(said.splitlines()) == 1
    assert f"{tmp_path}: no users.txt here; make one with a line `username password`" in said


@both
def test_settings_that_make_no_sense(command: str, data: Path) -> None:
    (data / "mailserver.toml").write_text("connections = 10\nconections = 5\nhost = 5\n")
    for arguments in (["0"], ["--check"]):
        status, said = start(command, *arguments, "--data", str(data))
        assert status == 78
        where = f"{command}: {data / 'mailserver.toml'}"
        assert said.splitlines() == [
            f"{where}:2: there is no setting 'conections'; did you mean connections?",
            (
                f"{where}:3: host cannot be 5; "
                "it is an IP address or a name of this machine, in quotes"
            ),
        ]


@both
def test_only_checking(command: str, data: Path) -> None:
    """Nothing is made: root may look, and what the server finds later is still its own."""
    before = sorted(data.rglob("*"))
    status, said = start(command, "--check", "--data", str(data))
    assert status == 0
    assert said.endswith(f"{command} INFO settings and data folder are good\n")
    assert sorted(data.rglob("*")) == before
    (data / ".mailserver/tls").mkdir(parents=True)
    for name in ("certificate.pem", "key.pem"):
        (data / ".mailserver/tls" / name).write_text("nonsense\n")
    status, said = start(command, "--check", "--data", str(data))
    assert status == 78
    assert "certificate.pem" in last_line(said)
    (data / "users.txt").unlink()
    status, said = start(command, "--check", "--data", str(data))
    assert status == 78
    assert "no users.txt here" in last_line(said)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A data folder in which nothing can be written."""
    data = tmp_path / "read-only"
    data.mkdir()
    if os.geteuid() == 0:  # whom no mode stops
        mount = ["mount", "-t", "tmpfs", "tmpfs", str(data)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"root cannot mount a file system here: {done.stderr.strip()}")
    (data / "users.txt").write_text("alice wonderland\n")
    if os.geteuid() == 0:
        subprocess.run(["mount", "-o", "remount,ro", str(data)], check=True)
        yield data
        subprocess.run(["umount", "-l", str(data)], check=True)
    else:
        data.chmod(0o500)
        yield data
        data.chmod(0o700)


@both
def test_data_folder_not_writable(command: str, read_only: Path) -> None:
    for arguments in (["0"], ["--check"]):
        status, said = start(command, *arguments, "--data", str(read_only))
        assert status == 78
        line = last_line(said)
        assert line.startswith(f"{command}: {read_only}: ")
        writable = f"; it must be writable: chown -R {os.getuid()}:{os.getgid()} {read_only}"
        assert line.endswith(writable)


@both
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["smtp"],
        ["-1"],
        ["65536"],
        ["2525", "2526"],
        ["2525", "--domain", "no domain"],
        ["2525", "--domain", "../x"],
        ["2525", "--connections", "0"],
        ["2525", "--nonsense"],
    ],
)
def test_wrong_arguments(command: str, arguments: list[str]) -> None:
    status, said = start(command, *arguments)
    assert status == 2
    assert last_line(said).startswith(f"{command}: error: ")


def test_a_folder_with_only_user_txt_works_too(tmp_path: Path) -> None:
    (tmp_path / "user.txt").write_text("alice wonderland\n")
    server = Server("smtpmail", tmp_path)
    with Raw(server.port) as raw:
        assert raw.line() == b"220 mailserver Service Ready"
    assert server.stop() == 0


def test_sigterm_ends_idle_sessions_and_lets_a_message_finish(tmp_path: Path) -> None:
    """RFC 5321 3.8: 421, after the message that is on its way was stored."""
    mail = Mail(tmp_path, "--stop-timeout", "2")
    user = mail.new_user()
    idle = mail.raw_smtp(b"HELO c", b"MAIL FROM:<>")
    sending = mail.raw_smtp(*transaction(user))
    stuck = mail.raw_smtp(*transaction(user))
    sending.say(b"Subject: nearly\r\n\r\n")
    reading = mail.raw_pop3(user)
    assert reading.ask(b"STAT") == b"+OK 0 0"
    start = time.monotonic()
    mail.smtp.process.send_signal(signal.SIGTERM)
    mail.pop3.process.send_signal(signal.SIGTERM)
    assert idle.line() == b"421 Service is stopping; closing transmission channel"
    assert idle.to_end() == b""
    with pytest.raises(ConnectionRefusedError):
        Raw(mail.smtp.port)
    sending.say(b"there\r\n.\r\nMAIL FROM:<>\r\n")
    assert sending.reply().startswith(b"250 2.0.0 OK message stored")
    assert sending.reply() == b"421 4.3.2 Service is stopping; closing transmission channel"
    assert sending.to_end() == b""
    assert reading.to_end() == b""
    assert mail.pop3.process.wait(SECONDS) == 0
    assert mail.smtp.process.wait(SECONDS) == 0  # the stuck one is waited for, but not for ever
    assert time.monotonic() - start < 10
    assert stuck.to_end() == b"421 4.3.2 Service is stopping; closing transmission channel\r\n"
    for raw in (idle, sending, stuck, reading):
        raw.close()
    mail.stop()
    again = Mail(tmp_path)
    again.new_user()
    assert len(again.messages(user)) == 1
    again.stop()


def test_too_many_connections_are_told_so(data: Path) -> None:
    server = Server("smtpmail", data, "--connections", "2")
    with Raw(server.port) as one, Raw(server.port) as two:
        assert one.line() == two.line() == b"220 mailserver Service Ready"
        with Raw(server.port) as three:
            assert three.line() == b"421 Too many connections; try again later"
            assert three.to_end() == b""
        assert one.ask(b"QUIT").startswith(b"221 ")
        one.to_end()
        reply = b"421"
        while reply.startswith(b"421"):  # until the server has seen the end of the first
            with Raw(server.port) as four:
                reply = four.line()
        assert reply == b"220 mailserver Service Ready"
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("apop", "clear_passwords", "offered"),
    [
        ("where-clear", "own", True),
        ("where-clear", "never", False),
        ("always", "never", True),
        ("never", "always", False),
    ],
)
def test_where_apop_is_offered(apop: str, clear_passwords: str, offered: bool, data: Path) -> None:
    server = Server("popserver", data, "--apop", apop, "--clear-passwords", clear_passwords)
    with Raw(server.port) as raw:
        assert (b"<" in raw.line()) is offered
        assert raw.ask(b"APOP alice " + b"0" * 32).startswith(b"-ERR [AUTH]") is offered
    assert server.stop() == 0


def test_the_log_says_whose_mail_is_kept_here(data: Path) -> None:
    """Whoever is told that relaying is not allowed looks there."""
    server = Server("smtpmail", data, "--domain", "example.org")
    assert server.wait_for(r"local domains: (.*)")[1] == "mailserver, example.org"
    with Raw(server.port) as raw:  # by then it minds signals
        assert raw.line().startswith(b"220 ")
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("command", "option", "greeting"),
    [
        ("smtpmail", "--submissions-port", b"220 mailserver Service Ready\r\n"),
        ("popserver", "--pop3s-port", b"+OK mailserver POP3 ready <"),
    ],
)
def test_a_second_port_inside_tls(command: str, option: str, greeting: bytes, data: Path) -> None:
    server = Server(command, data, option, "0")
    port = int(server.wait_for(r"listening on 127\.0\.0\.1:(\d+) for \w+ inside TLS")[1])
    context = ssl.create_default_context(cafile=str(data / ".mailserver/tls/certificate.pem"))
    with (
        socket.create_connection(("127.0.0.1", port), SECONDS) as clear,
        context.wrap_socket(clear, server_hostname="mailserver") as tls,
    ):
        assert tls.recv(100).startswith(greeting)
    with Raw(server.port) as raw:  # the first port goes on in the clear
        assert (raw.line() + b"\r\n").startswith(greeting)
    assert server.stop() == 0


def test_a_certificate_that_is_none(data: Path) -> None:
    (data / "mailserver.toml").write_text('certificate = "users.txt"')
    status, said = start("smtpmail", "0", "--data", str(data))
    assert status == 78
    assert str(data / "users.txt") in last_line(said)


def test_too_few_descriptors_end_no_server(data: Path) -> None:
    """Security row 45: more connections than the system allows open files."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    server = Server("smtpmail", data, before=limit)
    crowd = [Raw(server.port) for _ in range(100)]
    assert crowd[0].line() == b"220 mailserver Service Ready"
    used = os.times()
    assert crowd[0].ask(b"NOOP") == b"250 OK nothing done"
    for raw in crowd[1:]:
        raw.close()
    assert crowd[0].ask(b"NOOP") == b"250 OK nothing done"
    assert os.times().user - used.user < 5
    crowd[0].close()

    def greeted() -> bool:
        with Raw(server.port) as raw:
            return raw.line() == b"220 mailserver Service Ready"

    eventually(greeted)  # once it has seen that the others are gone
    with Raw(server.port) as raw:
        raw.line()
        for command in (b"EHLO c", b"MAIL FROM:<>", b"RCPT TO:<alice@mailserver>", b"DATA"):
            assert raw.ask(command)[:1] in b"23"
        assert raw.ask(b"Subject: x\r\n.").startswith(b"250 ")
    assert server.stop() == 0


_TELLS_OF_GARBAGE = """
import gc, os, signal
from mailserver.app import pop3, serving

class Probe(pop3.Pop3):
    def serve(self, parts):
        print("collected" if gc.isenabled() else "kept", gc.get_freeze_count() > 0, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

gc.disable()
serving.run("popserver", "", Probe())
"""


def test_garbage_of_what_is_served_is_collected(tmp_path: Path) -> None:
    """That of the start is not looked for."""
    (tmp_path / "users.txt").touch()
    options = ["0", "--data", tmp_path, "--host", "127.0.0.1", "--workers", "1"]
    ended = subprocess.run(
        [sys.executable, "-c", _TELLS_OF_GARBAGE, *options],
        check=False,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SERVER)},
        timeout=SECONDS,
    )
    assert ended.stdout == "collected True\n"

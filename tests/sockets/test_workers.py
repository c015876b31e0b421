"""Several processes behind one port: they share the mailboxes, and end together."""

from __future__ import annotations

import base64
import os
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.sockets.conftest import SECONDS, SERVER, Mail, Raw, Server, eventually

WORKERS = 3


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[Mail]:
    running = Mail(tmp_path, "--workers", str(WORKERS))
    yield running
    for server in (running.smtp, running.pop3):
        server.stop()


def children(server: Server, count: int = WORKERS) -> set[int]:
    """All of them; the last may not have been there yet when the first said that it listens."""
    listed = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    deadline = time.monotonic() + SECONDS
    while len(found := set(map(int, listed.read_text().split()))) < count:
        assert time.monotonic() < deadline, "too few workers"
    return found


def answered_by(mail: Mail, count: int) -> dict[int, int]:
    """How many of so many connections each worker has, by its process id."""
    connections = [Raw(mail.smtp.port) for _ in range(count)]
    assert all(raw.reply() == b"220 mailserver Service Ready" for raw in connections)
    held = {
        pid: sum(
            os.readlink(entry.path).startswith("socket:") for entry in os.scandir(f"/proc/{pid}/fd")
        )
        for pid in children(mail.smtp)
    }
    for raw in connections:
        raw.close()
    return held


def test_connections_are_shared(mail: Mail) -> None:
    before = answered_by(mail, 0)
    held = answered_by(mail, 60)
    assert len(held) == WORKERS
    # each has some; that one gets none of 60 happens once in 3 * 10**10 times
    assert all(held[pid] > before[pid] for pid in held)


def test_told_to_stop_again_and_again(tmp_path: Path) -> None:
    """Ctrl-C comes to the whole group, and then a supervisor sends SIGTERM: while one worker has
    ended already, and the other has not."""
    (tmp_path / "users.txt").write_text("alice secret\n")
    for _ in range(5):
        server = Server("smtpmail", tmp_path, "--workers", "4")
        with Raw(server.port) as raw:
            assert raw.line().startswith(b"220 ")  # it minds signals now
        while server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
        assert server.stop() == 0
        assert not any("Traceback" in line for line in server.log)


def test_each_has_a_core_where_there_are_as_many(tmp_path: Path) -> None:
    ours = sorted(os.sched_getaffinity(0))
    if not 1 < len(ours) <= 64:
        pytest.skip("one worker, or too many")
    (tmp_path / "users.txt").write_text("alice secret\n")
    server = Server("smtpmail", tmp_path, "--workers", str(len(ours)))

    def theirs() -> list[list[int]]:
        return sorted(sorted(os.sched_getaffinity(pid)) for pid in children(server, len(ours)))

    eventually(lambda: theirs() == [[core] for core in ours])
    server.stop()


def test_none_is_kept_from_a_core_that_has_no_worker(mail: Mail) -> None:
    ours = os.sched_getaffinity(0)
    if len(ours) != WORKERS:
        assert all(os.sched_getaffinity(pid) == ours for pid in children(mail.smtp))


def test_all_append_to_one_mailbox(mail: Mail) -> None:
    """Every message is there once, and whole; messages for two users too."""
    alice, bob = mail.new_user(), mail.new_user()
    both = [f"{alice}@mailserver", f"{bob}@mailserver"]

    def send(number: int) -> None:
        to = both if number % 3 == 0 else both[number % 2 :][:1]
        content = f"Subject: {number}\r\n\r\n" + "x" * (number * 37 % 5000) + "\r\n"
        with smtplib.SMTP("127.0.0.1", mail.smtp.port, timeout=SECONDS) as client:
            assert client.sendmail("sender@mailserver", to, content) == {}

    numbers = range(240)
    with ThreadPoolExecutor(12) as threads:
        list(threads.map(send, numbers))
    for place, user in enumerate((alice, bob)):
        found = sorted(
            int(message.split(b"\r\nSubject: ")[1].split(b"\r\n")[0])
            for message in mail.messages(user)
        )
        assert found == [n for n in numbers if n % 3 == 0 or n % 2 == place]


def test_guesses_are_counted_together(mail: Mail) -> None:
    """By all workers of both servers: ten, wherever they were made."""
    user = mail.new_user()
    right, wrong = (base64.b64encode(f"\0{user}\0{word}".encode()) for word in ("secret", "guess"))
    answers = []
    for number in range(24):
        if number % 3:
            with mail.raw_smtp(b"EHLO client") as raw:
                answers.append(raw.ask(b"AUTH PLAIN " + wrong)[:3])
        else:
            with mail.raw_pop3() as raw:
                answers.append(raw.ask(b"AUTH PLAIN " + wrong)[:12])
    looked_at = (b"535", b"-ERR [AUTH] ")
    assert [answer in looked_at for answer in answers] == [True] * 10 + [False] * 14
    with mail.raw_smtp(b"EHLO client") as raw:
        assert raw.ask(b"AUTH PLAIN " + right).startswith(b"454 ")


def from_elsewhere(server: Server, address: str) -> tuple[Raw, bytes]:
    """A connection of a client behind a proxy, and how it is greeted."""
    raw = Raw(server.port)
    raw.say(f"PROXY TCP4 {address} 198.51.100.1 56324 25\r\n".encode())
    return raw, raw.line()


def test_connections_of_an_address_are_counted_together(tmp_path: Path) -> None:
    (tmp_path / "users.txt").write_text("first secret\n")
    options = ("--workers", str(WORKERS), "--proxy", "127.0.0.1", "--connections-per-address", "7")
    server = Server("smtpmail", tmp_path, *options, "--connections-per-minute", "40")
    hurried = b"421 Too many new connections from your address; try again in a minute"
    with ExitStack() as inside:
        answers = []
        while hurried not in answers:
            raw, answer = from_elsewhere(server, "192.0.2.1")
            inside.callback(raw.close)
            answers.append(answer)
        assert answers[:7] == [b"220 mailserver Service Ready"] * 7
        crowded = {b"421 Too many connections from your address; try again later"}
        assert set(answers[7:-1]) == crowded
        assert 40 < len(answers) < 60  # time empties the bucket meanwhile
        raw, answer = from_elsewhere(server, "192.0.2.2")
        inside.callback(raw.close)
        assert answer == b"220 mailserver Service Ready"
    server.stop()


def test_messages_of_an_address_are_counted_together(tmp_path: Path) -> None:
    (tmp_path / "users.txt").write_text("first secret\n")
    options = ("--workers", str(WORKERS), "--proxy", "127.0.0.1")
    server = Server("smtpmail", tmp_path, *options, "--messages-per-minute", "8")
    answers = []
    for _ in range(24):
        with from_elsewhere(server, "192.0.2.1")[0] as raw:
            raw.ask(b"EHLO client")
            answers.append(raw.ask(b"MAIL FROM:<a@example.org>")[:3])
    assert answers.count(b"250") in (8, 9)  # time empties the bucket while this goes on
    assert answers[:8] == [b"250"] * 8
    server.stop()


def test_the_port_is_not_shared_with_another_server(mail: Mail, tmp_path: Path) -> None:
    second = subprocess.run(
        [sys.executable, SERVER / "smtpmail.py", str(mail.smtp.port), "--host", "127.0.0.1"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert second.returncode == os.EX_CONFIG
    assert "is in use by another program" in second.stderr


def test_they_stop_together(mail: Mail) -> None:
    workers = children(mail.smtp)
    with mail.raw_smtp(b"EHLO client") as raw:
        mail.smtp.process.send_signal(signal.SIGTERM)
        assert raw.reply().startswith(b"421 ")
    assert mail.smtp.process.wait(SECONDS) == 0
    assert len(workers) == WORKERS
    wait_until_gone(workers)


def test_when_one_ends_all_do(mail: Mail) -> None:
    workers = children(mail.smtp)
    os.kill(min(workers), signal.SIGKILL)
    assert mail.smtp.process.wait(SECONDS) != 0
    mail.smtp.wait_for("a worker process ended by itself")
    wait_until_gone(workers)


def test_they_end_when_the_first_process_is_killed(mail: Mail) -> None:
    workers = children(mail.smtp)
    mail.smtp.process.kill()
    mail.smtp.process.wait(SECONDS)
    wait_until_gone(workers)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", mail.smtp.port), SECONDS)


def wait_until_gone(pids: set[int]) -> None:
    """Each has ended, though it may wait to be reaped by whoever has become its parent."""

    def runs(pid: int) -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            # its first thread may have ended before the others, and they keep the sockets open
            return state not in "ZX" or len(os.listdir(f"/proc/{pid}/task")) > 1
        except FileNotFoundError:
            return False

    deadline = time.monotonic() + SECONDS
    while any(map(runs, pids)):
        assert time.monotonic() < deadline, f"{pids} run on"
        threading.Event().wait(0.01)

"""Mail from one real server to another, over real sockets."""

from __future__ import annotations

import contextlib
import email
import email.policy
import re
import signal
import smtplib
import socket
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from tests.sockets.conftest import SECONDS, Mail, Server, eventually

CONTENT = b"From: user1@a.test\r\nSubject: across\r\n\r\n.dots\r\nb\xc3\xbcro\r\n"
ASCII = CONTENT[:-9] + b"text\r\n"
FAST = ("--first-retry", "1", "--longest-retry", "1")


class Odd:
    """A server that goes by a script: each connection is led by the next function."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(SECONDS)
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread()

    def play(self, *scripts: Callable[[socket.socket], None]) -> None:
        """For the next connections."""
        self._faults: list[Exception] = []
        self._thread = threading.Thread(target=self._play, args=scripts)
        self._thread.start()

    def _play(self, *scripts: Callable[[socket.socket], None]) -> None:
        try:
            for script in scripts:
                connection, _ = self._listening.accept()
                with connection:
                    connection.settimeout(SECONDS)
                    script(connection)
        except Exception as fault:  # noqa: BLE001 # `played` shows it
            self._faults.append(fault)

    def played(self) -> None:
        """All scripts have been played, as they were written."""
        self._thread.join()
        assert self._faults == []

    def forget(self) -> None:
        """Who connected, and was not accepted yet, is gone."""
        self._listening.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listening.accept()[0].close()
        self._listening.settimeout(SECONDS)

    def close(self) -> None:
        self._listening.close()


class Two:
    """B takes the mail of b.test; A sends what is not its own there, or to an odd server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "a").mkdir()
        (folder / "b").mkdir()
        self.odd = Odd()
        self.b = Mail(folder / "b", "--domain", "b.test")
        routes = {"b.test": self.b.smtp.port, "odd.test": self.odd.port}
        text = " ".join(f"{domain}=127.0.0.1:{port}" for domain, port in routes.items())
        self.options = ("--domain", "a.test", "--routes", text, *FAST)
        self.a = Mail(folder / "a", *self.options)
        self.new_users()

    def new_users(self) -> None:
        self.alice = self.a.new_user()
        self.bob = self.b.new_user()

    def kill_a(self) -> None:
        """With SIGKILL; then it is there again, over the same data folder."""
        self.a.smtp.process.send_signal(signal.SIGKILL)
        self.a.smtp.process.wait()
        assert self.a.smtp.stop() == -signal.SIGKILL
        self.odd.forget()
        self.a._servers.remove(self.a.smtp)
        self.a.smtp = Server("smtpmail", self.folder / "a", *self.options)
        self.a._servers.append(self.a.smtp)

    def submit(self, *recipients: str, content: bytes = CONTENT, options: str = "") -> None:
        """As alice, logged in."""
        with smtplib.SMTP("127.0.0.1", self.a.smtp.port, timeout=SECONDS) as client:
            client.login(self.alice, "secret")
            said = ["BODY=8BITMIME", *options.split()]
            assert client.sendmail(f"{self.alice}@a.test", recipients, content, said) == {}

    def queued(self) -> list[Path]:
        return list((self.folder / "a/.mailserver/queue/messages").iterdir())

    def messages(self, mail: Mail, user: str) -> list[bytes]:
        """When the queue is empty."""
        eventually(lambda: not self.queued())
        return mail.messages(user)

    def stop(self) -> None:
        self.a.stop()
        self.b.stop()
        self.odd.close()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    made = Two(tmp_path_factory.mktemp("two"))
    yield made
    made.stop()


@pytest.fixture
def two(both: Two) -> Two:
    both.new_users()
    return both


def test_a_message_crosses_and_stays_what_it_was(two: Two) -> None:
    two.submit(f"{two.bob}@b.test", f"{two.alice}@a.test")
    (there,) = two.messages(two.b, two.bob)
    (here,) = two.messages(two.a, two.alice)
    assert there.endswith(b"\r\n.dots\r\nb\xc3\xbcro\r\n")
    assert there.startswith(b"Return-Path: <%s@a.test>\r\nReceived: " % two.alice.encode())
    assert there.count(b"Return-Path:") == 1
    traces = re.findall(rb"^Received: (from .*\r\n\t.*)\r\n", there, re.M)
    assert len(traces) == 2
    assert b"with ESMTPS id" in traces[0]  # B's own certificate proves nothing, and encrypts
    assert b"with ESMTPA id" in traces[1]
    assert b"for <%s@b.test>" % two.bob.encode() in traces[1]
    assert here.count(b"Received: from") == 1
    for message in (there, here):
        assert message.count(b'\r\nReceived: "') == 1  # the stored stamp, at final delivery only


def test_nobody_relays_without_a_login(two: Two) -> None:
    with two.a.raw_smtp(b"EHLO c", b"MAIL FROM:<x@elsewhere.test>") as raw:
        for address in (b"bob@b.test", b"bob%b.test@c.test", b"@a.test:bob@b.test"):
            assert raw.ask(b"RCPT TO:<%s>" % address).startswith(b"550 5.7.1 Relaying")
        assert raw.ask(b"RCPT TO:<bob%b.test@a.test>").startswith(b"550 5.1.1")
        assert raw.ask(b'RCPT TO:<"bob@b.test"@a.test>').startswith(b"550 5.1.1")
        assert raw.ask(b"RCPT TO:<b.test!bob@a.test>").startswith(b"550 5.1.1")


def report_in(octets: bytes) -> tuple[EmailMessage, list[EmailMessage], EmailMessage]:
    """A report's header, its fields (of the message, then of each recipient), what came back."""
    report = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(report, EmailMessage)
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    text, status, original = report.get_payload()
    assert text.get_content_type() == "text/plain"
    assert status.get_content_type() == "message/delivery-status"
    return report, status.get_payload(), original


def test_what_cannot_be_delivered_goes_back(two: Two) -> None:
    two.submit("nobody@b.test", f"{two.bob}@b.test")
    (octets,) = two.messages(two.a, two.alice)
    assert octets.startswith(b"Return-Path: <>\r\n")
    report, (of_message, of_recipient), original = report_in(octets)
    assert report["To"] == f"{two.alice}@a.test"
    assert of_message["Reporting-MTA"] == "dns; mailserver"
    assert of_recipient["Final-Recipient"] == "rfc822; nobody@b.test"
    assert of_recipient["Action"] == "failed"
    assert of_recipient["Status"] == "5.1.1"
    assert "550 5.1.1 No such user" in of_recipient["Diagnostic-Code"]
    assert original.get_content_type() == "text/rfc822-headers"
    assert "Subject: across" in original.get_content()
    assert len(two.messages(two.b, two.bob)) == 1


def test_a_whole_message_goes_back_where_that_was_asked(two: Two) -> None:
    two.submit("nobody@b.test", options="RET=FULL ENVID=id+2B1")
    (octets,) = two.messages(two.a, two.alice)
    _, (of_message, _), original = report_in(octets)
    assert of_message["Original-Envelope-Id"] == "id+2B1"
    assert original.get_content_type() == "message/rfc822"
    assert b"\r\n.dots\r\nb\xc3\xbcro\r\n" in octets


def test_a_message_without_a_sender_never_goes_back(two: Two) -> None:
    with smtplib.SMTP("127.0.0.1", two.a.smtp.port, timeout=SECONDS) as client:
        client.login(two.alice, "secret")
        client.sendmail("", ["nobody@b.test"], CONTENT)
    assert two.messages(two.a, two.alice) == []


def talk(connection: socket.socket, *replies: bytes) -> None:
    """Without PIPELINING: a reply to each line, the greeting first."""
    with connection.makefile("rb") as lines:
        for reply in replies:
            connection.sendall(reply + b"\r\n")
            line = lines.readline()
            if reply.startswith(b"354"):
                while line not in (b".\r\n", b""):
                    line = lines.readline()


GOOD = (b"220 hi", b"250 hi", b"250 sender", b"250 recipient", b"354 go")


def takes_it(connection: socket.socket) -> None:
    talk(connection, *GOOD, b"250 taken", b"221 bye")


@pytest.mark.parametrize("replies", [(*GOOD[:3], b"450 greylisted", b"250 reset"), GOOD])
def test_what_may_pass_is_tried_again(two: Two, replies: tuple[bytes, ...]) -> None:
    name = f"{two.bob}@odd.test"
    two.odd.play(lambda connection: talk(connection, *replies), takes_it)
    two.submit(name, content=ASCII)
    two.odd.played()
    assert two.messages(two.a, two.alice) == []
    two.a.smtp.wait_for(rf"to=<{name}> temporary: ")
    two.a.smtp.wait_for(rf"to=<{name}> delivered: 127\.0\.0\.1 said 250 taken")


STEPS = range(len(GOOD) + 1)
"""Greeting, EHLO, MAIL, RCPT, DATA, the final dot."""


def refuses(connection: socket.socket, step: int, reply: bytes) -> None:
    """All goes well up to this step; RSET and QUIT may follow."""
    talk(connection, *GOOD[:step], reply)
    with contextlib.suppress(ConnectionError):
        talk(connection, b"250 reset", b"221 bye")


@pytest.mark.parametrize("step", STEPS)
def test_a_4xx_at_each_step_is_tried_again(two: Two, step: int) -> None:
    name = f"{two.bob}@odd.test"
    two.odd.play(lambda connection: refuses(connection, step, b"452 4.3.1 full"), takes_it)
    two.submit(name, content=ASCII)
    two.odd.played()
    assert two.messages(two.a, two.alice) == []
    two.a.smtp.wait_for(rf"to=<{name}> temporary: 127\.0\.0\.1 said 452 4\.3\.1 full")
    two.a.smtp.wait_for(rf"to=<{name}> delivered")


@pytest.mark.parametrize("step", [step for step in STEPS if step != 1])
def test_a_5xx_at_each_step_goes_back(two: Two, step: int) -> None:
    """Behind one to EHLO comes HELO."""
    name = f"{two.bob}@odd.test"
    two.odd.play(lambda connection: refuses(connection, step, b"554 5.7.1 not from you"))
    two.submit(name, content=ASCII)
    two.odd.played()
    (octets,) = two.messages(two.a, two.alice)
    _, (_, of_recipient), _ = report_in(octets)
    assert of_recipient["Final-Recipient"] == f"rfc822; {name}"
    assert of_recipient["Status"] == "5.7.1"
    assert "554 5.7.1 not from you" in of_recipient["Diagnostic-Code"]


def test_a_slow_server_gets_its_mail_and_holds_up_nobody(two: Two) -> None:
    """It takes its time for each reply, and meanwhile mail for others goes out."""
    went, name = threading.Event(), f"{two.bob}@odd.test"

    def slow(connection: socket.socket) -> None:
        connection.sendall(b"220-wait")
        assert went.wait(SECONDS)
        connection.sendall(b"\r\n")
        takes_it(connection)

    two.odd.play(slow)
    two.submit(name, content=ASCII)
    two.submit(f"{two.bob}@b.test")
    eventually(lambda: len(two.b.messages(two.bob)) == 1)
    went.set()
    two.odd.played()
    two.a.smtp.wait_for(rf"to=<{name}> delivered")


def test_a_killed_server_forgets_nothing(two: Two) -> None:
    names = [f"{two.bob}.{number}@odd.test" for number in range(5)]
    two.odd.play(lambda connection: talk(connection, b"421 busy"))
    for name in names:
        two.submit(name, f"{two.bob}@b.test", content=ASCII)
    two.odd.played()
    two.kill_a()
    two.odd.play(*[takes_it] * 5)
    assert len(two.messages(two.b, two.bob)) >= 5
    two.odd.played()
    for name in names:
        two.a.smtp.wait_for(rf"to=<{name}> delivered")

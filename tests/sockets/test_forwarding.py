"""Mail that is forwarded from server to server, and what comes back, over real sockets."""

from __future__ import annotations

import re
import smtplib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sockets.conftest import SECONDS, Mail, eventually
from tests.sockets.test_relay import FAST, report_in

from mailserver.delivery.accept import FORWARDS_LIMIT

CONTENT = b"From: carol@c.test\r\nSubject: forwarded\r\n\r\ntext\r\n"
ALIASES = {
    "a": "one=first@b.test gone=nobody@b.test far=late@b.test ping=pong@b.test "
    "team=first@b.test,nobody@b.test owner-team=first",
    "b": "late=nobody@c.test pong=ping@a.test",
    "c": "",
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


class Three:
    """A and B forward; carol is at C, bob at B."""

    def __init__(self, folder: Path) -> None:
        ports = {name: free_port() for name in "abc"}
        routes = " ".join(f"{name}.test=127.0.0.1:{port}" for name, port in ports.items())
        self.mails: dict[str, Mail] = {}
        for name, port in ports.items():
            (folder / name).mkdir()
            self.mails[name] = Mail(
                folder / name,
                *("--routes", routes, "--aliases", ALIASES[name], *FAST),
                domain=f"{name}.test",
                smtp_port=port,
            )
        self.folder = folder
        self.a, self.b, self.c = self.mails.values()
        self.bob, self.carol = "first", ""

    def send(self, to: str) -> None:
        """As carol, from her server."""
        with smtplib.SMTP("127.0.0.1", self.c.smtp.port, timeout=SECONDS) as client:
            client.login(self.carol, "secret")
            client.sendmail(f"{self.carol}@c.test", [to], CONTENT)

    def one_message(self, mail: Mail, user: str) -> bytes:
        """It comes, and it is the only one."""
        eventually(lambda: len(mail.messages(user)) > 0)
        for name in "abc":
            queue = self.folder / name / ".mailserver/queue/messages"
            eventually(lambda queue=queue: not list(queue.iterdir()))  # type: ignore[misc]
        (message,) = mail.messages(user)
        return message

    def stop(self) -> None:
        for mail in self.mails.values():
            mail.stop()


@pytest.fixture(scope="module")
def all_three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    made = Three(tmp_path_factory.mktemp("three"))
    yield made
    made.stop()


@pytest.fixture
def three(all_three: Three) -> Three:
    all_three.carol = all_three.c.new_user()
    return all_three


def test_forwarded_from_an_address_that_leads_back(three: Three) -> None:
    three.send("one@a.test")
    message = three.one_message(three.b, three.bob)
    sender = re.match(rb"Return-Path: <(.*)>\r\n", message)
    assert sender is not None
    assert re.fullmatch(
        rb"SRS0=[A-Z2-7]{6}=[A-Z2-7]{2}=c\.test=%s@a\.test" % three.carol.encode(), sender[1]
    )
    assert message.count(b"Delivered-To: one@a.test\r\n") == 1
    assert message.endswith(b"\r\n\r\ntext\r\n")


@pytest.mark.parametrize(
    ("alias", "lost", "status"),
    [
        ("gone", "nobody@b.test", "5.1.1"),  # A tells: B has no such user
        ("far", "nobody@c.test", "5.1.1"),  # B tells A's address, and A passes it on
        ("ping", "ping@a.test", "5.4.6"),  # A and B forward to each other
    ],
)
def test_the_sender_hears_of_trouble_behind_an_alias(
    three: Three, alias: str, lost: str, status: str
) -> None:
    three.send(f"{alias}@a.test")
    message = three.one_message(three.c, three.carol)
    assert message.startswith(b"Return-Path: <>\r\n")
    _, (_, of_recipient), original = report_in(message)
    assert of_recipient["Final-Recipient"] == f"rfc822; {lost}"
    assert of_recipient["Status"] == status
    assert "Subject: forwarded" in original.get_content()


def test_the_owner_hears_of_trouble_behind_a_list(three: Three) -> None:
    """RFC 5321 3.9.2; and the members learn who it is."""
    bob = len(three.b.messages(three.bob))
    three.send("team@a.test")
    eventually(lambda: len(three.b.messages(three.bob)) > bob)
    assert three.b.messages(three.bob)[-1].startswith(b"Return-Path: <owner-team@a.test>\r\n")
    _, (_, of_recipient), _ = report_in(three.one_message(three.a, "first"))
    assert of_recipient["Final-Recipient"] == "rfc822; nobody@b.test"
    assert three.c.messages(three.carol) == []


def test_nobody_relays_by_the_way_back(three: Three) -> None:
    """Security row 48."""
    three.send("one@a.test")
    before = rb"Return-Path: <(SRS0=.*=%s@a.test)>" % three.carol.encode()

    def ways() -> list[bytes]:
        return re.findall(before, b"".join(three.b.messages(three.bob)))

    eventually(lambda: len(ways()) == 1)
    (way,) = ways()
    forged = way.replace(b"c.test", b"d.test")
    with three.a.raw_smtp(b"EHLO x", b"MAIL FROM:<dave@d.test>") as raw:
        assert raw.ask(b"RCPT TO:<%s>" % way).startswith(b"550 5.1.1")
    with three.a.raw_smtp(b"EHLO x", b"MAIL FROM:<>") as raw:
        assert raw.ask(b"RCPT TO:<%s>" % forged).startswith(b"550 5.1.1")
        assert raw.ask(b"RCPT TO:<%s>" % way).startswith(b"250")


def test_so_many_ways_out_of_a_message_and_no_more(all_three: Three) -> None:
    """Security row 50, also where a name is given again and again; the next message has its own."""
    with smtplib.SMTP("127.0.0.1", all_three.a.smtp.port, timeout=SECONDS) as client:
        client.ehlo()
        for _ in range(2):
            assert client.mail("carol@c.test")[0] == 250
            codes = [client.rcpt("one@a.test")[0] for _ in range(FORWARDS_LIMIT + 2)]
            assert codes == [250] * FORWARDS_LIMIT + [452] * 2
            assert client.rcpt("first@a.test")[0] == 250
            client.rset()

"""Whom smtpmail lets in: block lists by a real DNS server, greylisting over a restart."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.sockets.conftest import Mail, Raw, Server, eventually
from tests.unit.server.relay.dns_server import DnsServer

LISTED, OTHER, PRIVATE = b"5.6.7.8", b"5.6.7.9", b"10.0.0.1"
ZONE = {
    "2.0.0.127.bl.test": [("A", "127.0.0.2")],
    "8.7.6.5.bl.test": [("A", "127.0.0.2"), ("TXT", '"Spam, see " "bl.test/5.6.7.8"')],
}


@contextmanager
def client(port: int, address: bytes, sender: bytes = b"bob@b.test") -> Iterator[Raw]:
    """In a transaction, as if from this address."""
    with Raw(port) as raw:
        raw.say(b"PROXY TCP4 %s 127.0.0.1 40000 25\r\n" % address)
        assert raw.reply().startswith(b"220 ")
        assert raw.ask(b"EHLO client").startswith(b"250 ")
        assert raw.ask(b"MAIL FROM:<%s>" % sender).startswith(b"250 ")
        yield raw


@pytest.fixture(scope="module")
def dns() -> Iterator[DnsServer]:
    server = DnsServer(ZONE)
    yield server
    server.close()


@pytest.fixture(scope="module")
def mail(dns: DnsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mail]:
    options = ("--proxy", "127.0.0.1", "--nameserver", f"127.0.0.1#{dns.port}")
    lists = ("--block-list", "gone.test", "--block-list", "bl.test", "--clear-passwords", "always")
    one = Mail(tmp_path_factory.mktemp("data"), *options, *lists)
    yield one
    one.stop()


def test_who_is_listed_gets_the_words_of_the_list(mail: Mail) -> None:
    with client(mail.smtp.port, LISTED) as raw:
        assert raw.ask(b"RCPT TO:<first@mailserver>") == (
            b"550 5.7.1 Your address is on a block list: bl.test: Spam, see bl.test/5.6.7.8"
        )
        assert raw.ask(b"RCPT TO:<postmaster@mailserver>").startswith(b"250 ")
    mail.smtp.wait_for(r"refused 5\.6\.7\.8: listed by bl\.test: Spam")


def test_all_others_come_in(mail: Mail, dns: DnsServer) -> None:
    with client(mail.smtp.port, OTHER) as raw:
        assert raw.ask(b"RCPT TO:<first@mailserver>").startswith(b"250 ")
    with client(mail.smtp.port, PRIVATE) as raw:
        assert raw.ask(b"RCPT TO:<first@mailserver>").startswith(b"250 ")
    with client(mail.smtp.port, LISTED) as raw:
        assert raw.ask(b"RSET").startswith(b"250 ")
        login = base64.b64encode(b"\0first\0secret")
        assert raw.ask(b"AUTH PLAIN " + login).startswith(b"235 ")
        assert raw.ask(b"MAIL FROM:<first@mailserver>").startswith(b"250 ")
        assert raw.ask(b"RCPT TO:<first@mailserver>").startswith(b"250 ")
    assert dns.asked["9.7.6.5.bl.test", "A"] == 1
    assert not any(name.startswith("1.0.0.10.") for name, _ in dns.asked)


def test_a_silent_list_holds_up_its_client_alone_and_not_for_long(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        nameserver = f"127.0.0.1#{nobody.getsockname()[1]}"
        options = ("--proxy", "127.0.0.1", "--nameserver", nameserver)
        silent = ("--block-list", "bl.test", "--sender-check-timeout", "2")
        mail = Mail(tmp_path, *options, *silent)
        try:
            with client(mail.smtp.port, LISTED) as raw:
                raw.say(b"RCPT TO:<first@mailserver>\r\n")
                nobody.recv(4096)  # it is asked
                with client(mail.smtp.port, PRIVATE) as other:
                    assert other.ask(b"RCPT TO:<first@mailserver>").startswith(b"250 ")
                raw.socket.setblocking(False)
                with pytest.raises(BlockingIOError):
                    raw.socket.recv(1)
                raw.socket.setblocking(True)
                assert raw.reply().startswith(b"250 ")
            mail.smtp.wait_for("block list bl.test does not answer")
        finally:
            mail.stop()


def test_greylisting_is_known_to_all_workers_and_after_a_restart(tmp_path: Path) -> None:
    (tmp_path / "users.txt").write_text("first secret\n")
    options = ("--proxy", "127.0.0.1", "--greylist-delay", "1", "--workers", "3")

    def tried(server: Server, address: bytes, sender: bytes) -> bytes:
        with client(server.port, address, sender) as raw:
            return raw.ask(b"RCPT TO:<first@mailserver>")

    server = Server("smtpmail", tmp_path, *options)
    try:
        assert tried(server, OTHER, b"bob@b.test") == (
            b"451 4.7.1 Greylisting, your server is not known here yet: try again in 1 seconds"
        )
        server.stop()
        server = Server("smtpmail", tmp_path, *options)
        eventually(lambda: tried(server, OTHER, b"bob@b.test").startswith(b"250 "))
        for number in range(9):  # to whichever worker
            assert tried(server, LISTED, b"%d@b.test" % number).startswith(b"250 ")  # one network
        assert tried(server, OTHER, b"eve@c.test").startswith(b"451 ")
        assert tried(server, PRIVATE, b"bob@b.test").startswith(b"451 ")
    finally:
        server.stop()

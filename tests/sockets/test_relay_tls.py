"""Mail from one real server to another inside TLS, with a certificate that proves something."""

from __future__ import annotations

import hashlib
import smtplib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.certificates import Authority, public_key
from tests.sockets.conftest import SECONDS, Mail, eventually
from tests.unit.server.relay.dns_server import DnsServer

CONTENT = b"Subject: across\r\n\r\ntext\r\n"


class Verified:
    """A sends everything by B, as a user of B, and checks who B is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in "ab":
            (folder / name).mkdir()
        authority = Authority()
        (folder / "ca.pem").write_bytes(authority.pem)
        authority.issue("127.0.0.1").write(folder / "server.pem")
        self.clear = socket.create_server(("127.0.0.1", 0))
        self.b = Mail(
            folder / "b", "--domain", "b.test", "--certificate", str(folder / "server.pem")
        )
        self.bob = self.b.new_user()
        clear = self.clear.getsockname()[1]
        self.a = Mail(
            folder / "a",
            *("--domain", "a.test", "--relay-tls", "verified", "--first-retry", "1"),
            *("--relay-roots", str(folder / "ca.pem")),
            *("--routes", f"*=127.0.0.1:{self.b.smtp.port} clear.test=127.0.0.1:{clear}"),
            *("--smarthost-user", self.bob, "--smarthost-password", "secret"),
        )
        self.alice = self.a.new_user()

    def submit(self, recipient: str, *options: str, sender: str = "") -> None:
        """As alice, inside TLS."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", self.a.smtp.port, timeout=SECONDS) as client:
            client.starttls(context=context)
            client.login(self.alice, "secret")
            client.sendmail(sender, [recipient], CONTENT, options)

    def queued(self) -> list[Path]:
        return list((self.folder / "a/.mailserver/queue/messages").iterdir())

    def stop(self) -> None:
        self.a.stop()
        self.b.stop()
        self.clear.close()


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verified]:
    made = Verified(tmp_path_factory.mktemp("verified"))
    yield made
    made.stop()


def test_by_a_smarthost_that_has_shown_who_it_is(verified: Verified) -> None:
    """And REQUIRETLS (RFC 8689) goes along."""
    verified.submit(f"{verified.bob}@b.test", "REQUIRETLS")
    eventually(lambda: not verified.queued())
    (message,) = verified.b.messages(verified.bob)
    assert b"with ESMTPSA id" in message  # B has seen the login
    assert verified.a.messages(verified.alice) == []


def play(listening: socket.socket, *replies: bytes) -> list[bytes]:
    """What a client says to these replies, the greeting first."""
    connection, _ = listening.accept()
    with connection, connection.makefile("rb") as lines:
        connection.settimeout(SECONDS)
        said = []
        for reply in replies:
            connection.sendall(reply + b"\r\n")
            said.append(lines.readline().strip())
        return said


def test_nothing_goes_in_the_clear_where_tls_is_asked_for(verified: Verified) -> None:
    verified.clear.settimeout(SECONDS)
    verified.submit("carol@clear.test")
    said = play(verified.clear, b"220 hi", b"250 hi")
    assert said == [b"EHLO mailserver", b""]
    verified.a.smtp.wait_for(r"to=<carol@clear.test> temporary: 127.0.0.1 has not shown by TLS")
    (left,) = verified.queued()
    (verified.folder / f"a/.mailserver/queue/orders/delete-{left.name}").touch()
    eventually(lambda: not verified.queued())


def test_a_certificate_that_the_dns_has(tmp_path: Path) -> None:
    """DANE from one real server to another: it waits while the record is of another key."""
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    issued = Authority().issue("mx.b.test")
    certificate = str(issued.write(tmp_path / "server.pem"))
    there = Mail(b, "--domain", "b.test", "--certificate", certificate)
    record = f"_{there.smtp.port}._tcp.mx.b.test"
    other = [("TLSA", f"3 1 1 {'00' * 32}")]
    dns = DnsServer({"mx.b.test": [("A", "127.0.0.1")], record: other}, ttl=0)
    here = Mail(
        a,
        *("--domain", "a.test", "--first-retry", "1", "--longest-retry", "1"),
        *("--nameserver", f"127.0.0.1#{dns.port}", "--dnssec", "true"),
        *("--routes", f"b.test=mx.b.test:{there.smtp.port}"),
    )
    alice, bob = here.new_user(), there.new_user()
    with smtplib.SMTP("127.0.0.1", here.smtp.port, timeout=SECONDS) as client:
        client.login(alice, "secret")
        client.sendmail(f"{alice}@a.test", [f"{bob}@b.test"], CONTENT)
    here.smtp.wait_for(r"temporary: mx.b.test has not shown by TLS who it is, for which DANE asks")
    assert there.messages(bob) == []
    digest = hashlib.sha256(public_key(issued.certificate)).hexdigest()
    dns.zone[record] = [("TLSA", f"3 1 1 {digest}")]
    here.smtp.wait_for(rf"to=<{bob}@b.test> delivered")
    assert b"with ESMTPS id" in there.messages(bob)[0]
    here.stop()
    there.stop()
    dns.close()

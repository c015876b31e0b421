"""Mail from one real server to another inside TLS, with a certificate that proves something."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.sockets.conftest import SECONDS, Mail, eventually

CONTENT = b"Subject: across\r\n\r\ntext\r\n"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make_certificates(folder: Path) -> None:
    """ca.pem, and server.pem (with its key) for 127.0.0.1 that leads to it."""
    now = datetime.now(UTC)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    basic = (
        x509.CertificateBuilder()
        .issuer_name(_name("test root"))
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )
    ca_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    others = "digital_signature content_commitment key_encipherment data_encipherment"
    others += " key_agreement encipher_only decipher_only crl_sign"
    usage = dict.fromkeys(others.split(" "), False)
    ca = (
        basic.subject_name(_name("test root"))
        .public_key(ca_key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, **usage), critical=True)
        .add_extension(ca_id, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    leaf = (
        basic.subject_name(_name("b.test"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(names, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(leaf.public_bytes(pem) + private)


class Verified:
    """A sends everything by B, as a user of B, and checks who B is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in "ab":
            (folder / name).mkdir()
        make_certificates(folder)
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

"""What comes through a published port comes from the gateway of the container's network, a private
address, whoever sent it: it is a stranger like any other."""

from __future__ import annotations

import contextlib
import poplib
import smtplib
import ssl
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import docker

    from .conftest import MailSystem

SECONDS = 30


def context_of(mail_system: MailSystem) -> ssl.SSLContext:
    """Trusts the certificate that MailServer made for itself, which is for localhost too."""
    return ssl.create_default_context(cafile=str(mail_system.certificate))


def test_each_port_serves_what_it_is_for(mail_system: MailSystem) -> None:
    context = context_of(mail_system)
    with smtplib.SMTP("localhost", mail_system.published(587), timeout=SECONDS) as client:
        client.ehlo()
        assert client.mail("alice@mailserver")[0] == 530
        client.starttls(context=context)
        client.login("alice", "wonderland")
        client.sendmail("alice@mailserver", ["bob@mailserver"], "Subject: 587\r\n\r\n")
    inside_tls = mail_system.published(465)
    with smtplib.SMTP_SSL("localhost", inside_tls, context=context, timeout=SECONDS) as client:
        client.ehlo()
        assert client.mail("alice@mailserver")[0] == 530
        client.login("alice", "wonderland")
        client.sendmail("alice@mailserver", ["bob@mailserver"], "Subject: 465\r\n\r\n")
    maildrop = poplib.POP3_SSL(
        "localhost", mail_system.published(995), context=context, timeout=SECONDS
    )
    maildrop.user("bob")
    maildrop.pass_("builder")
    for number, port in ((1, b"587"), (2, b"465")):
        assert b"Subject: " + port in maildrop.retr(number)[1]
    maildrop.quit()


@pytest.mark.parametrize(
    ("recipient", "refusal"),
    [
        ("bob@elsewhere.example", b"5.7.1 Relaying is not allowed"),
        ("bob@[192.0.2.1]", b"5.7.1 Relaying is not allowed"),
        ("@mailserver:bob@elsewhere.example", b"5.7.1 Relaying is not allowed"),
        ("bob%elsewhere.example@mailserver", b"5.1.1 No such user"),
        ('"bob@elsewhere.example"@mailserver', b"5.1.1 No such user"),
        ("elsewhere.example!bob@mailserver", b"5.1.1 No such user"),
    ],
)
def test_the_gateway_cannot_relay(
    recipient: str, refusal: bytes, shared_system: MailSystem
) -> None:
    for sender in ("alice@mailserver", "alice@elsewhere.example", ""):
        with shared_system.smtp() as client:
            client.ehlo()
            assert client.docmd(f"MAIL FROM:<{sender}>")[0] == 250
            code, text = client.docmd(f"RCPT TO:<{recipient}>")
            assert code == 550
            assert text.startswith(refusal)


def test_mail_from_the_gateway_is_marked_with_its_address(
    shared_system: MailSystem, engine: docker.DockerClient
) -> None:
    """Not with a name, nor as from this machine."""
    network = engine.networks.get(f"{shared_system.project}_mail")
    gateway = network.attrs["IPAM"]["Config"][0]["Gateway"]
    with shared_system.smtp() as client:
        client.ehlo("localhost")
        client.sendmail("alice@mailserver", ["carol@mailserver"], "Subject: x\r\n\r\n")
    session = shared_system.pop3("carol", "choir")
    content = b"\n".join(session.retr(1)[1])
    session.quit()
    assert (
        f"Received: from localhost ([{gateway}]) by mailserver with ESMTP id ".encode() in content
    )


def test_the_gateway_is_not_this_machine(mail_system: MailSystem) -> None:
    """Limits hold for it, and a password in clear is not taken where only this machine's is."""
    settings = 'messages_per_minute = 2\nclear_passwords = "own"\n'
    mail_system.exec("bash", "-c", f"echo '{settings}' > mailserver.toml")
    mail_system.restart()
    with mail_system.smtp() as client:
        client.ehlo()
        assert client.esmtp_features["auth"].split() == ["SCRAM-SHA-256"]
        assert client.docmd("AUTH", "PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=")[0] == 538
        for _ in range(2):
            client.sendmail("alice@mailserver", ["bob@mailserver"], "Subject: x\r\n\r\n")
        assert client.mail("alice@mailserver")[0] == 450
    maildrop = poplib.POP3("localhost", mail_system.pop3_port, timeout=SECONDS)
    with contextlib.closing(maildrop), pytest.raises(poplib.error_proto, match="STLS"):
        maildrop.user("bob")
    mail_system.exec("python3", "-c", _FROM_INSIDE)


_FROM_INSIDE = """
import smtplib
with smtplib.SMTP("127.0.0.1", 25) as client:
    client.login("alice", "wonderland")
    for _ in range(5):
        client.sendmail("alice@mailserver", ["bob@mailserver"], "Subject: x\\r\\n\\r\\n")
"""

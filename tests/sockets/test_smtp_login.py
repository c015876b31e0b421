"""TLS and AUTH with clients that others wrote, over real sockets."""

from __future__ import annotations

import base64
import re
import smtplib
import ssl
from pathlib import Path

import pytest
from tests.sockets.conftest import SECONDS, Mail

from mailapp.sasl import ScramSha256
from mailserver.smtp.replies import BEHIND_STARTTLS


def context_of(mail: Mail) -> ssl.SSLContext:
    """Trusts the certificate that the server made for itself."""
    return ssl.create_default_context(cafile=str(mail.data / ".mailserver/tls/certificate.pem"))


@pytest.fixture
def client(mail: Mail) -> smtplib.SMTP:
    """Behind STARTTLS."""
    client = smtplib.SMTP("127.0.0.1", mail.smtp.port, "client", SECONDS)
    client._host = "mailserver"  # type: ignore[attr-defined] # the name in the certificate
    client.starttls(context=context_of(mail))
    return client


def test_starttls_then_login_then_a_message(mail: Mail, client: smtplib.SMTP) -> None:
    user = mail.new_user()
    with client:
        assert client.login(user, "secret")[0] == 235
        assert "starttls" not in client.esmtp_features
        assert "requiretls" in client.esmtp_features
        assert "SCRAM-SHA-256-PLUS" in client.esmtp_features["auth"]
        with pytest.raises(smtplib.SMTPSenderRefused) as caught:
            client.sendmail("first@mailserver", [f"{user}@mailserver"], "Subject: x\r\n")
        assert caught.value.smtp_code == 553
        client.sendmail(f"{user}@mailserver", [f"{user}@mailserver"], "Subject: x\r\n")
    pop3 = mail.login(user)
    header = b"\n".join(pop3.top(1, 0)[1])
    pop3.quit()
    assert b" with ESMTPSA id " in header
    assert b"\nDate: " in header
    assert b"\nMessage-ID: <" in header


def test_nothing_said_in_the_clear_counts_behind_starttls(client: smtplib.SMTP) -> None:
    """RFC 3207 4.2: EHLO again, or 503."""
    with client:
        assert client.docmd("MAIL FROM:<>")[0] == 503


def test_commands_that_come_with_starttls_are_refused(mail: Mail) -> None:
    """CVE-2011-0411."""
    with mail.raw_smtp(b"EHLO c") as raw:
        raw.say(b"STARTTLS\r\nRSET\r\n")
        assert raw.to_end() == BEHIND_STARTTLS.encode(extended=True)


def test_scram(mail: Mail) -> None:
    """Against the client's own side of it; both show that they know the password."""
    user = mail.new_user()
    mechanism = ScramSha256(user, "secret", "rOprNGfwEbeRWgbNEkqO")
    with smtplib.SMTP("127.0.0.1", mail.smtp.port, "client", SECONDS) as client:
        client.ehlo()
        first = base64.b64encode(mechanism.first()).decode()
        code, said = client.docmd("AUTH", f"SCRAM-SHA-256 {first}")
        while code == 334:
            answer = mechanism.next(base64.b64decode(said))
            code, said = client.docmd(base64.b64encode(answer).decode())
        assert code == 235
        mechanism.accepted()


def test_octets_in_chunks(mail: Mail) -> None:
    """RFC 3030: a message in pieces of all sizes comes back whole."""
    user = mail.new_user()
    content = b"Subject: x\r\n\r\n" + b".\r\n..\r\nFrom here\r\n" * 20_000
    path = f"{user}@mailserver".encode()
    with mail.raw_smtp(b"EHLO c", b"MAIL FROM:<>", b"RCPT TO:<" + path + b">") as raw:
        for start, end in ((0, 1), (1, 15), (15, 100_001), (100_001, len(content))):
            raw.say(b"BDAT %d\r\n" % (end - start) + content[start:end])
            assert raw.reply() == b"250 2.0.0 OK chunk received"
        assert raw.ask(b"BDAT 0 LAST").startswith(b"250 2.0.0 OK message stored")
    pop3 = mail.login(user)
    stored = b"\r\n".join(pop3.retr(1)[1]) + b"\r\n"
    pop3.quit()
    assert stored.endswith(content[12:])


def test_no_secret_is_logged(mail: Mail) -> None:
    """Security row 70: right or wrong, whole or broken, in either protocol."""
    user = mail.new_user().encode()
    plain = base64.b64encode(b"\0" + user + b"\0tiny-secret")
    with mail.raw_smtp(b"EHLO c") as smtp, mail.raw_pop3() as pop3:
        for said in (
            b"AUTH PLAIN " + plain,
            b"AUTH PLAIN " + plain + b"!",
            plain,
            b"PASS tiny-secret",
        ):
            smtp.ask(said)
        smtp.ask(b"AUTH LOGIN")
        smtp.ask(base64.b64encode(user))
        assert smtp.ask(base64.b64encode(b"tiny-secret")).startswith(b"535 ")
        for said in (
            b"PASS tiny-secret",
            b"USER " + user,
            b"PASS tiny-secret",
            b"AUTH PLAIN " + plain,
        ):
            pop3.ask(said)
        pop3.ask(b"APOP " + user + b" tiny-secret")
    mail.send(user.decode(), b"Subject: tiny-secret\r\n\r\ntiny-secret\r\n")
    mail.smtp.wait_for("message .* from=<sender@mailserver> .*ACCEPTED")
    for line in mail.smtp.log + mail.pop3.log:
        assert "tiny-secret" not in line
        assert plain.decode() not in line
        assert base64.b64encode(b"tiny-secret").decode() not in line


def test_no_core_file_with_passwords_in_it(mail: Mail) -> None:
    for server in (mail.smtp, mail.pop3):
        limits = Path(f"/proc/{server.process.pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)

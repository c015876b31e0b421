"""The ports where users hand in mail, with the standard library's clients."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sockets.conftest import SECONDS, Mail


class Submission:
    """A server with all three ports."""

    def __init__(self, data: Path) -> None:
        self.mail = Mail(data, "--submission-port", "0", "--submissions-port", "0")
        self.user = self.mail.new_user()
        self._certificate = data / ".mailserver/tls/certificate.pem"
        port = r"listening on 127\.0\.0\.1:(\d+) for submission"
        self._clear = int(self.mail.smtp.wait_for(port + ",")[1])
        self._inside_tls = int(self.mail.smtp.wait_for(port + " inside TLS,")[1])

    def connect(self, manner: str, *protocols: str) -> smtplib.SMTP:
        """A connection on which EHLO was said; `protocols`: what is asked for by ALPN."""
        context = ssl.create_default_context(cafile=str(self._certificate))
        context.set_alpn_protocols(protocols)
        client: smtplib.SMTP
        if manner == "implicit TLS":
            client = smtplib.SMTP_SSL(timeout=SECONDS, context=context)
        else:
            client = smtplib.SMTP(timeout=SECONDS)
        client._host = "mailserver"  # type: ignore[union-attr] # the name in the certificate
        client.connect("127.0.0.1", self._inside_tls if "implicit" in manner else self._clear)
        if manner == "STARTTLS":
            client.starttls(context=context)
        client.ehlo()
        return client


MANNERS = ["clear", "STARTTLS", "implicit TLS"]


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Submission]:
    one = Submission(tmp_path_factory.mktemp("data"))
    yield one
    one.mail.stop()


@pytest.mark.parametrize("manner", MANNERS)
def test_nobody_sends_without_login(manner: str, submission: Submission) -> None:
    with submission.connect(manner) as client:
        assert client.mail(f"{submission.user}@mailserver") == (
            530,
            b"5.7.0 Authentication required: AUTH",
        )
        assert client.mail("<>")[0] == 530
        assert client.verify(submission.user)[0] == 530


@pytest.mark.parametrize("manner", MANNERS)
def test_a_message_that_a_user_submits(manner: str, submission: Submission) -> None:
    """RFC 6409 6.1, 8.2, 8.3."""
    reader = submission.mail.new_user()
    own = f"{submission.user}@mailserver"
    with submission.connect(manner) as client:
        client.login(submission.user, "secret")
        for others in (f"{reader}@mailserver", f"{submission.user}@elsewhere.example"):
            assert client.mail(others) == (
                553,
                b"5.7.1 This sender address is not yours: you are %s here"
                % submission.user.encode(),
            )
        client.sendmail(own, [f"{reader}@mailserver"], "Subject: submitted\r\n\r\nhello\r\n")
    [content] = submission.mail.messages(reader)
    header = content.partition(b"\r\n\r\n")[0] + b"\r\n"
    assert b" with ESMTPA id " in header if manner == "clear" else b" with ESMTPSA id " in header
    assert header.count(b"\r\nDate: ") == header.count(b"\r\nMessage-ID: <") == 1


def test_port_25_takes_mail_for_users_from_anybody(submission: Submission) -> None:
    """Nor does it add what a message lacks: that is for the one who sends."""
    reader = submission.mail.new_user()
    submission.mail.send(reader, b"Subject: from elsewhere\r\n\r\nhello\r\n")
    [content] = submission.mail.messages(reader)
    assert b"\r\nDate: " not in content
    assert b"\r\nMessage-ID: " not in content


@pytest.mark.parametrize("manner", ["STARTTLS", "implicit TLS"])
def test_a_browser_that_was_led_here_gets_no_tls(manner: str, submission: Submission) -> None:
    """It says by ALPN that it wants HTTP; some mail programs say smtp (RFC 7301 3.2)."""
    with pytest.raises(ssl.SSLError, match=r"no.application.protocol"):
        submission.connect(manner, "h2", "http/1.1")
    submission.connect(manner, "smtp").quit()

"""smtpmail looks into where mail comes from, with a real DNS server to ask."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator

import pytest
from tests.sockets.conftest import SECONDS, Mail
from tests.unit.server.relay.dns_server import DnsServer

ZONE = {
    "good.test": [("TXT", '"v=spf1 ip4:" "127.0.0.1 -all"'), ("MX", "10 mx.good.test.")],
    "_dmarc.good.test": [("TXT", '"v=DMARC1; p=reject"')],
    "bad.test": [("TXT", '"v=spf1 mx ptr -all"'), ("MX", "10 mx.good.test.")],
    "mx.good.test": [("A", "192.0.2.1")],
    "_dmarc.bad.test": [("TXT", '"v=DMARC1; p=reject"')],
    "silent.test": [("FAIL", "TXT")],
}
CONTENT = (
    "Authentication-Results: mailserver; dmarc=pass\r\nFrom: a@{0}\r\nSubject: x\r\n\r\nHi.\r\n"
)


@pytest.fixture(scope="module", params=["mark", "reject"])
def checks(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def mail(checks: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mail]:
    dns = DnsServer(ZONE)
    server = f"127.0.0.1#{dns.port}"
    data = tmp_path_factory.mktemp("data")
    one = Mail(data, "--sender-checks", checks, "--nameserver", server)
    yield one
    one.stop()
    dns.close()


@pytest.mark.parametrize(
    ("domain", "results"),
    [
        ("good.test", "spf=pass smtp.mailfrom=good.test; dkim=none; dmarc=pass (p=reject)"),
        ("bad.test", "spf=fail smtp.mailfrom=bad.test; dkim=none; dmarc=fail (p=reject)"),
        ("nowhere.test", "spf=none smtp.mailfrom=nowhere.test; dkim=none; dmarc=none"),
        ("silent.test", "spf=temperror smtp.mailfrom=silent.test; dkim=none; dmarc=none"),
    ],
)
def test_mail_from(domain: str, results: str, checks: str, mail: Mail) -> None:
    user = mail.new_user()
    with smtplib.SMTP("127.0.0.1", mail.smtp.port, timeout=SECONDS) as client:
        client.ehlo("mx.good.test")
        client.mail(f"a@{domain}")
        client.rcpt(f"{user}@mailserver")
        reply = client.data(CONTENT.format(domain))
    if "dmarc=fail" in results and checks == "reject":
        assert reply[0] == 550
        assert reply[1].startswith(b"5.7.26 The message is not from the domain in its From")
        return
    assert reply[0] == 250
    (message,) = mail.messages(user)
    text = " ".join(message.decode().split())
    assert f"Authentication-Results: mailserver; {results} header.from={domain} Received:" in text
    assert text.count("Authentication-Results") == 1

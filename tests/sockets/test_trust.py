"""smtpmail looks into where mail comes from, with a real DNS server to ask."""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sockets.conftest import SECONDS, SERVER, Mail, eventually
from tests.unit.server.relay.dns_server import DnsServer

from mailserver.trust.dkim_keys import KINDS, new_key, store_key
from mailserver.trust.dkim_sign import SigningKey

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
    ("domain", "results", "policy"),
    [
        (
            "good.test",
            "spf=pass smtp.mailfrom=good.test; dkim=none; arc=none; dmarc=pass",
            "reject",
        ),
        ("bad.test", "spf=fail smtp.mailfrom=bad.test; dkim=none; arc=none; dmarc=fail", "reject"),
        (
            "nowhere.test",
            "spf=none smtp.mailfrom=nowhere.test; dkim=none; arc=none; dmarc=none",
            "",
        ),
        (
            "silent.test",
            "spf=temperror smtp.mailfrom=silent.test; dkim=none; arc=none; dmarc=none",
            "",
        ),
    ],
)
def test_mail_from(domain: str, results: str, policy: str, checks: str, mail: Mail) -> None:
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
    found = f"{results} header.from={domain}" + (f" policy.dmarc={policy}" if policy else "")
    assert f"Authentication-Results: mailserver; {found} Received:" in text
    assert text.count("Authentication-Results") == 1


def test_what_leaves_is_signed_and_passes_there(tmp_path: Path) -> None:
    """From a user of a.test by way of a.test to b.test, which asks the DNS about a.test's keys."""
    selectors = []
    zone = {"_dmarc.a.test": [("TXT", '"v=DMARC1; p=reject"')]}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for kind in KINDS:
        key = SigningKey("a.test", f"{kind}-1", new_key(kind))
        store_key(tmp_path / "a", key)
        selectors += ["--dkim-selector", key.selector]
        strings = [key.record[at : at + 200] for at in range(0, len(key.record), 200)]
        zone[key.record_name] = [("TXT", " ".join(f'"{one}"' for one in strings))]
    dns = DnsServer(zone)
    checks = ("--sender-checks", "reject", "--nameserver", f"127.0.0.1#{dns.port}")
    b = Mail(tmp_path / "b", "--domain", "b.test", *checks)
    route = ("--routes", f"b.test=127.0.0.1:{b.smtp.port}")
    a = Mail(tmp_path / "a", "--domain", "a.test", *route, *selectors)
    try:
        alice, bob = a.new_user(), b.new_user()
        with smtplib.SMTP("127.0.0.1", a.smtp.port, timeout=SECONDS) as client:
            client.login(alice, "secret")
            for author in (f"{alice}@a.test", "somebody@else.test"):
                content = f"From: {author}\r\nSubject: tea\r\n\r\nFrom me\r\n..\r\n"
                client.sendmail(f"{alice}@a.test", [f"{bob}@b.test"], content)
        eventually(lambda: len(b.messages(bob)) == 2)
        texts = {" ".join(one.decode().split()): one for one in b.messages(bob)}
        (ours,) = (text for text in texts if f"From: {alice}@a.test" in text)
        assert ours.count("dkim=pass header.d=a.test header.s=") == 2
        assert "dmarc=pass header.from=a.test policy.dmarc=reject Received:" in ours
        assert texts[ours].count(b"\r\nDKIM-Signature: ") == 2
        (other,) = texts.keys() - {ours}
        assert "dkim=none; arc=none; dmarc=none header.from=else.test" in other
    finally:
        a.stop()
        b.stop()
        dns.close()


def test_a_key_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "users.txt").write_text("alice secret\n")
    options = ["--domain", "a.test", "--dkim-selector", "s1"]
    done = subprocess.run(
        [sys.executable, SERVER / "smtpmail.py", "0", "--data", tmp_path, "--check", *options],
        env={**os.environ, "PYTHONPATH": str(SERVER)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert "dkim/a.test/s1.pem is not there; make it with `mailadmin" in done.stderr

"""`mailadmin dns`: records that a name server takes and a receiver's checks pass with."""

from __future__ import annotations

from pathlib import Path

import dns.name
import dns.zone
import pytest

from mailserver.admin.command import main
from mailserver.trust.dkim_record import read_key
from mailserver.trust.dmarc import Policy, parse


def records(
    data: Path, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[dict[tuple[str, str], list[str]], str]:
    """By name and type; and what was said beside."""
    assert main(["--data", str(data), "dns", *options]) == 0
    told = capsys.readouterr()
    zone = dns.zone.from_text(f"$TTL 60\n{told.out}", ".", relativize=False, check_origin=False)
    found: dict[tuple[str, str], list[str]] = {}
    for name, _, rdata in zone.iterate_rdatas():
        found.setdefault((name.to_text(True), rdata.rdtype.name), []).append(rdata.to_text())
    return found, told.err


def test_two_domains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml = 'domains = ["example.org", "example.net"]\nown_addresses = ["192.0.2.1", "10.0.0.0/8"]'
    (tmp_path / "mailserver.toml").write_text(toml)
    for domain in ("example.net", "example.com"):  # the second one is none of this server's
        assert main(["--data", str(tmp_path), "dkim", "new", domain, "--selector", "s"]) == 0
    capsys.readouterr()
    found, beside = records(tmp_path, capsys)
    (key,) = found.pop(("s._domainkey.example.net", "TXT"))
    assert read_key(key.replace('"', "").replace(" ", "").encode()).fits("rsa-sha256")
    assert found == {
        ("example.org", "A"): ["192.0.2.1"],
        ("example.org", "MX"): ["10 example.org."],
        ("example.org", "TXT"): ['"v=spf1 mx -all"'],
        ("_dmarc.example.org", "TXT"): ['"v=DMARC1; p=none"'],
        ("example.net", "MX"): ["10 example.org."],
        ("example.net", "TXT"): ['"v=spf1 mx -all"'],
        ("_dmarc.example.net", "TXT"): ['"v=DMARC1; p=none"'],
    }
    assert beside == ""


def test_addresses_and_policy_by_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mailserver.toml").write_text('domains = ["example.org"]\n')
    options = ["--address", "2001:db8::1", "--address", "192.0.2.9", "--policy", "reject"]
    found, _ = records(tmp_path, capsys, *options)
    assert found["example.org", "AAAA"] == ["2001:db8::1"]
    assert found["example.org", "A"] == ["192.0.2.9"]
    record = parse(found["_dmarc.example.org", "TXT"][0].strip('"').encode())
    assert record is not None
    assert record.policy is Policy.REJECT
    _, beside = records(tmp_path, capsys)
    assert "name one with --address" in beside


def test_settings_that_make_no_sense_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mailserver.toml").write_text("domains = [7]\n")
    assert main(["--data", str(tmp_path), "dns"]) == 1
    assert "mailserver.toml" in capsys.readouterr().err

"""`mailadmin dkim`: keys that nobody else can read, and records that others can use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.server.trust.mail import NOW, results, split

from mailserver.admin.command import main
from mailserver.trust.dkim_keys import KeysUnusable, load_keys
from mailserver.trust.dkim_sign import signature_fields

CONTENT = b"From: a@example.org\r\nSubject: tea\r\n\r\nAt five.\r\n"


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_new_key_signs_what_its_record_verifies(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = ["--data", str(tmp_path), "dkim", "new", "Example.org", "--type", kind]
    assert main([*new, "--selector", "s1"]) == 0
    told = capsys.readouterr()
    name, strings = re.fullmatch(r"(\S+)\. IN TXT (.*)\n", told.out).groups()  # type: ignore[union-attr]
    assert name == "s1._domainkey.example.org"
    texts = re.findall(r'"([^"]*)"', strings)
    assert max(map(len, texts)) <= 255
    path = tmp_path / ".mailserver/dkim/example.org/s1.pem"
    assert str(path) in told.err
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    keys = load_keys(tmp_path, ["other.org", "example.org"], ["s1"])
    field = signature_fields(keys, *split(CONTENT), NOW).replace(b"\n", b"\r\n")
    assert results(field + CONTENT, {name: [{"TXT": texts}]}) == ["pass"]
    assert main(["--data", str(tmp_path), "dkim", "list"]) == 0
    assert capsys.readouterr().out == told.out


def test_a_key_is_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = ["--data", str(tmp_path), "dkim", "new", "example.org", "--type", "ed25519"]
    assert main(new) == 0
    kept = [path.read_bytes() for path in tmp_path.rglob("*.pem")]
    assert main(new) == 1
    assert "is there already; take another selector" in capsys.readouterr().err
    assert [path.read_bytes() for path in tmp_path.rglob("*.pem")] == kept


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["../../etc", "--selector", "a"], "is no domain name"),
        (["example.org", "--selector", "../a"], "is no selector"),
        (["example.org", "--selector", ""], None),
    ],
)
def test_names_that_are_none(
    arguments: list[str], why: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["--data", str(tmp_path), "dkim", "new", "--type", "ed25519", *arguments])
    assert status == (0 if why is None else 1)
    assert (why or "publish the record above") in capsys.readouterr().err


def test_keys_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(KeysUnusable, match=r"dkim new example.org --selector s1"):
        load_keys(tmp_path, ["example.org"], ["s1"])
    path = tmp_path / ".mailserver/dkim/example.org/s1.pem"
    path.parent.mkdir(parents=True)
    path.write_text("not a key")
    with pytest.raises(KeysUnusable, match=r"s1.pem is no private key"):
        load_keys(tmp_path, ["example.org"], ["s1"])

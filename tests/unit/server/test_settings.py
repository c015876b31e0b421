"""What a command was told, checked once."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mailserver import settings
from mailserver.settings import CONNECTIONS, MESSAGE_OCTETS, SUBJECT_CHARACTERS, Settings


def read(*arguments: str, command: str = "smtpmail") -> Settings:
    return settings.read(command, "what it does", list(arguments))


def test_a_port_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = read("2525")
    assert found.port == 2525
    assert found.data == tmp_path
    assert found.host is None
    assert len(found.domains) == 1
    assert found.message_octets == MESSAGE_OCTETS
    assert found.subject_limit == SUBJECT_CHARACTERS == 100
    assert found.connections == CONNECTIONS


def test_everything_can_be_said(tmp_path: Path) -> None:
    found = read(
        *("0", "--data", str(tmp_path), "--host", "127.0.0.1", "--domain", "a.example"),
        *("--domain", "b.example", "--connections", "7", "--message-limit", "1000"),
        *("--subject-limit", "0"),
    )
    assert found == Settings(
        port=0,
        data=tmp_path,
        host="127.0.0.1",
        domains=("a.example", "b.example"),
        message_octets=1000,
        subject_limit=None,
        connections=7,
    )


def test_the_pop3_server_has_no_limits_of_messages() -> None:
    with pytest.raises(SystemExit):
        read("110", "--message-limit", "5", command="popserver")
    assert read("110", command="popserver").port == 110


@pytest.mark.parametrize("port", ["", "x", "-1", "65536", "1e3", "0x19", "٢٥", "99999999999"])
def test_a_bad_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read(port)
    assert caught.value.code == 2
    assert "smtpmail: error: " in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "25", "65535"])
def test_a_good_port(port: str) -> None:
    assert read(port).port == int(port)


@pytest.mark.parametrize(
    "domain", ["", ".", "a b", "-a", "a-", "a..b", "a.", "ü.example", "a/b", "a\nb", "a" * 256]
)
def test_a_bad_domain(domain: str) -> None:
    with pytest.raises(SystemExit) as caught:
        read("25", f"--domain={domain}")
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "option",
    [
        "--connections=0",
        "--connections=x",
        "--message-limit=0",
        "--message-limit=-5",
        "--subject-limit=-1",
        "--subject-limit=x",
    ],
)
def test_a_bad_limit(option: str) -> None:
    with pytest.raises(SystemExit) as caught:
        read("25", option)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("machine", "name"), [("mail.example", "mail.example"), ("a_b", "localhost"), ("", "localhost")]
)
def test_the_default_domain_is_the_machine(
    machine: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: machine)
    assert read("25").domains == (name,)

"""The client with a POP3 server that nobody here wrote: Dovecot, where it is installed."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.client_pty.dovecot import Dovecot, program
from tests.client_pty.face import Face

HERE = program()
pytestmark = pytest.mark.skipif(HERE is None, reason="Dovecot: apt-get install dovecot-pop3d")
USERS = {"alice": "wonderland", "bob": "the builder"}
LONG = b"x" * 5000 + b"\n..two dots\n.one\n" + "Grüße\n".encode()
BOX = b"From a@x Mon Nov 23 14:05:09 2026\nFrom: Ann <a%d@x>\nSubject: mail %d.\n"
BOX += b"Date: Mon, 23 Nov 2026 14:05:09 +0000\n\ntext %d\n%s\n"

Verb = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="module")
def dovecot(servers: Any) -> Iterator[Dovecot]:
    """It has our servers' certificate."""
    with tempfile.TemporaryDirectory(prefix="dovecot-") as folder:
        made = Dovecot(str(HERE), Path(folder), USERS, servers.data / ".mailserver" / "tls")
        process = made.start()
        yield made
        process.terminate()
        process.wait(15)


@pytest.fixture
def options(dovecot: Dovecot, tmp_path: Path) -> list[str]:
    """Who, and where; nobody listens at the port for SMTP."""
    secret = tmp_path / "secret"
    secret.write_text("wonderland\n")
    who = ["--user", "alice", "--password-file", str(secret), "--trace", str(tmp_path / "trace")]
    return [*who, "127.0.0.1", "9", str(dovecot.port)]


@pytest.fixture
def verb(client_command: list[str], options: list[str], homes: dict[str, str]) -> Verb:
    def run(*words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*client_command, *options, *words],
            capture_output=True,
            timeout=30,
            check=False,
            env={**os.environ, **homes},
        )

    return run


def filled(dovecot: Dovecot, count: int) -> None:
    dovecot.fill("alice", b"".join(BOX % (n, n, n, LONG) for n in range(1, count + 1)))


def test_every_verb(dovecot: Dovecot, verb: Verb, tmp_path: Path) -> None:
    filled(dovecot, 500)
    assert json.loads(verb("count", "--json").stdout)["messages"] == 500
    messages = json.loads(verb("list", "--json").stdout)["messages"]
    assert [one["subject"] for one in messages] == [f"mail {n}." for n in range(1, 501)]
    assert verb("read", "3").stdout.endswith(b"\ntext 3\n" + LONG)
    assert verb("read", "3", "--raw").stdout.endswith(LONG.replace(b"\n", b"\r\n"))
    assert verb("delete", "--uidl", messages[2]["uidl"]).returncode == 0
    assert verb("read", messages[2]["uidl"]).returncode == 1
    again = json.loads(verb("list", "--json").stdout)["messages"]
    assert [one["uidl"] for one in again] == [one["uidl"] for one in messages if one["n"] != 3]
    assert verb("--user", "bob", "count").returncode == 77
    said = (tmp_path / "trace").read_text()
    assert "POP3 C: STLS\n" in said
    assert "POP3 *: TLSv1.3" in said
    assert "POP3 C: AUTH SCRAM-SHA-256 ********\n" in said
    assert "wonderland" not in said
    assert verb("--tls", "off", "count").stdout.startswith(b"499 ")


def test_the_full_screen(
    dovecot: Dovecot, client_command: list[str], options: list[str], homes: dict[str, str]
) -> None:
    filled(dovecot, 300)
    settings = {**homes, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PATH": "/bin:/usr/bin"}
    client = Face([*client_command, *options], settings)
    client.waits_for("Welcome, alice", "300 messages")
    client.types("1")
    client.waits_for("mail 300.", "mail 282.")
    client.types("Home", "Enter")
    client.waits_for("Subject: mail 1.", "text 1")
    client.types("q", "d", "d", "k", "u")
    client.waits_for("1 marked", "1  D", "mail 2.")
    client.types("$", "y")
    client.waits_for("1 message deleted.", "299 messages")
    client.types("Home")
    client.waits_for(">  1 N", "mail 2.")
    client.types("q", "q")
    assert client.ends() == 0
    client.close()

"""The folder of real messages through the full screen: nothing of it drives the terminal."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from tests.client_pty.face import Face

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("MAIL_CORPUS", ROOT.parent / "shared" / "corpus"))
# What the screen itself says to a terminal: colours, movements, modes; never a title or a query.
OURS = re.compile(r"\x1b\[\??[0-9;]*[ABCDHJKhlmnrsu]|\x1b\[\d q|\x1b[=>78]|[\r\n\b\x0f]")
DRIVES = re.compile("[\x00-\x1f\x7f-\x9f\u202e\u2066]")


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the folder of real messages is not here")
@pytest.mark.timeout(240)
def test_real_messages(mailserver: Any, homes: dict[str, str], client_command: list[str]) -> None:
    paths = sorted(path for path in CORPUS.rglob("*.eml") if path.is_file())
    for path in paths:
        mailserver.deliver(path.read_bytes())
    secret = mailserver.data / "secret"
    secret.write_text("wonderland\n")
    ports = [str(mailserver.smtp_port), str(mailserver.pop3_port)]
    options = ["--user", "alice", "--password-file", str(secret), "127.0.0.1", *ports]
    settings = {**homes, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PATH": "/bin:/usr/bin"}
    client = Face([*client_command, *options], settings)
    client.waits_for("Welcome, alice", f"{len(paths)} messages")
    client.types("1")
    client.waits_for(f">{len(paths)}")
    client.types("Home", "Enter")
    for number in range(1, len(paths) + 1):
        name = f" Message {number}"
        client.waits_for(f"{name} ", f" {number} of {len(paths)}")
        others = (("t", "HTML"), ("H", "headers"), ("e", "source")) if number % 5 == 0 else ()
        for key, what in others:
            client.types(key)
            if key == "t" and "HTML in this" in client.waits_for(what):
                continue
            client.waits_for(f"{name}: {what}")
            client.types("q")
            client.waits_for(f"{name} ")
        client.types("n")
    client.waits_for("Mail of alice")
    client.types("q", "q")
    assert client.ends() == 0
    rest = OURS.sub("", client.raw)
    assert [rest[max(0, at.start() - 40) :][:80] for at in DRIVES.finditer(rest)] == []
    client.close()

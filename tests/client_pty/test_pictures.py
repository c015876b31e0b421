"""Pictures of the screens, made by using them: MAKE_PICTURES=1 writes docs/screens."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from tests.client_pty.face import Face
from tests.client_pty.picture import svg

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "screens"
NAMES = ("menu", "list", "message", "compose", "dialogue")
MAIL = (
    ("Bob <bob@mailserver>", "Lab 3 results", "<1@x>", ""),
    ("Carol Ng <carol@mailserver>", "slides for Monday", "<2@x>", ""),
    ("Dave <dave@mailserver>", "Re: Lab 3 results", "<3@x>", "<1@x>"),
    ("Bob <bob@mailserver>", "Re: Lab 3 results", "<4@x>", "<3@x>"),
    ("李雷 <lilei@mailserver>", "午餐 / lunch?", "<5@x>", ""),
    ("alice@mailserver <eve@elsewhere.example>", "your account", "<6@x>", ""),
)
REST = """\
Date: Mon, 23 Nov 2026 14:05:09 +0000
Content-Type: text/plain; charset=utf-8

Hello Alice,

> could you send me the results?

Here they are, and thank you.

Bob
"""


def test_pictures(mailserver: Any, homes: dict[str, str], client_command: list[str]) -> None:
    for sender, subject, name, before in MAIL:
        thread = f"References: {before}\n" if before else ""
        head = f"From: {sender}\nTo: alice@mailserver\nSubject: {subject}\nMessage-ID: {name}\n"
        mailserver.deliver(f"{head}{thread}{REST}".encode())
    secret = mailserver.data / "secret"
    secret.write_text("wonderland\n")
    ports = [str(mailserver.smtp_port), str(mailserver.pop3_port)]
    options = ["--user", "alice", "--password-file", str(secret), "127.0.0.1", *ports]
    settings = {**homes, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PATH": "/bin:/usr/bin"}
    client = Face([*client_command, *options], settings)
    made = {}
    client.waits_for("Welcome, alice")
    made["menu"] = svg(client.screen)
    client.types("1")
    client.waits_for("your account", "lunch?")
    client.types("o", "t", "k", "d", "k", "k", "k", "k")
    client.waits_for("`-Re: Lab 3", "1 marked")
    made["list"] = svg(client.screen)
    client.types("Enter")
    client.waits_for("Hello Alice", "> could you")
    made["message"] = svg(client.screen)
    client.types("r")
    client.waits_for("Re: Lab 3 results", "> Hello Alice")
    client.types("Thank you!", "Enter", "Enter")
    client.waits_for("Thank you!\n\n\n\nOn Mon")
    made["compose"] = svg(client.screen)
    client.types("Ctrl-C", "n", "q", "P")
    client.waits_for("The dialogue")
    client.types("p", "p")
    client.waits_for("The whole message")
    made["dialogue"] = svg(client.screen)
    client.close()
    for name, picture in made.items():
        ET.fromstring(picture)  # noqa: S314 - ours: is it well-formed?
        if os.environ.get("MAKE_PICTURES"):
            FOLDER.mkdir(exist_ok=True)
            (FOLDER / f"{name}.svg").write_text(picture)
    assert made.keys() == set(NAMES)
    assert all((FOLDER / f"{name}.svg").is_file() for name in NAMES)

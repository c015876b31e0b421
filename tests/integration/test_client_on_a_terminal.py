"""`docker compose run client` as a person runs it: with a terminal, in lines and full screen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pexpect
from tests.client_pty.face import Face

if TYPE_CHECKING:
    from .conftest import MailSystem

CONTROL = {chr(code) for code in (*range(32), *range(127, 160))} - set("\r\n\t\b")


def run_client(mail_system: MailSystem) -> list[str]:
    run = f"docker compose -p {mail_system.project} run --rm client"
    return [*run.split(), "mailclient", "mailserver", "25", "110"]


def test_a_person_sends_and_reads_on_a_terminal(mail_system: MailSystem) -> None:
    from .conftest import CHECKOUT, PORTS, TAG

    with mail_system.smtp() as server:
        text = "Subject: \x1b]0;owned\x07 hi\r\n\r\n\x1b[2J\x9b31m\u202egone\r\n".encode()
        server.sendmail("bob@mailserver", ["alice@mailserver"], text)
    screen = pexpect.spawn(
        "docker",
        [*run_client(mail_system)[1:], "--plain"],
        cwd=str(CHECKOUT),
        env={**os.environ, **dict.fromkeys(PORTS, "0"), "MAIL_TAG": TAG, "TERM": "xterm"},
        timeout=60,
        encoding="utf-8",
        dimensions=(24, 80),
    )
    screen.expect("[Uu]ser name")
    screen.sendline("alice")
    screen.expect("[Pp]assword")
    screen.sendline("wonderland")
    for option in ("Manage Mail", "Send Mail", "Quit"):
        screen.expect_exact(option)
    screen.send("\x1a")  # Docker's init would not wake it
    screen.expect_exact("Not suspended: there is no shell to come back from.")
    screen.sendline("1")
    screen.expect_exact("hi")
    screen.sendline("1")
    screen.expect_exact("gone")
    shown = screen.before + screen.after
    assert not CONTROL & set(shown), "the message drives the terminal"
    screen.sendline("save 1")
    screen.expect_exact("Saved as /tmp/")  # the root is read-only
    screen.sendline("q")
    screen.expect_exact("Quit")
    screen.sendline("3")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0


def test_the_full_screen_in_the_container(mail_system: MailSystem) -> None:
    from .conftest import CHECKOUT, PORTS, TAG

    with mail_system.smtp() as server:
        text = "Subject: to the screen\r\n\r\nx\r\n"
        server.sendmail("bob@mailserver", ["alice@mailserver"], text)
    client = Face(
        run_client(mail_system),
        {**os.environ, **dict.fromkeys(PORTS, "0"), "MAIL_TAG": TAG, "TERM": "xterm"},
        folder=str(CHECKOUT),
        patience_seconds=60,
    )
    client.waits_for("User name:")
    client.types("alice", "Enter", "wonderland", "Enter")
    client.waits_for("Manage Mail", "Send Mail", "Quit", "Welcome, alice")
    client.types("1")
    client.waits_for("to the screen")
    client.types("q", "q")
    assert client.ends() == 0

"""The main job: a person on one machine writes, a person on another one reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import MailSystem


def typed(*lines: str) -> str:
    """What a person types, a line each."""
    return "".join(f"{line}\n" for line in lines)


def test_alice_sends_and_bob_reads_and_deletes(mail_system: MailSystem) -> None:
    form = ("From: alice@mailserver", "To: bob@mailserver", "Subject: Lunch", "At noon?", ".")
    sent = mail_system.run_client(typed("alice", "wonderland", "Send Mail", *form, "Quit"))
    assert sent.returncode == 0, sent
    assert "Sent to bob@mailserver." in sent.stdout

    read = mail_system.run_client(typed("bob", "builder", "1", "1", "delete 1", "q", "3"))
    assert read.returncode == 0, read
    assert "alice@mailserver" in read.stdout
    assert "Lunch" in read.stdout
    assert "At noon?" in read.stdout

    again = mail_system.run_client(typed("bob", "builder", "m", "q"))
    assert "There is no mail." in again.stdout

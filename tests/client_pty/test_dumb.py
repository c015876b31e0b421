"""A terminal that only knows lines (TERM=dumb): the line mode, and what takes long in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from tests.client_pty.face import end

MENU = "Choose 1, 2 or 3: "
MANY = 10_000
LARGE = 50_000_000


@pytest.fixture
def dumb(mailserver: Any, homes: dict[str, str], client_command: list[str]) -> Iterator[Any]:
    """Sign in, and wait for the menu."""
    running: list[pexpect.spawn[str]] = []

    def run(**more: str) -> pexpect.spawn[str]:
        where = ["127.0.0.1", str(mailserver.smtp_port), str(mailserver.pop3_port)]
        child: pexpect.spawn[str] = pexpect.spawn(
            client_command[0],
            [*client_command[1:], *where],
            encoding="utf-8",
            timeout=30,
            dimensions=(24, 80),
            env={**os.environ, **homes, **more, "TERM": "dumb", "LANG": "C.UTF-8"},
        )
        child.delaybeforesend = None  # type: ignore[assignment]
        running.append(child)
        child.expect_exact("User name: ")
        child.sendline("alice")
        child.expect_exact("Password: ")
        child.sendline("wonderland")
        child.expect_exact(MENU)
        return child

    yield run
    for child in running:
        end(child)


def asks(child: Any, *typed: str, prompt: str = "Mail> ") -> str:
    """What is said until the next prompt, after the last of these."""
    for line in typed:
        child.sendline(line)
        child.expect_exact(prompt)
    return str(child.before)


def fill(mailserver: Any, count: int, text: bytes = b"") -> None:
    """Mail as another program would have left it in the file."""
    message = b"From a@x Mon Nov 23 14:05:09 2026\nFrom: a%d@x\nSubject: mail-%d-\n\n%s\n\n"
    path = mailserver.data / "alice" / "mymailbox"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(message % (n % 7, n, text) for n in range(1, count + 1)))


def test_a_list_of_ten_thousand(mailserver: Any, dumb: Any, pipe: Any) -> None:
    fill(mailserver, MANY)
    child = dumb()
    shown = asks(child, "1")
    assert "mail-10000-" in shown
    assert "mail-9983-" not in shown  # only what is shown is asked for
    assert "   … 9,983 earlier messages: more\r\n" in shown
    assert max(map(len, shown.split("\r\n"))) < 80
    assert "mail-9983-" in asks(child, "p")
    assert "mail-10000-" in asks(child, "n")
    assert "There are no more messages." in asks(child, "n")
    assert "mail-7-" in asks(child, "list 7")
    shown = asks(child, "l from:a3 subject:-99")
    assert re.search(r"mail-9992-\r\n.*mail-9999-\r\n +\(limited to from:a3 subj", shown)
    assert "1 message deleted." in asks(child, "d 9992", "$")
    asks(child, "q", prompt=MENU)
    talk = pipe("alice", "wonderland", "1", "q", "3")
    assert len(re.findall(r"mail-\d+-\n", talk.out)) == MANY - 1


def test_a_large_message_says_how_far_it_is(mailserver: Any, dumb: Any) -> None:
    fill(mailserver, 1, b"large line\n" * (LARGE // 11))
    child = dumb()
    asks(child, "1")
    child.sendline("1")
    child.expect(r"Fetching message 1, 5\d\.\d MB …( \d+%)+ 100%\r\n")
    child.expect_exact("-- Enter: next page, q: stop here -- ")
    child.sendline("q")
    child.expect_exact("Mail> ")
    assert re.search(r"\r\n    1      \(unknown\)", asks(child, "list"))  # read: no letter


def test_marks_are_taken_back_and_a_lost_server_deletes_nothing(
    mailserver: Any, relay: Any, dumb: Any
) -> None:
    fill(mailserver, 2, b"line\n" * 200_000)
    mailserver.pop3_port, server_port = relay.port, mailserver.pop3_port
    child = dumb()
    asks(child, "1", "d 1 2")
    assert "Message 2 not marked any more." in asks(child, "u 2")
    relay.drop_after(100_000)
    shown = asks(child, "2", prompt=MENU)
    assert "The connection was lost: the server closed it. Nothing was deleted." in shown
    child.sendline("1")
    child.expect_exact("Mail> ")
    mailserver.pop3_port = server_port
    asks(child, "d 1", "$")
    asks(child, "q", prompt=MENU)
    assert mailserver.count() == 1


def test_the_editor_writes_an_answer(mailserver: Any, dumb: Any, tmp_path: Path) -> None:
    mailserver.deliver(b"From: bob@mailserver\nSubject: Lab\n\nfirst\n")
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "1s/^/From the editor/" "$1"\n')
    editor.chmod(0o700)
    child = dumb(VISUAL=str(editor))
    asks(child, "1")
    for typed, prompt in (("r 1", "To [bob@mailserver]: "), ("", "Subject [Re: Lab]: ")):
        asks(child, typed, prompt=prompt)
    shown = asks(child, "", prompt="ends it):\r\n")
    assert "7 of 50 characters" in shown
    assert "Sent to bob@mailserver." in asks(child, "~e")
    session = mailserver.pop3("bob")
    text = b"\n".join(session.retr(1)[1])
    session.quit()
    assert b"\n\nFrom the editor" in text
    assert b"\n> first" in text
    assert re.search(r"    1 r    2026", asks(child, "list"))


@pytest.mark.parametrize("editor", ["no-such-editor -w", "'"])
def test_an_editor_that_is_not_there_is_not_offered(dumb: Any, editor: str) -> None:
    child = dumb(VISUAL=editor)
    assert "~e" not in asks(child, "2", prompt="From [alice@mailserver]: ")
    for typed, prompt in (("", "To: "), ("alice@mailserver", "Subject: "), ("s", "ends it):\r\n")):
        asks(child, typed, prompt=prompt)
    child.sendline("~e")
    missing = f"There is no editor {editor} here; VISUAL or EDITOR sets another."
    child.expect_exact(f"\r\n{missing}\r\nThe message goes on here:\r\n")
    assert "Sent to alice@mailserver." in asks(child, "Hi\n.", prompt=MENU)


def test_a_mailbox_in_use_can_be_tried_again(mailserver: Any, dumb: Any) -> None:
    child = dumb()
    session = mailserver.pop3()
    asks(child, "1", prompt="Try again? (y/n) ")
    asks(child, "y", prompt="Try again? (y/n) ")
    session.quit()
    assert "There is no mail." in asks(child, "y", prompt=MENU)

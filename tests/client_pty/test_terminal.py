"""The client in a real pseudo-terminal; a screen model shows what a person would see."""

from __future__ import annotations

import re
import signal
from typing import Any

import pexpect
import pyte

MENU = "Choose 1, 2 or 3: "


def log_in(child: Any, password: str = "wonderland") -> None:
    child.expect_exact("User name: ")
    child.sendline("alice")
    child.expect_exact("Password: ")
    child.sendline(password)


def rows_of(text: str) -> list[str]:
    """The rows a terminal of 80x24 shows after this output, a character for each column."""
    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed(text)
    rows = [[screen.buffer[y][x].data or " " for x in range(80)] for y in range(24)]
    return ["".join(row).rstrip() for row in rows]


def is_plain(text: str) -> bool:
    return not [c for c in text if (ord(c) < 32 and c not in "\r\n") or 0x7F <= ord(c) < 0xA0]


def leave(child: Any) -> int:
    child.sendline("3")
    child.expect(pexpect.EOF)
    child.wait()
    return int(child.exitstatus)


def fail_to_send(child: Any) -> None:
    """With a server that is not there."""
    for prompt, answer in (
        (MENU, "2"),
        ("From: ", "alice@mailserver"),
        ("To: ", "alice@mailserver"),
        ("Subject: ", "kept"),
        ("ends it):\r\n", "Hello\n."),
    ):
        child.expect_exact(prompt)
        child.sendline(answer)
    child.expect_exact("The message is kept")
    child.expect_exact(MENU)


def test_the_whole_story(mailserver: Any, terminal: Any) -> None:
    child = terminal()
    log_in(child)
    for prompt, answer in (
        (MENU, "2"),
        ("From [alice@mailserver]: ", ""),
        ("To: ", "alice"),
        ("Line 2 (To) is wrong", "alice@mailserver"),
        ("Subject: ", "Grüße"),
        ("ends it):\r\n", "Hello\n."),
        (MENU, "1"),
        ("Mail> ", "1"),
        ("Mail> ", "d 1"),
    ):
        child.expect_exact(prompt)
        child.sendline(answer)
    child.expect_exact("Message 1 marked")
    child.expect_exact("Mail> ")
    child.sendline("q")
    child.expect_exact("Delete 1 marked message? (y/n) ")
    child.sendline("n")
    child.expect_exact("Mail> ")
    child.sendline("q")
    child.expect_exact("Delete 1 marked message? (y/n) ")
    child.sendline("y")
    child.expect_exact("1 message deleted.")
    child.expect_exact(MENU)
    assert leave(child) == 0
    assert mailserver.count() == 0


def test_the_password_is_not_shown(mailserver: Any, terminal: Any) -> None:
    child = terminal()
    log_in(child, "wrong-secret")
    child.expect_exact("Wrong user name or password")
    assert "wrong-secret" not in child.before
    log_in(child)
    child.expect_exact(MENU)
    assert "wonderland" not in child.before
    child.sendline("echo-again")  # echo is back
    child.expect_exact("echo-again")
    child.expect_exact(MENU)
    assert leave(child) == 0


def test_the_list_fits_and_is_aligned(mailserver: Any, terminal: Any) -> None:
    mailserver.deliver("From: 漢字漢字漢字漢字漢字漢字漢字 <a@x>\nSubject: wide\n\nx\n".encode())
    mailserver.deliver(b"From: e\xcc\x81ve <a@x>\nSubject: " + b"long " * 15 + b"\n\nx\n")
    child = terminal()
    log_in(child)
    child.expect_exact(MENU)
    child.sendline("1")
    child.expect_exact("Mail> ")
    rows = rows_of(child.before)
    at = next(at for at, row in enumerate(rows) if row.startswith("   No"))
    header, wide, combining, after = rows[at : at + 4]
    column = header.index("Received")
    for row in (wide, combining):
        assert re.match(r"\d{4}-\d\d-\d\d : \d\d : \d\d \S.* \d+ (wide|long)", row[column:])
        assert len(row) <= 79
    assert "字" in wide
    assert combining.endswith("…")
    assert after == ""
    child.sendline("q")
    child.expect_exact(MENU)
    assert leave(child) == 0


def test_a_long_list_and_a_long_message_come_in_pages(mailserver: Any, terminal: Any) -> None:
    for number in range(1, 46):
        mailserver.deliver(f"From: a@x\nSubject: mail-{number}-\n\n".encode() + b"line\n" * 60)
    child = terminal()
    log_in(child)
    child.expect_exact(MENU)
    child.sendline("1")
    child.expect_exact("Mail> ")
    assert "mail-45-" in child.before
    assert "mail-29-" in child.before
    assert "mail-28-" not in child.before
    child.sendline("")  # more
    child.expect_exact("Mail> ")
    assert "mail-28-" in child.before
    assert "mail-12-" in child.before
    assert "mail-11-" not in child.before
    child.sendline("45")
    child.expect_exact("-- Enter: next page, q: stop here -- ")
    assert child.before.count("line\r\n") < 22
    child.sendline("")
    child.expect_exact("-- Enter: next page, q: stop here -- ")
    assert len([line for line in child.before.split("\r\n") if line]) == 22
    child.sendline("q")
    child.expect_exact("Mail> ")
    child.sendline("q")
    child.expect_exact(MENU)
    assert leave(child) == 0


def test_nothing_of_a_message_drives_the_terminal(mailserver: Any, terminal: Any) -> None:
    mailserver.deliver(
        "From: \x1b]0;owned\x07 <eve@x>\nSubject: \x1b[2J\u202e=?utf-8?q?=C2=9B?=\n"
        "Content-Type: text/plain; charset=utf-8\n\n"
        "\x1b[6n\x1b]52;c;aGk=\x07 \x9b31m\x0e end\n".encode()
    )
    child = terminal()
    log_in(child)
    child.expect_exact(MENU)
    child.sendline("1")
    child.expect_exact("Mail> ")
    shown = child.before
    child.sendline("1")
    child.expect_exact("Mail> ")
    shown += child.before
    assert is_plain(shown)
    assert "\u202e" not in shown
    assert "^[[6n^[]52;c;aGk=^G <U+009B>31m^N end" in shown
    child.sendline("q")
    child.expect_exact(MENU)
    assert leave(child) == 0


def test_ctrl_c_cancels_and_then_quits(mailserver: Any, terminal: Any) -> None:
    mailserver.deliver(b"Subject: s\n\nx\n")
    child = terminal()
    log_in(child)
    child.expect_exact(MENU)
    child.sendline("1")
    child.expect_exact("Mail> ")
    child.sendline("d 1")
    child.expect_exact("Mail> ")
    child.sendintr()
    child.expect_exact("Cancelled. Nothing was deleted.")
    child.expect_exact(MENU)
    child.sendline("2")
    child.expect_exact("From [")
    child.sendintr()
    child.expect_exact("Cancelled.")
    child.expect_exact(MENU)
    child.sendintr()
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 130
    assert mailserver.count() == 1


def test_ctrl_d_leaves_and_is_no_yes_to_deleting(mailserver: Any, terminal: Any) -> None:
    mailserver.deliver(b"Subject: s\n\nx\n")
    child = terminal()
    log_in(child)
    child.expect_exact(MENU)
    child.sendline("1")
    child.expect_exact("Mail> ")
    child.sendline("d 1")
    child.expect_exact("Mail> ")
    child.sendeof()
    child.expect_exact("Nothing was deleted.")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0
    assert mailserver.count() == 1


def test_what_was_not_sent_is_offered_in_the_next_run_and_to_no_pipe(
    mailserver: Any, terminal: Any, pipe: Any
) -> None:
    port, mailserver.smtp_port = mailserver.smtp_port, 9
    child = terminal()
    log_in(child)
    fail_to_send(child)
    assert leave(child) == 0
    mailserver.smtp_port = port
    assert "wait" not in pipe("alice", "wonderland", "3").out
    child = terminal()
    log_in(child)
    child.expect_exact("(a message waits to be sent)")
    child.expect_exact(MENU)
    child.sendline("2")
    child.expect_exact("Your choice: ")
    child.sendline("s")
    child.expect_exact("Sent to alice@mailserver.")
    child.expect_exact(MENU)
    assert "wait" not in child.before
    assert leave(child) == 0


def test_what_no_folder_keeps_is_lost_only_by_a_yes(
    mailserver: Any, terminal: Any, homes: dict[str, str]
) -> None:
    mailserver.smtp_port = 9
    homes["XDG_STATE_HOME"] = "/proc/nothing/is/kept/here"
    lost = "The message that was not sent will be lost: no folder keeps it."
    child = terminal()
    log_in(child)
    fail_to_send(child)
    for answer in ("n", "perhaps"):
        child.sendline("3")
        child.expect_exact(f"{lost} Quit? (y/n) ")
        child.sendline(answer)
        child.expect_exact(MENU if answer == "n" else "Quit? (y/n) ")
    child.sendline("y")
    child.expect(pexpect.EOF)
    assert lost not in child.before
    child.wait()
    assert child.exitstatus == 0
    child = terminal()
    log_in(child)
    fail_to_send(child)
    child.sendeof()
    child.expect_exact(lost)
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0


def test_lines_are_wrapped_at_words(mailserver: Any, terminal: Any) -> None:
    child = terminal()
    log_in(child)
    for prompt, answer in (
        (MENU, "2"),
        ("From [alice@mailserver]: ", ""),
        ("To: ", "alice@mailserver"),
        ("Subject: ", "x" * 51),
    ):
        child.expect_exact(prompt)
        child.sendline(answer)
    child.expect_exact("this line again.\r\nSubject: ")
    said = str(child.before).split("\r\n")[1:]
    assert max(map(len, said)) < 80
    words = "Line 3 (Subject) is wrong: the subject has 51 characters; at most 50 are allowed."
    assert " ".join(map(str.strip, said)) == f"{words} Please type"
    child.sendintr()
    child.expect_exact(MENU)
    assert leave(child) == 0


def test_a_killed_client_deletes_nothing(mailserver: Any, terminal: Any) -> None:
    mailserver.deliver(b"Subject: s\n\nx\n")
    child = terminal()
    log_in(child)
    child.expect_exact(MENU)
    child.sendline("1")
    child.expect_exact("Mail> ")
    child.sendline("d 1")
    child.expect_exact("Mail> ")
    child.kill(signal.SIGKILL)
    child.wait()
    child.close()
    assert mailserver.count() == 1

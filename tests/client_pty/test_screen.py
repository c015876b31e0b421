"""The full screen in a real pseudo-terminal, against the real servers."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.client_pty.face import DEADLINE_SECONDS, Face

Start = Callable[..., Face]


SIZES = pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10), (200, 60)])


@SIZES
def test_login_and_menu(face: Start, columns: int, rows: int) -> None:
    client = face(columns, rows, signs_in=False)
    client.waits_for("User name:", "Password:")
    client.types("alice", "Enter", "wrong-secret", "Enter")
    client.waits_for("Wrong user name")
    assert "wrong-secret" not in client.text
    client.types("wonderland", "Enter")
    client.waits_for("Manage Mail", "Send Mail", "Quit", "Welcome, alice")
    client.waits_for("? keys", "127.0.0.1 (TLS) ")
    assert "wonderland" not in client.raw
    client.types("Up", "Up")
    client.waits_for("> 2")
    client.types("3")
    assert client.ends() == 0


@SIZES
def test_the_list_has_all_columns(mailserver: Any, face: Start, columns: int, rows: int) -> None:
    mailserver.deliver("From: 漢字漢字漢字漢字漢字漢字漢字 <a@x>\nSubject: wide\n\nx\n".encode())
    mailserver.deliver(b"From: e\xcc\x81ve <a@x>\nSubject: " + b"long " * 15 + b"\n\nx\n")
    client = face(columns, rows)
    client.waits_for("Manage Mail")
    client.types("1")
    shown = client.waits_for("wide", "long").split("\n")
    heads, wide, long = shown[1:4]
    at = heads.index("Received")
    stamp = r"\d{4}-\d\d-\d\d : \d\d : \d\d " if columns >= 72 else r"\d\d-\d\d \d\d:\d\d "
    assert re.match(stamp, wide[at:])
    assert re.match(stamp, long[at:])
    assert ">  2 N" in long
    assert ("Size" in heads) == (columns > 60)
    assert "q back" in shown[-1] + shown[-2]
    client.types("q", "q")
    assert client.ends() == 0


def test_read_mark_undo_and_delete(mailserver: Any, face: Start) -> None:
    for number in range(1, 4):
        mailserver.deliver(f"Subject: mail {number}\n\ntext {number}\n".encode())
    client = face()
    client.waits_for("Manage Mail")
    client.types("1")
    client.waits_for(">  3 N", "mail 1")
    client.types("k", "Enter")
    client.waits_for("Message 2", "text 2", "2 of 3")
    client.types("n")
    client.waits_for("text 3")
    client.types("q")
    client.waits_for(">  3  ", "  2  ", "  1 N")
    client.types("d", "k", "d")
    client.waits_for("2 marked", "3  D", "2  D")
    client.types("u")
    client.waits_for("1 marked", "2  D")
    client.types("q")
    client.waits_for("Delete 1 marked message?")
    client.types("Esc")
    client.waits_for("Enter read", without="Delete 1")
    client.types("$", "y")
    client.waits_for("1 message deleted.", "2 messages")
    client.types("q", "q")
    assert client.ends() == 0
    assert mailserver.count() == 2


def test_a_message_is_written_and_sent(mailserver: Any, face: Start) -> None:
    client = face()
    client.waits_for("Manage Mail")
    client.types("2")
    client.waits_for("From:    alice@mailserver", "0/50")
    client.types("alice", "Tab", "Tab", "Tab", "Grüße", "Tab", "Hello", "Enter", ".", "Enter")
    client.waits_for("5/50", "Hello")
    client.types("Ctrl-D")
    client.waits_for('To: "alice" has no @')
    client.types("@mailserver", "Ctrl-D")
    client.waits_for("Send to alice@mailserver?")
    client.types("y")
    client.waits_for("Sent. alice@mailserver: 250")
    client.types("1")
    client.waits_for("Grüße")
    client.types("Enter")
    client.waits_for("Subject: Grüße", "Hello")
    assert "." in client.rows
    client.types("q", "q", "q")
    assert client.ends() == 0


def test_the_text_can_be_written_in_an_editor(mailserver: Any, face: Start, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "from the editor\\n" >> "$1"\n')
    editor.chmod(0o755)
    client = face(EDITOR=str(editor))
    client.waits_for("Manage Mail")
    client.types("2")
    client.waits_for("0/50")
    client.types("Ctrl-E")
    client.waits_for("from the editor")
    client.types("Ctrl-C")
    client.waits_for("Keep this message as a draft?")
    client.types("n")
    client.waits_for("Manage Mail")
    client.types("Ctrl-C")
    assert client.ends() == 130


def test_an_editor_that_is_not_there_is_not_offered(face: Start) -> None:
    client = face(EDITOR="no-such-editor")
    client.waits_for("Manage Mail")
    client.types("2")
    client.waits_for("0/50", "Ctrl-A attach", without="Ctrl-E")
    client.types("Ctrl-E")
    client.waits_for("There is no editor no-such-editor here; VISUAL or EDITOR sets another.")


IMPATIENT = """
import mailclient
from mailapp.screen import shell

shell.IDLE_SECONDS = 0.3
mailclient.main()
"""


def test_a_mailbox_that_nobody_looks_at_is_let_go(
    mailserver: Any, face: Start, client_command: list[str]
) -> None:
    """What the next key needs begins a new session."""
    mailserver.deliver(b"Subject: idle\n\nthe text\n")
    python, program = client_command
    client = face(program=[python, "-c", IMPATIENT], PYTHONPATH=str(Path(program).parent))
    client.waits_for("Manage Mail")
    client.types("1")
    client.waits_for("idle")
    client.types("P")
    client.waits_for("POP3 C: QUIT", "POP3 S: +OK")
    mailserver.pop3().quit()
    client.types("q", "Enter")
    client.waits_for("Subject: idle", "the text")


def test_a_mailbox_in_use_is_offered_again(mailserver: Any, face: Start) -> None:
    mailserver.deliver(b"Subject: patience\n\nx\n")
    client = face()
    client.waits_for("Welcome, alice")
    session = mailserver.pop3()
    client.types("1")
    client.waits_for("open in another session", "Try again?")
    session.quit()
    client.types("y")
    client.waits_for("patience")
    client.types("q", "q")
    assert client.ends() == 0


def test_nothing_of_a_message_drives_the_terminal(mailserver: Any, face: Start) -> None:
    mailserver.deliver(
        "From: \x1b]0;owned\x07 <eve@x>\nSubject: \x1b[2J\u202e=?utf-8?q?=C2=9B?=\n"
        "Content-Type: text/plain; charset=utf-8\n\n"
        "\x1b[6n\x1b]52;c;aGk=\x07 \x9b31m\x0e end\n".encode()
    )
    client = face(columns=120)
    client.waits_for("Manage Mail")
    client.types("1")
    client.waits_for("^[[2J<U+202E>=?utf-8?q?")
    client.types("Enter")
    client.waits_for("^[[6n^[]52;c;aGk=^G <U+009B>31m^N end")
    assert not {"\u202e", "\x9b", "\x0e"} & set(client.raw)
    assert "\x1b]52" not in client.raw
    client.types("q", "q", "q")
    assert client.ends() == 0


def test_colours_are_the_sixteen_that_every_terminal_has(mailserver: Any, face: Start) -> None:
    mailserver.deliver(b"Subject: grey\n\n> quoted\n")
    client = face()
    client.waits_for("Manage Mail")
    client.types("1")
    client.waits_for(">  1 N")
    assert (client.screen.cursor.y, client.screen.cursor.x) == (2, 0)
    assert not client.screen.cursor.hidden
    client.types("Enter")
    client.waits_for("> quoted")
    assert "\x1b[0;36m" in client.raw
    assert not re.search(r"\x1b\[[0-9;]*\b[34]8;", client.raw)


def test_no_color_has_no_colour(mailserver: Any, face: Start) -> None:
    mailserver.deliver(b"Subject: grey\n\n> quoted\n")
    client = face(NO_COLOR="1")
    client.waits_for("Manage Mail")
    client.types("1")
    client.waits_for("grey")
    client.types("Enter")
    client.waits_for("> quoted")
    assert not re.search(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7]|38)[;m]", client.raw)


def test_a_dumb_terminal_has_no_screen(mailserver: Any, face: Start) -> None:
    dumb = face(TERM="dumb")
    dumb.waits_for("Choose 1, 2 or 3:")
    assert "\x1b" not in dumb.raw


def test_a_killed_client_deletes_nothing(mailserver: Any, face: Start) -> None:
    mailserver.deliver(b"Subject: stays\n\nx\n")
    client = face()
    client.waits_for("Manage Mail")
    client.types("1")
    client.waits_for("stays")
    client.types("d")
    client.waits_for("1 marked")
    client.child.kill(signal.SIGKILL)
    client.ends()
    assert mailserver.count() == 1


MIXED = b"""\
From: Bob <bob@mailserver>
To: alice@mailserver, carol@mailserver
Subject: =?utf-8?q?Pl=C3=A4ne?=
Message-ID: <plans@mailserver>
X-Odd: yes
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

Here they are.
--b
Content-Type: application/pdf
Content-Disposition: attachment; filename="../../plans.pdf"
Content-Transfer-Encoding: base64

aGVsbG8=
--b--
"""


def wait_for_text(path: Path) -> str:
    """What another program writes to the file, once it is there."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return path.read_text()


def test_headers_source_and_attachments(mailserver: Any, face: Start, tmp_path: Path) -> None:
    mailserver.deliver(MIXED)
    opener, opened = tmp_path / "xdg-open", tmp_path / "opened"
    opener.write_text(
        f'#!/bin/sh\nstat -c "%n %a" "$1" > {opened}.part && mv {opened}.part {opened}\n'
    )
    opener.chmod(0o755)
    client = face(PATH=f"{tmp_path}:/bin:/usr/bin", TMPDIR=str(tmp_path))
    client.waits_for("Manage Mail")
    client.types("1")
    client.waits_for("N @", "Pläne")
    client.types("Enter")
    client.waits_for("Attachment 1: ", "plans.pdf", "Here they are.")
    client.types("H")
    client.waits_for("X-Odd: yes", "Subject: Pläne")
    client.types("q", "e")
    client.waits_for("=?utf-8?q?Pl=C3=A4ne?=")
    client.types("G")
    client.waits_for("aGVsbG8=")
    client.types("q", "v")
    client.waits_for("Attachments of message 1", ">  1", "application/pdf")
    client.types("s")
    client.waits_for("Save as: plans.pdf")
    client.types("Ctrl-U", str(tmp_path / "saved"), "Enter")
    client.waits_for("Saved as")
    assert (tmp_path / "saved").read_bytes() == b"hello"
    client.types("o")
    client.waits_for("Open plans.pdf with another program?")
    client.types("Esc")
    client.waits_for("Enter save", without="another program")
    assert not opened.exists()
    client.types("o", "y")
    client.waits_for("Given to xdg-open: ")
    name, mode = wait_for_text(opened).split()
    assert (Path(name).name, mode) == ("plans.pdf", "600")
    assert Path(name).read_bytes() == b"hello"
    assert (tmp_path / "saved").stat().st_mode & 0o777 == 0o600
    client.types("s", "Ctrl-U", str(tmp_path / "saved"), "Enter")
    client.waits_for("File exists")
    client.types("q", "s", "Ctrl-U", str(tmp_path / "whole.eml"), "Enter")
    client.waits_for("Saved as")
    assert b"X-Odd: yes\r\n" in (tmp_path / "whole.eml").read_bytes()


def test_reply_and_forward(mailserver: Any, face: Start) -> None:
    mailserver.deliver(MIXED)
    client = face()
    client.waits_for("Manage Mail")
    client.types("1")
    client.waits_for("Pläne")
    client.types("g")
    client.waits_for("To:      bob@mailserver", "Cc:      carol@mailserver", "> Here they are.")
    client.waits_for("Subject: Re: Pläne", "9/50")
    client.types("Ctrl-C")
    client.waits_for("Keep this message as a draft?")
    client.types("n")
    client.waits_for("Mail of alice")
    client.types("r")
    client.waits_for("> Here they are.", without="carol")
    client.types("Thanks.", "Ctrl-D", "y")
    client.waits_for("Sent. bob@mailserver: 250", "1 r @")
    client.types("F")
    client.waits_for("Subject: Fwd: Pläne", "-- attached: message.eml (")
    client.types("bob", "Tab")
    client.waits_for("To:      bob@mailserver")
    client.types("Ctrl-D", "y")
    client.waits_for("Sent. bob@mailserver: 250")
    client.types("q", "q")
    assert client.ends() == 0
    session = mailserver.pop3("bob")
    first, second = (b"\n".join(session.retr(number)[1]) for number in (1, 2))
    session.quit()
    assert b"In-Reply-To: <plans@mailserver>" in first
    assert b"\n\nThanks.\n\nBob wrote:\n> Here" in first
    assert b"Content-Type: message/rfc822" in second


def test_drafts_attachments_and_a_refusal(mailserver: Any, face: Start, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("a note")
    client = face()
    client.waits_for("Manage Mail")
    client.types("2")
    client.waits_for("0/50")
    client.types("nobody@mailserver,bob@mailserver", "Tab", "Tab", "Tab", "for later")
    client.types("Ctrl-A", str(note), "Enter")
    client.waits_for("-- attached: note.txt (6 B)")
    client.types("Ctrl-A", str(tmp_path / "missing"), "Enter")
    client.waits_for("No such file or directory: /")
    client.types("Ctrl-D", "y")
    client.waits_for("Sent to nobody: nobody@mailserver was refused: 550", "kept as a draft.")
    assert "\nbob@mailserver: 250" in client.text
    client.types("q", "Ctrl-C", "y")
    client.waits_for("(1 draft)", "Send Mail offers it again")
    client.types("q")
    assert client.ends() == 0
    again = face()
    again.waits_for("(1 draft)")
    again.types("2")
    again.waits_for("> A new message", "nobody@mailserver", "for later")
    again.types("Down", "Enter")
    again.waits_for("-- attached: note.txt")
    again.types("Esc")
    again.waits_for("Keep this message")
    again.types("n")
    again.waits_for("Manage Mail", without="draft")


def test_find_and_limit(mailserver: Any, face: Start) -> None:
    for number in range(1, 41):
        kind = "apple" if number % 10 == 0 else "pear"
        mailserver.deliver(f"Subject: {kind} {number}\n\nx\n".encode())
    client = face()
    client.waits_for("Manage Mail")
    client.types("1")
    client.waits_for("apple 40")
    client.types("/", "apple", "Enter")
    client.waits_for("> 10")
    client.types("n")
    client.waits_for("> 20")
    client.types("l", "subject:apple", "Enter")
    client.waits_for("4 with subject:apple", "apple 10", "> 20", "apple 40", without="pear")
    client.types("l", "Ctrl-U", "is:nonsense", "Enter")
    client.waits_for("is:nonsense is not known")
    client.types("l", "Ctrl-U", "Enter")
    client.waits_for("pear 2", "> 20")


@SIZES
def test_the_dialogue(mailserver: Any, face: Start, columns: int, rows: int) -> None:
    mailserver.deliver(b"Subject: looked at\n\nx\n")
    client = face(columns, rows)
    client.waits_for("Manage Mail")
    client.types("1")
    client.waits_for("looked")
    client.types("P")
    client.waits_for("The dialogue", "following", "TRANSACTION", "POP3 S:")
    client.types("Home")
    client.waits_for("standing still", ">", "AUTHORIZATION", "The connection itself")
    client.types("j")
    client.waits_for("The command succeeded")
    client.types("q", "Enter")
    client.waits_for("Subject: looked at")
    assert "wonderland" not in client.raw
    client.types("q", "q", "2")
    client.waits_for("Bcc:")
    client.types("alice@mailserver", "Ctrl-D", "y")
    client.waits_for("Sent. alice@mailserver")
    client.types("P")
    client.waits_for("221", "state ready")
    client.types("p")
    client.waits_for("Ends the session;")


def test_sort_threads_and_export(mailserver: Any, face: Start, tmp_path: Path) -> None:
    for subject, more in (("b", ""), ("c", ""), ("Re: b", "References: <b@x>\n"), ("a", "")):
        mailserver.deliver(f"Subject: {subject}\nMessage-ID: <{subject}@x>\n{more}\nx\n".encode())
    client = face()
    client.waits_for("Manage Mail")
    client.types("1")
    client.waits_for("Re: b", ">  4")
    client.types("o", "t")
    client.waits_for("by threads", "`-Re: b", ">  4")
    client.types("o", "s")
    client.waits_for(">  4", "by subject", without="`-")
    client.waits_until(
        lambda: [row[3] for row in client.rows[2:6]] == ["4", "1", "3", "2"], "such order"
    )
    client.types("l", "-subject:c", "Enter")
    client.waits_for("3 with -subject:c — by subject")
    client.types("o", "z")
    client.waits_for("3 with -subject:c — by size", "Re: b")
    client.types("o", "s")
    client.waits_for("by subject")
    mailserver.deliver(b"Subject: 0\n\nx\n")
    client.types("c")
    client.waits_for("1 new message.", "4 with -subject:c — by subject", "  5 N")
    client.waits_until(
        lambda: [row[3] for row in client.rows[2:6]] == ["5", "4", "1", "3"], "such order"
    )
    client.types("l", "Ctrl-U", "-subject:0", "Enter")
    client.waits_for("4 with -subject:0 — by subject")
    client.types("E", "Ctrl-U", str(tmp_path / "all.mbox"), "Enter")
    client.waits_for("4 messages saved as")
    assert (tmp_path / "all.mbox").read_bytes().count(b"\nSubject: ") == 4


def test_a_draft_that_no_folder_keeps_is_lost_only_by_a_yes(face: Start) -> None:
    client = face(XDG_STATE_HOME="/proc/nothing/is/kept/here")
    client.waits_for("Welcome, alice")
    client.types("2")
    client.waits_for("0/50")
    client.types("bob@mailserver", "Ctrl-C")
    client.waits_for("Keep this message as a draft?")
    client.types("y")
    client.waits_for("(1 draft)")
    for quits in ("3", "Ctrl-C", "Ctrl-D"):
        client.types(quits)
        client.waits_for("will be lost: no folder keeps it. Quit?", "y quit  Esc no")
        client.types("Esc")
        client.waits_for("? keys", without="will be lost")
    client.types("q", "y")
    assert client.ends() == 0


def test_the_title_says_tls_also_where_the_mailbox_is_in_use(mailserver: Any, face: Start) -> None:
    session = mailserver.pop3()
    client = face()
    client.waits_for("The mailbox is open in another session", "127.0.0.1 (TLS) ")
    session.quit()

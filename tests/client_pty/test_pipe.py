"""The whole story, typed by a pipe, with the real servers."""

from __future__ import annotations

import os
import re
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("MAIL_CORPUS", ROOT.parent / "shared" / "corpus"))
LOGIN = ("alice", "wonderland")
LOST = "The message that was not sent will be lost: no folder keeps it."
BODY = ("Hello, Grüße", ".dot", "..", "From here", "")
SEND = (
    "2",
    "From: alice@mailserver",
    "To: alice@mailserver",
    "Subject: Lab 3 für alle",
    *BODY,
    ".",
)
STORY = (*LOGIN, *SEND, "1", "1", "headers 1", "d 1", "list", "undelete 1", "d 1", "q", "1", "3")


def raw_controls(text: str) -> set[str]:
    """What no text from outside may bring to a terminal."""
    kinds = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return {c for c in text if unicodedata.category(c) in kinds and c != "\n"}


def test_the_whole_story(mailserver: Any, pipe: Any) -> None:
    talk = pipe(*STORY)
    assert (talk.err, talk.code) == ("", 0)
    assert "Sent to alice@mailserver.\n" in talk.out
    assert re.search(
        r"\n    1 N    \d{4}-\d\d-\d\d : \d\d : \d\d alice@mailserver +\d+ Lab 3 für alle\n",
        talk.out,
    )
    assert "Subject: Lab 3 für alle\n\nHello, Grüße\n.dot\n..\nFrom here\n\n" in talk.out
    assert "Message-ID: <" in talk.out
    assert "\n    1  D   2" in talk.out
    assert "1 message deleted.\n" in talk.out
    assert "There is no mail.\n" in talk.out.split("deleted.")[1]
    assert mailserver.count() == 0


def test_the_end_of_input_at_every_prompt_is_quit(mailserver: Any, pipe: Any) -> None:
    prompts = ("User name: ", "Password: ", "3: ", "From [alice@mailserver]: ", "To: ", "Subject: ")
    asked = {**dict(enumerate(prompts)), 6: "full stop ends it):", 12: "3: ", 13: "Mail> "}
    for length, prompt in asked.items():
        talk = pipe(*STORY[:length])
        assert (talk.err, talk.code) == ("", 0), STORY[:length]
        last = talk.out.removesuffix("The input ended before the message did: nothing was sent.\n")
        assert last.endswith(f"{prompt}\n")
    talk = pipe(*STORY[: STORY.index("d 1") + 1])
    assert talk.out.endswith("Mail> \n1 message deleted.\n")
    assert (talk.err, talk.code) == ("", 0)


def test_two_users(mailserver: Any, pipe: Any) -> None:
    talk = pipe(*LOGIN, "s", "", "bob@mailserver,alice@mailserver", "", "Hi", ".", "q")
    assert "Sent to bob@mailserver, alice@mailserver.\n" in talk.out
    talk = pipe("bob", "the builder", "m", "1", "q", "q")
    assert "(no subject)\n" in talk.out
    assert "From: alice@mailserver\nTo: bob@mailserver, alice@mailserver\n" in talk.out


def test_a_wrong_password(pipe: Any) -> None:
    talk = pipe("alice", "queen", *LOGIN, "3")
    assert "Wrong user name or password" in talk.out
    assert "Welcome, alice." in talk.out
    assert talk.code == 0
    assert pipe(*("alice", "queen") * 3).code == 77


def test_an_unknown_recipient(mailserver: Any, pipe: Any) -> None:
    wrong = ("2", "", "nobody@mailserver", "s", "Hi", ".")
    talk = pipe(*LOGIN, *wrong, "2", "e", "", "alice@mailserver", "", "", "3")
    assert re.search(r"Not sent: nobody@mailserver was refused: 550 .*No such user\n", talk.out)
    assert "Sent to alice@mailserver." in talk.out
    assert mailserver.count() == 1


def test_a_foreign_recipient(mailserver: Any, pipe: Any) -> None:
    """Who has logged in may send anywhere: the client logs in to send, too."""
    talk = pipe(*LOGIN, "2", "", "x@elsewhere.example", "s", "Hi", ".", "3")
    assert "Sent to x@elsewhere.example." in talk.out


def test_somebody_elses_address(mailserver: Any, pipe: Any) -> None:
    talk = pipe(*LOGIN, "2", "bob@mailserver", "alice@mailserver", "s", "Hi", ".", "3")
    assert re.search(r"Not sent: the sender bob@mailserver was refused: 553 .*not yours", talk.out)
    assert mailserver.count() == 0


def test_a_mailbox_in_use(mailserver: Any, pipe: Any) -> None:
    session = mailserver.pop3()
    try:
        talk = pipe(*LOGIN, "1", "3")
    finally:
        session.quit()
    assert talk.out.count("The mailbox is open in another session, which has to end first.\n") == 2
    assert talk.code == 0


HOSTILE = (
    "From: \x1b]0;owned\x07 <eve@elsewhere.example>\n"
    "Subject: =?utf-8?q?=1B[2J=C2=9B31m=E2=80=AEtxt.exe?= \x1b[5n\n"
    "Content-Type: multipart/mixed; boundary=b\n\n"
    "--b\nContent-Type: text/plain; charset=utf-8\n\n"
    "\x1b[6n \x9b \u202e\u2066 \u200b\ufeff \x08 \x7f \u2028 end\n"
    "--b\nContent-Type: text/html; charset=utf-8\n\n&#27;[2J&#x9b;&#x202e; end\n"
    "--b\nContent-Type: x/y; name*=utf-8''%1B%5B2J%E2%80%AEgpj.exe\n\nx\n--b--\n"
)


@pytest.mark.parametrize("language", ["C.UTF-8", "C"])
def test_no_byte_of_a_message_drives_the_terminal(
    mailserver: Any, pipe: Any, language: str
) -> None:
    mailserver.deliver(HOSTILE.encode())
    env = {"LANG": language, "LC_ALL": language, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    talk = pipe(*LOGIN, "1", "1", "headers 1", "q", "3", env=env)
    assert (talk.err, talk.code) == ("", 0)
    assert "^[[2J" in talk.out
    assert "<U+202E>" in talk.out
    assert raw_controls(talk.out) == set()


def test_typed_octets_that_are_no_text(mailserver: Any, pipe: Any) -> None:
    form = ("2", "", "alice@mailserver", b"K\xf6ln", "Koeln", b"\xff", "Hi", ".")
    talk = pipe(*LOGIN, *form, "3", env={"PYTHONIOENCODING": "utf-8:strict"})
    assert "Line 3 (Subject) is wrong: it holds octets that are no valid text" in talk.out
    assert "Line 4 (message) is wrong" in talk.out
    assert "Sent to alice@mailserver." in talk.out


def test_long_lines_and_large_messages_arrive(mailserver: Any, pipe: Any) -> None:
    count = 49_900_000 // len("large line\r\n")  # the server takes 50 MB
    mailserver.deliver(b"Subject: large\n\n" + b"y" * 70 + b"\n" + b"large line\n" * count)
    talk = pipe(
        *LOGIN, "2", "", "alice@mailserver", "long", "x" * 100_000, ".", "1", "1", "2", "q", "3"
    )
    assert talk.out.count("large line\n") == count
    assert "Fetching message 1, 49.9 MB" in talk.out
    assert "\n" + "x" * 100_000 + "\n" in talk.out


def test_a_server_that_is_lost_in_the_middle_of_a_message(
    mailserver: Any, relay: Any, pipe: Any
) -> None:
    mailserver.deliver(b"Subject: large\n\n" + b"large line\n" * 100_000)
    server_port, mailserver.pop3_port = mailserver.pop3_port, relay.port
    relay.drop_after(100_000)
    talk = pipe(*LOGIN, "1", "d 1", "1", "1", "1", "q", "3")
    assert "The connection was lost: the server closed it. Nothing was deleted." in talk.out
    assert talk.out.count("large line\n") == 100_000  # of the second attempt, and all of it
    assert (talk.err, talk.code) == ("", 0)
    mailserver.pop3_port = server_port
    assert mailserver.count() == 1


def test_a_server_that_is_down(pipe: Any, mailserver: Any) -> None:
    mailserver.smtp_port = mailserver.pop3_port = 9
    talk = pipe(*LOGIN, "1", "2", "a@b", "c@d", "s", ".", "3")
    assert talk.out.count("annot reach the POP3 server at 127.0.0.1 port 9: ") == 2
    assert "annot reach the SMTP server at 127.0.0.1 port 9: " in talk.out
    assert (talk.err, talk.code) == ("", 0)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "required"),
        (["host", "25"], "required"),
        (["host", "25", "110", "x"], "invalid choice"),
        (["host", "0", "110"], "no port number"),
        (["host", "65536", "110"], "no port number"),
        (["host", "smtp", "110"], "no port number"),
        (["", "25", "110"], "no server name"),
        (["\x1b[2J", "25", "110"], "no server name"),
    ],
)
def test_bad_arguments(client_command: list[str], arguments: list[str], why: str) -> None:
    done = subprocess.run(
        [*client_command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        env={**os.environ, "XDG_CONFIG_HOME": "/nowhere", "XDG_STATE_HOME": "/nowhere"},
    )
    usage, problem = done.stderr.splitlines()
    assert usage.startswith("usage: mailclient [-h] [options] server_IP smtp_port pop3_port")
    assert why in problem
    assert "\x1b" not in done.stderr
    assert done.returncode == 64


def test_everything_that_can_be_done_with_mail(
    mailserver: Any, pipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Order, threads, limits, answers and files, as a pipe has them."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "slides.pdf").write_bytes(b"%PDF\0")
    mailserver.deliver(b"From: Zoe <zoe@x>\nSubject: Lab\nMessage-ID: <1@x>\n\nfirst\n")
    mailserver.deliver(b"From: Ann <ann@x>\nSubject: Zoo\n\n" + b"x" * 5000 + b"\n")
    mailserver.deliver(
        b"From: Bob <bob@mailserver>\nSubject: Re: Lab\nReferences: <1@x>\n\nsecond\n"
    )
    more = ("Cc: bob@mailserver", "Attach: none.pdf", "Attach: slides.pdf", "alice@mailserver")
    talk = pipe(
        *LOGIN,
        *("2", "", *more, "with slides", "See it.", "."),
        *("1", "o sender", "o wings", "t", "l subject:lab", "l from:nobody", "limit", "/ is:new"),
        *("v 4", "s 4 1", "s 4", "s 4 9", "x 1-4 all.mbox", "x 1 all.mbox", "e 2"),
        *("r 3", "", "", "My answer", "."),
        *("g 4", "", "", "To all", "."),
        *("F 1", "alice@mailserver", "", "Look", "."),
        *("d 2", "$", "$", "c", "?", "3", "q", "3"),
    )
    assert (talk.err, talk.code) == ("", 0)
    assert "none.pdf cannot be attached: " in talk.out
    assert "Sent to alice@mailserver, bob@mailserver.\n  alice@mailserver: 250 " in talk.out
    assert "  Attached: slides.pdf (5 B)\n" in talk.out
    numbers = re.findall(r"(?m)^ {4}([1-4]) ", talk.out)
    assert numbers[:4] == ["1", "2", "3", "4"]
    assert numbers[4:8] == ["4", "2", "3", "1"]  # alice, Ann, Bob, Zoe
    assert '"wings" is no order; there is number, date' in talk.out
    assert re.search(r"`-Re: Lab\n", talk.out)
    assert numbers[12:14] == ["1", "3"]
    assert "There is nothing to list (by threads, limited to from:nobody)." in talk.out
    assert "4 messages found." in talk.out
    assert "Attachment 1: slides.pdf (application/pdf, about " in talk.out
    assert "Message 4 has no attachment 9." in talk.out
    assert "There is a file all.mbox already; it is kept." in talk.out
    files = {"slides.pdf", "slides (2).pdf", "with slides.eml", "all.mbox"}
    assert {path.name for path in folder.iterdir()} == files
    assert (folder / "slides (2).pdf").read_bytes() == b"%PDF\0"
    assert (folder / "all.mbox").read_bytes().count(b"\nFrom ") == 3
    assert "To [bob@mailserver]: " in talk.out
    assert "Subject [Re: Lab]: " in talk.out
    assert "Nothing is marked." in talk.out
    assert mailserver.count() == 5  # two gone, an answer to all and a forward came
    assert mailserver.count("bob") == 3


def test_what_a_pipe_could_not_send_is_offered_in_the_same_run_only(
    mailserver: Any, pipe: Any
) -> None:
    port, mailserver.smtp_port = mailserver.smtp_port, 9
    message = ("2", "alice@mailserver", "alice@mailserver", "kept", "Hi", ".")
    talk = pipe(*LOGIN, *message, "2", "s", "3")
    assert talk.out.count("The message is kept") == 2
    assert talk.out.count("2  Send Mail  (a message waits to be sent)") == 2
    assert talk.out.endswith(f"3: \n{LOST}\n")
    assert talk.code == 0
    assert pipe(*LOGIN, *message).out.endswith(f"3: \n{LOST}\n")
    mailserver.smtp_port = port
    talk = pipe(*LOGIN, *message, "3")
    assert "Sent to alice@mailserver." in talk.out
    assert "wait" not in talk.out
    assert mailserver.count() == 1


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the folder of real messages is not here")
def test_real_messages(mailserver: Any, pipe: Any) -> None:
    """All of the corpus through the servers and the client."""
    paths = sorted(path for path in CORPUS.rglob("*.eml") if path.is_file())
    assert paths
    for path in paths:
        mailserver.deliver(path.read_bytes())
    talk = pipe(*LOGIN, "1", *map(str, range(1, len(paths) + 1)), "q", "3")
    assert (talk.err, talk.code) == ("", 0)
    assert raw_controls(talk.out) == set()
    assert talk.out.count("\nMessage ") >= len(paths)

"""The client driven by a script: every verb there and back, with the real servers."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mailclient

Verb = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def verb(mailserver: Any, client_command: list[str], tmp_path: Path, homes: dict[str, str]) -> Verb:
    """Run `mailclient SERVER PORT PORT --user alice --password-file F` with these words."""
    folder = tmp_path / "client"
    folder.mkdir()
    (folder / "password").write_text("wonderland\n")

    def run(
        *words: str, typed: bytes = b"", server: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        where = ["127.0.0.1", str(mailserver.smtp_port), str(mailserver.pop3_port)]
        who = ["--user", "alice", "--password-file", str(folder / "password")]
        return subprocess.run(
            [*client_command, *([*where, *who] if server else []), *words],
            input=typed,
            capture_output=True,
            timeout=30,
            check=False,
            cwd=folder,
            env={**os.environ, **homes},
        )

    return run


def told(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    assert (done.returncode, done.stderr) == (0, b"")
    data = json.loads(done.stdout)
    assert data["schema"] == 1
    return dict(data)


def failed(done: subprocess.CompletedProcess[bytes]) -> tuple[int, str]:
    assert done.stdout == b""
    return done.returncode, json.loads(done.stderr)["error"]["code"]


def test_every_verb_there_and_back(verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "client" / "slides.pdf").write_bytes(b"%PDF\0\xff")
    sent = told(
        verb(
            *("--json", "send", "--to", "alice@mailserver", "--bcc", "bob@mailserver"),
            *("--subject", "Lab 3 für alle", "--attach", "slides.pdf"),
            typed="Grüße\n.dot\n".encode(),
        )
    )
    assert [(one["address"], one["taken"]) for one in sent["recipients"]] == [
        ("alice@mailserver", True),
        ("bob@mailserver", True),
    ]
    assert told(verb("count", "--json"))["messages"] == 1

    (line,) = told(verb("list", "--json"))["messages"]
    assert (line["n"], line["subject"], line["flags"]) == (
        1,
        "Lab 3 für alle",
        ["new", "attachment"],
    )
    assert line["from"]["address"] == "alice@mailserver"
    assert told(verb("list", "--json", "--new"))["messages"] == []

    message = told(verb("read", line["uidl"], "--json", "--mark-read"))["message"]
    assert message["text"] == "Grüße\n.dot\n"
    assert [(one["part"], one["name"]) for one in message["attachments"]] == [(1, "slides.pdf")]
    assert verb("read", "1", "--part", "1").stdout == b"%PDF\0\xff"
    assert b"\r\nSubject: =?utf-8?" in verb("read", "1", "--raw").stdout
    assert "Subject: Lab 3 für alle\n".encode() in verb("read", "1", "--headers").stdout

    told(verb("reply", "1", "--json", typed=b"Thanks\n"))
    lines = told(verb("list", "--json", "--match", "subject:lab"))["messages"]
    assert [(one["subject"], one["flags"][0]) for one in lines] == [
        ("Lab 3 für alle", "answered"),
        ("Re: Lab 3 für alle", "new"),
    ]
    text = verb("read", "2").stdout.decode()
    assert "\nThanks\n\nOn " in text
    assert "\n> Grüße\n> .dot\n" in text

    assert told(verb("save", "1", "1", "--json"))["path"] == "slides (2).pdf"
    path = told(verb("save", "2", "--json", "--out", "second.eml"))["path"]
    assert b"\r\nSubject: " in (tmp_path / "client" / path).read_bytes()

    assert told(verb("delete", "--uidl", line["uidl"], "--json"))["deleted"] == [line["uidl"]]
    assert verb("count").stdout.startswith(b"1 ")
    steps = told(verb("doctor", "--json"))["steps"]
    assert not [step for step in steps if step["ok"] is False]
    assert {"name", "SMTP greeting", "POP3 login", "mailbox"} <= {step["step"] for step in steps}


def test_more_header_lines_and_a_report(verb: Verb) -> None:
    words = ("--to", "Alice <alice@mailserver>", "--body", "x", "--dsn", "--timeout", "20")
    told(verb("--json", "send", *words, "--header", "X-Lab: drei für alle", "--header", "List:x"))
    assert "\nX-Lab: drei für alle\nList: x\n".encode() in verb("read", "1", "--headers").stdout
    wrong = verb("--json", "send", *words, "--header", "Subject: twice")
    assert failed(wrong) == (65, "bad_argument")
    assert verb("count", "--timeout", "0").returncode == 64


FORMS = b"""\
Subject: both
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain

The plain one.
--b
Content-Type: text/html

<p>The <a href="http://x.example/">other</a> one.</p>
--b--
"""


def test_a_message_in_two_forms(verb: Verb, mailserver: Any) -> None:
    mailserver.deliver(FORMS)
    for options in ((), ("--text",)):
        text = verb("read", "1", *options).stdout
        assert text.endswith(b"\nThe plain one.\n")
        assert b"other" not in text
    html = verb("read", "1", "--html").stdout
    assert b"\nThe other [1] one.\n" in html
    assert b"http://x.example/" in html
    assert b"plain" not in html


def test_waiting_for_a_message(verb: Verb, mailserver: Any) -> None:
    mailserver.deliver(b"From: eve@x\nSubject: other\n\n")

    def later() -> None:
        mailserver.deliver(b"From: Shop <shop@x>\nSubject: Your code 123\n\n")

    timer = threading.Timer(0.5, later)
    timer.start()
    found = verb("wait", "--json", "--from", "shop@x", "--subject", r"code \d+", "--timeout", "20")
    timer.join()
    assert told(found)["message"]["subject"] == "Your code 123"
    assert failed(verb("wait", "--json", "--from", "nobody@x", "--timeout", "0")) == (75, "timeout")


def test_a_file_as_it_is(verb: Verb, tmp_path: Path) -> None:
    eml = b"From: alice@mailserver\nTo: Bob <bob@mailserver>\nSubject: K\xc3\xb6ln\n\n.x\n"
    (tmp_path / "client" / "one.eml").write_bytes(eml)
    assert told(verb("send", "--json", "--eml", "one.eml", "--to", "alice@mailserver"))
    assert verb("read", "1", "--raw").stdout.endswith(b"\r\n\r\n.x\r\n")
    assert verb("send", "--eml", "one.eml", "--dry-run").stdout == eml.replace(b"\n", b"\r\n")


STATUSES = (
    (("read", "9"), 1, "no_such_message"),
    (("delete", "--uidl", "never"), 1, "no_such_message"),
    (("read", "1", "--part", "5"), 1, "no_such_part"),
    (("delete",), 64, "usage"),
    (("send", "--body", "x"), 64, "usage"),
    (("list", "--match", "is:odd"), 64, "usage"),
    (("wait", "--subject", "("), 64, "usage"),
    (("send", "--to", "x", "--body", "x"), 65, "bad_argument"),
    (("send", "--to", "a@x", "--subject", "x" * 51, "--body", "x"), 65, "bad_argument"),
    (("send", "--to", "a@x", "--body-file", "none"), 66, "no_input"),
    (("send", "--to", "a@x", "--body", "x", "--attach", "none"), 66, "no_input"),
    (("send", "--to", "nobody@mailserver", "--body", "x"), 69, "not_sent"),
    (("save", "1", "--out", "users.txt"), 73, "cannot_create"),
    (("count", "--user", "queen"), 77, "login_refused"),
    (("count", "--ca-file", "none"), 78, ""),
)


def test_statuses(
    mailserver: Any,
    homes: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """In this process: the command's `main` with other arguments."""
    mailserver.deliver(b"Subject: s\n\nx\n")
    monkeypatch.chdir(mailserver.data)
    (mailserver.data / "password").write_text("wonderland\n")
    for name, value in homes.items():
        monkeypatch.setenv(name, value)
    where = ("127.0.0.1", str(mailserver.smtp_port), str(mailserver.pop3_port), "--json")
    who = ("--user", "alice", "--password-file", "password")
    for words, status, code in STATUSES:
        monkeypatch.setattr("sys.argv", ["mailclient", *where, *who, *words])
        assert mailclient.main() == status, words
        out, err = capfd.readouterr()
        assert out == "", words
        assert code == (json.loads(err)["error"]["code"] if code else ""), words
    assert mailserver.count() == 1


def test_a_mailbox_in_use_and_servers_that_are_not_there(verb: Verb, mailserver: Any) -> None:
    session = mailserver.pop3()
    assert failed(verb("count", "--json")) == (75, "mailbox_in_use")
    session.quit()
    mailserver.pop3_port = 9
    assert failed(verb("count", "--json")) == (69, "unreachable")
    words = ("no.such.host.invalid", "25", "110", "--user", "a", "--password-file", "password")
    assert failed(verb(*words, "count", "--json", server=False)) == (68, "unknown_host")


def test_a_trace_holds_no_password(verb: Verb, tmp_path: Path) -> None:
    verb("--trace", "trace", "send", "--to", "alice@mailserver", "--body", "secret body")
    verb("--trace", "trace", "read", "1")
    path = tmp_path / "client" / "trace"
    text = path.read_text()
    assert "SMTP C: RCPT TO:<alice@mailserver>\n" in text
    assert "POP3 S: secret body\n" in text
    assert "wonderland" not in text
    assert path.stat().st_mode & 0o077 == 0


def test_accounts_of_the_configuration(verb: Verb, mailserver: Any, tmp_path: Path) -> None:
    assert verb("list", server=False).returncode == 64
    path = tmp_path / "client" / "config" / "mailclient" / "config.toml"
    path.parent.mkdir(parents=True)
    table = (
        f'server = "127.0.0.1"\nsmtp_port = {mailserver.smtp_port}\n'
        f"pop3_port = {mailserver.pop3_port}\n"
    )
    path.write_text(
        f'[accounts.a]\nuser = "alice"\npassword_command = "cat password"\n{table}'
        f'[accounts.b]\nuser = "bob"\npassword_command = "echo the builder"\n{table}'
    )
    mailserver.deliver(b"Subject: s\n\n", "bob")
    assert verb("count", server=False).stdout.startswith(b"0 ")
    assert verb("--account", "b", "count", server=False).stdout.startswith(b"1 ")
    assert verb("count", server=False).stdout.startswith(b"1 ")  # the last one
    path.write_text(f"[accounts.b]\npassword = 'x'\n{table}")
    done = verb("count", server=False)
    assert done.returncode == 78
    assert b"others may read it" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion(verb: Verb, shell: str) -> None:
    done = verb("completion", shell, server=False)
    assert done.returncode == 0
    assert b"doctor" in done.stdout

"""Files in and out: attachments, configuration, passwords, the trace."""

from __future__ import annotations

import io
import stat
from datetime import datetime
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from mailapp import compose, saving
from mailapp.attaching import attach
from mailapp.compose import Attachment, Draft, FieldProblem
from mailapp.config import AccountConfig, ConfigProblem, read_config
from mailapp.mailbox import Message
from mailapp.saving import safe_name
from mailapp.secret import password
from mailapp.trace import MAX_CONTENT_LINES, Line, Trace, as_text

NOW = datetime.fromisoformat("2026-11-23T14:05:09+00:00")
INNER = b"Subject: inner\r\n\r\nK\xc3\xb6ln\r\n"
DRAFT = Draft(
    "a@x",
    ("b@x",),
    "s",
    ("Hi", "--=_"),
    cc=("c@x",),
    bcc=("d@x",),
    attachments=(
        Attachment("plain.txt", "text/plain", b"\0\xff\r\n" * 100),
        Attachment('n\u00e4me "x".bin', "application/octet-stream", b""),
        Attachment("message.eml", "message/rfc822", INNER),
    ),
    in_reply_to="<1@x>",
    references=("<0@x>", "<1@x>"),
)


def test_a_message_with_attachments_as_another_program_reads_it() -> None:
    octets = compose.to_message(DRAFT, NOW, "id@x")
    assert b"d@x" not in octets.replace(b"id@x", b"")
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))
    message = message_from_bytes(octets, policy=policy.default)
    text, plain, empty, inner = message.iter_parts()
    assert (message["Cc"], message["In-Reply-To"], message["References"]) == (
        "c@x",
        "<1@x>",
        "<0@x> <1@x>",
    )
    assert text.get_content().split() == ["Hi", "--=_"]
    assert plain.get_filename() == "plain.txt"
    assert plain.get_payload(decode=True) == b"\0\xff\r\n" * 100
    assert empty.get_filename() == 'n\u00e4me "x".bin'
    assert inner.get_content()["Subject"] == "inner"


def test_the_client_reads_what_it_wrote(tmp_path: Path) -> None:
    message = Message(1, io.BytesIO(compose.to_message(DRAFT, NOW, "id@x")))
    items = saving.enclosed(message)
    assert [(one.name, one.content_type) for one in items] == [
        ("plain.txt", "text/plain"),
        ('n\u00e4me "x".bin', "application/octet-stream"),
        ("message.eml", "message/rfc822"),
    ]
    paths = [saving.save_enclosed(message, one, tmp_path) for one in items]
    assert [path.name for path in paths] == ["plain.txt", "n\u00e4me _x_.bin", "message.eml"]
    assert [path.read_bytes() for path in paths] == [b"\0\xff\r\n" * 100, b"", INNER]


def test_no_file_is_written_over(tmp_path: Path) -> None:
    paths = [saving.save(tmp_path, "a.txt", [b"x"]) for _ in range(3)]
    assert [path.name for path in paths] == ["a.txt", "a (2).txt", "a (3).txt"]
    assert stat.S_IMODE(paths[0].stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        saving.save(tmp_path / "a.txt", "b", [b"y"])
    assert paths[0].read_bytes() == b"x"
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="link"):
        saving.save(tmp_path / "link", "b", [b"y"])
    assert saving.save(tmp_path, "link", [b"y"]).name == "link (2)"


def test_half_a_file_is_removed(tmp_path: Path) -> None:
    def broken() -> list[bytes]:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        saving.save(tmp_path, "a", (chunk for _ in (1,) for chunk in broken()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.exe", "y.exe"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("~root", "root"),
        ("", "attachment"),
        ("...", "attachment"),
        ("a\x1b[2Jb\n.txt", "a_[2Jb_.txt"),
        ("gpj\u202eexe.txt", "gpj_exe.txt"),
        ("a\u00a0b\u2003c", "a_b_c"),
        ("x" * 500 + ".pdf", "x" * 196 + ".pdf"),
        ("\u6f22" * 200 + ".pdf", "\u6f22" * 65 + ".pdf"),
        ("~/.ssh/key", "key"),
        ("\ud800x", "_x"),
    ],
)
def test_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_attaching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"p")
    (tmp_path / "b.eml").write_bytes(b"e")
    draft = attach(Draft("a@x", (), "", ()), [tmp_path / "a.png", tmp_path / "b.eml"])
    kinds = [one.content_type for one in draft.attachments]
    assert kinds == ["image/png", "application/octet-stream"]
    with pytest.raises(OSError, match="none"):
        attach(draft, [tmp_path / "none"])
    monkeypatch.setattr("mailapp.attaching.MAX_OCTETS", 2)
    with pytest.raises(FieldProblem, match=r"a\.png"):
        attach(draft, [tmp_path / "a.png"])


CONFIG = '[accounts.a]\nserver = "h"\nsmtp_port = 25\npop3_port = 110\nuser = "u"\n'


def test_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert read_config(path) == {}
    path.write_text(CONFIG)
    assert read_config(path) == {"a": AccountConfig("h", 25, 110, "u")}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("x", "config.toml"),
        ("x = 1\n", "accounts.a.x is not known"),
        ("tls = 1\n", "tls must be a str"),
        ('tls = "perhaps"\n', "tls is 'perhaps'"),
        ("[other]\n", r"only tables named \[accounts.NAME\]"),
        ('[accounts.b]\nserver = "h"\n', "accounts.b.smtp_port is missing"),
        ("[accounts.b]\nserver = 'h'\nsmtp_port = 0\npop3_port = 1\n", "1 to 65535"),
        ('password = "p"\n', "others may read it"),
    ],
)
def test_a_wrong_configuration(tmp_path: Path, more: str, why: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG + more)
    path.chmod(0o644)
    with pytest.raises(ConfigProblem, match=why):
        read_config(path)


def test_a_password_where_nobody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG + 'password = "p"\n')
    path.chmod(0o600)
    assert password("", {}, read_config(path)["a"]) == "p"


def test_where_a_password_comes_from(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("first \r\nrest\n")
    (tmp_path / "two").write_bytes(b"\xff")
    here, there = str(tmp_path / "one"), {"MAILCLIENT_PASSWORD_FILE": str(tmp_path / "two")}
    account = AccountConfig("h", 1, 1, password_command="echo  'from a command'")
    assert password(here, there, account) == "first "
    assert password("", {}, account) == "from a command"
    assert password("", {}, None) is None
    for wrong in ("false", "no-such-command-here", "'"):
        with pytest.raises(ConfigProblem, match="password_command"):
            password("", {}, AccountConfig("h", 1, 1, password_command=wrong))
    for environment in (there, {"MAILCLIENT_PASSWORD_FILE": "/nowhere"}):
        with pytest.raises(ConfigProblem):
            password("", environment, account)


def test_a_trace_shows_the_first_lines_and_counts_the_rest() -> None:
    seen: list[Line] = []
    trace = Trace("POP3", seen.append, "TRANSACTION")
    trace.client("RETR 1")
    content = trace.content("S")
    for _ in range(1000):
        content.feed(b"line\r")
        content.feed(b"\n")
    content.feed(b"x" * 5000)
    content.end()
    texts = [line.text for line in seen]
    assert texts[: MAX_CONTENT_LINES + 1] == ["RETR 1"] + ["line"] * MAX_CONTENT_LINES
    assert texts[MAX_CONTENT_LINES + 1 :] == [f"… {960 * 6 + 5000:,} octets more"]
    assert as_text(seen[0])[12:] == " POP3 C: RETR 1"

"""Terminals of three sizes, and what is large, slow, lost or taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.client_pty.face import Face
from tests.client_pty.relay import Relay

Start = Callable[..., Face]
SIZES = pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10), (200, 60)])
MANY = 10_000
STORED = "From bob@mailserver Mon Nov 23 14:05:09 2026\n"


@pytest.fixture
def face(
    mailserver: Any, relay: Relay, homes: dict[str, str], client_command: list[str]
) -> Iterator[Start]:
    """Start the client in a terminal of this size, signed in, in the list; POP3 by the relay."""
    running: list[Face] = []
    secret = mailserver.data / "secret"
    secret.write_text("wonderland\n")

    def start(columns: int, rows: int) -> Face:
        options = ["--user", "alice", "--password-file", str(secret), "--tls", "off"]
        ports = [str(mailserver.smtp_port), str(relay.port)]
        settings = {**homes, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PATH": "/bin:/usr/bin"}
        command = [*client_command, *options, "127.0.0.1", *ports]
        running.append(Face(command, settings, columns, rows))
        running[-1].waits_for("Manage Mail", "127.0.0.1 (not encrypted)")
        running[-1].types("1")
        running[-1].waits_for("Mail of alice")
        return running[-1]

    yield start
    for one in running:
        one.close()


def store(mailserver: Any, *messages: str) -> None:
    """As a mailbox file that another program made."""
    folder = mailserver.data / "alice"
    folder.mkdir(exist_ok=True)
    (folder / "mymailbox").write_text("".join(f"{STORED}{one}\n" for one in messages))


@SIZES
def test_ten_thousand_messages(mailserver: Any, face: Start, columns: int, rows: int) -> None:
    store(mailserver, *(f"Subject: s{n}\n\ntext {n}\n" for n in range(1, MANY + 1)))
    client = face(columns, rows)
    client.waits_for("s10000", ">10000")
    client.types("Home")
    client.waits_for("> ", " s1\n", " s2\n")
    client.types(" ", " ")
    client.waits_for(f" s{2 * (rows - 5) - 3}\n" if rows < 20 else f" s{2 * (rows - 6) - 2}\n")
    client.types("5", "0", "0", "0", "Enter")
    client.waits_for("> 5000", " s5000\n")
    client.types("Enter")
    client.waits_for("Message 5,000", "text 5000")


@SIZES
def test_a_large_message_on_a_slow_line(
    mailserver: Any, relay: Relay, face: Start, columns: int, rows: int
) -> None:
    size = 50_000_000 if (columns, rows) == (80, 24) else 5_000_000
    line = "x" * 99 + "\n"
    store(mailserver, "Subject: large\n\nfirst line\n" + line * (size // len(line)))
    client = face(columns, rows)
    client.waits_for("large")
    relay.hold_after(2 * size // 5)
    client.types("Enter")
    bar = ("[####", "MB of 5") if columns >= 72 else ("3", "%")
    client.waits_for(*bar, "Ctrl-C cancels")
    client.types("Ctrl-C")
    client.waits_for("Cancelled.")
    relay.go_on()
    client.types("Enter")
    client.waits_for("Subject: large", "first line")
    client.types("q", "q", "q")
    assert client.ends() == 0


@SIZES
def test_the_server_is_lost_in_the_middle_of_a_message(
    mailserver: Any, relay: Relay, face: Start, columns: int, rows: int
) -> None:
    store(mailserver, "Subject: one\n\nx\n", "Subject: two\n\n" + "y" * 70 + "\n" * 200_000)
    client = face(columns, rows)
    client.waits_for("one", "two")
    client.types("k", "d")
    client.waits_for("ND")
    relay.hold_after(100_000)
    client.types("Enter")
    client.waits_for("Ctrl-C cancels")
    relay.drop()
    client.waits_for("The connection was lost")
    client.types("Enter")
    client.waits_for("Subject: two", "yyy")
    client.types("q", "q")
    client.waits_for("Delete 1 marked message?")
    client.types("y")
    client.waits_for("1 message deleted")
    client.types("3")
    assert client.ends() == 0
    assert mailserver.count() == 1


@SIZES
def test_the_mailbox_is_taken(mailserver: Any, face: Start, columns: int, rows: int) -> None:
    store(mailserver, "Subject: free\n\nx\n")
    client = face(columns, rows)
    client.waits_for("free")
    client.types("q")
    client.waits_for("Manage Mail")
    session = mailserver.pop3()
    client.types("1")
    client.waits_for("The mailbox is open in another", "Esc no")
    session.quit()
    client.types("y")
    client.waits_for("free")


@SIZES
def test_compose_and_undo(mailserver: Any, face: Start, columns: int, rows: int) -> None:
    store(mailserver, "Subject: free\n\nx\n")
    client = face(columns, rows)
    client.waits_for("free")
    client.types("d")
    client.waits_for("ND")
    client.types("u")
    client.waits_for("N ", without="ND")
    client.types("q", "2")
    client.waits_for("Bcc:")
    client.types("alice@mailserver", "Tab", "Tab", "Tab", "written", "Tab", "word " * 60)
    client.waits_for("7/50", "word word")
    client.types("Ctrl-D", "y")
    client.waits_for("Sent. alice@mailserver")
    assert mailserver.count() == 2

"""The conversation with a person, over scripted servers that misbehave."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from typing import Any

import pytest

from mailapp.actions import Account, Server
from mailapp.line_mode import LineMode
from mailapp.link import Link
from mailapp.terminal import OutputClosed, Terminal

Start = Callable[..., Any]
GREETED = (b"+OK\r\n", "CAPA", b"-ERR unknown command\r\n")
GREET = b"220 mailserver ready\r\n"
EHLO = f"ehlo {socket.gethostname()}"


def talk(pop3: Any, *lines: str, smtp: Any = None) -> tuple[str, int]:
    """What the client says when these lines are typed, and its exit code."""
    typed, said = io.StringIO("".join(f"{line}\n" for line in lines)), io.StringIO()
    server = Server("127.0.0.1", smtp.port if smtp else 9, pop3.port)
    code = LineMode(Terminal(typed, said), server).run()
    return said.getvalue(), code


@pytest.fixture
def check(login: list[Any]) -> list[Any]:
    """The first login, that only checks the password."""
    return [*login, "QUIT", b"+OK\r\n"]


@pytest.fixture
def listed(login: list[Any]) -> list[Any]:
    """A login, and the list of the three messages."""
    headers = "From: bob@x\r\nSubject: s{0}\r\n\r\n.\r\n"
    replies = "".join("+OK\r\n" + headers.format(number) for number in (1, 2, 3))
    names = [*("UIDL 1", "UIDL 2", "UIDL 3"), b"+OK 1 a\r\n+OK 2 b\r\n+OK 3 c\r\n"]
    sizes = [*("LIST 1", "LIST 2", "LIST 3"), b"+OK 1 100\r\n+OK 2 100\r\n+OK 3 100\r\n"]
    return [*login, *names, *sizes, "TOP 1 0", "TOP 2 0", "TOP 3 0", replies.encode()]


@pytest.mark.parametrize("quit_word", ["3", "q", "Quit", "QUIT"])
def test_the_menu_has_three_options(peer: Start, check: list[Any], quit_word: str) -> None:
    said, code = talk(peer(check), "alice", "secret", quit_word)
    assert "\n  1  Manage Mail\n  2  Send Mail\n  3  Quit\n" in said
    assert "Welcome, alice." in said
    assert code == 0


def test_an_unknown_option_is_explained(peer: Start, check: list[Any]) -> None:
    said, _ = talk(peer(check), "alice", "secret", "x\x1b[2J", "", "3")
    assert said.count("Please type 1, 2 or 3") == 2
    assert "\x1b" not in said


@pytest.mark.parametrize("word", ["1", "m", "M", "Manage Mail", "manage"])
def test_manage_mail(peer: Start, check: list[Any], listed: list[Any], word: str) -> None:
    server = peer(check, [*listed, "QUIT", b"+OK\r\n"])
    said, _ = talk(server, "alice", "secret", word, "q", "3")
    assert "    2 N    (unknown)            bob@x             100 s2\n" in said
    server.finish()


def test_help_fits_into_72_columns(peer: Start, check: list[Any], listed: list[Any]) -> None:
    said, _ = talk(
        peer(check, [*listed, "QUIT", b"+OK\r\n"]), "alice", "secret", "m", "?", "q", "3"
    )
    rows = said.split("Mail> ")[1].split("\n")
    assert "  d  delete 3 5-7     mark messages to be deleted when you leave" in rows
    assert not [row for row in rows if len(row) > 72]


def test_a_wrong_password_is_asked_for_again(peer: Start, check: list[Any]) -> None:
    wrong = [*GREETED, "USER alice", b"+OK\r\n", "PASS x", b"-ERR [AUTH] n\x1bo\r\n"]
    said, code = talk(peer(wrong, check), "alice", "x", "alice", "secret", "3")
    assert "Wrong user name or password (the server says: n^[o).\nUser name: " in said
    assert code == 0


def test_three_wrong_passwords_are_enough(peer: Start) -> None:
    wrong = [*GREETED, "USER a", b"+OK\r\n", "PASS x", b"-ERR no\r\n"]
    said, code = talk(peer(wrong, wrong, wrong), *["a", "x"] * 4)
    assert said.endswith("Too many wrong passwords.\n")
    assert code == 77


def test_a_mailbox_in_use(peer: Start, check: list[Any]) -> None:
    busy = [*GREETED, "USER alice", b"+OK\r\n", "PASS secret", b"-ERR [IN-USE] locked\r\n"]
    said, code = talk(peer(busy, busy, check), "alice", "secret", "1", "3")
    line = "The mailbox is open in another session, which has to end first.\n"
    assert said.count(line) == 2
    assert code == 0


def test_a_server_that_is_down_is_named(peer: Start) -> None:
    server = peer([])
    socket.create_connection(("127.0.0.1", server.port)).close()
    server.finish()  # from now on nobody listens
    said, code = talk(server, "alice", "secret", "1", "3")
    line = f"Cannot reach the POP3 server at 127.0.0.1 port {server.port}: connection refused"
    assert said.count(line) == 2
    assert code == 0


@pytest.mark.parametrize(
    "reply",
    [b"", b"+OK\r\nSubject: half", b"garbage\r\n", b"+OK " + b"x" * 100_000, b"+OK\r\n\x1b[2J"],
)
def test_a_session_that_breaks_deletes_nothing_and_says_so(
    peer: Start, check: list[Any], listed: list[Any], reply: bytes
) -> None:
    server = peer(check, [*listed, "RETR 1", reply])
    said, code = talk(server, "alice", "secret", "1", "d 2", "1", "3")
    assert ". Nothing was deleted.\n\n  1  Manage Mail\n" in said
    assert code == 0
    assert "\x1b" not in said
    server.finish()


def test_deletions_are_carried_out_when_one_leaves(
    peer: Start, check: list[Any], listed: list[Any]
) -> None:
    leaving = ["DELE 1", "DELE 3", b"+OK\r\n-ERR no\r\n", "QUIT", b"+OK\r\n"]
    server = peer(check, [*listed, *leaving])
    said, _ = talk(server, "alice", "secret", "1", "delete 1-3", "undelete 2", "q", "3")
    assert "3 messages marked" in said
    assert "Message 3 was not deleted: no\n1 message deleted.\n" in said
    server.finish()


def test_the_end_of_input_is_leaving(peer: Start, check: list[Any], listed: list[Any]) -> None:
    server = peer(check, [*listed, "DELE 2", b"+OK\r\n", "QUIT", b"+OK\r\n"])
    said, code = talk(server, "alice", "secret", "1", "d 2")
    assert said.endswith("1 message deleted.\n")
    assert code == 0
    server.finish()


def test_a_server_that_does_not_delete(peer: Start, check: list[Any], listed: list[Any]) -> None:
    server = peer(check, [*listed, "DELE 2", b"+OK\r\n", "QUIT", b"-ERR disk full\r\n"])
    said, _ = talk(server, "alice", "secret", "1", "d 2", "q", "3")
    assert "The server did not delete everything: disk full\n" in said


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("frobnicate", '"frobnicate" is not known here; try help.'),
        ("9", "There is no message 9 (1 to 3)."),
        ("0", "There is no message 0 (1 to 3)."),
        ("d 2-9999999", "There is no message 2-9999999 (1 to 3)."),
        ("d 3-2", "There is no message 3-2 (1 to 3)."),
        ("d x", '"x" is no message number.'),
        ("d", "Which message?"),
        ("d ٣", '"٣" is no message number.'),
        ("9" * 5000, "is not known here"),
        ("help", "delete 3 5-7"),
        ("", "There are no earlier messages."),
        ("\x1b[A", '"^[[A" is not known here'),
    ],
)
def test_what_cannot_be_done_is_said(
    peer: Start, check: list[Any], listed: list[Any], line: str, answer: str
) -> None:
    server = peer(check, [*listed, "QUIT", b"+OK\r\n"])
    assert answer in talk(server, "alice", "secret", "1", line, "q", "3")[0]


FORM = ("From: alice@x", "To: bob@x", "Subject: s", "Hi", ".")


def smtp_script(*recipients: str, reply: bytes = b"250 OK\r\n") -> list[Any]:
    commands: list[Any] = [GREET, EHLO, b"250 mailserver\r\n", "MAIL FROM:<alice@x>", b"250 OK\r\n"]
    for recipient in recipients:
        commands += [f"RCPT TO:<{recipient}>", reply]
    return commands


def test_the_form_says_which_line_is_wrong_and_keeps_the_rest(
    peer: Start, check: list[Any]
) -> None:
    smtp = peer([GREET], smtp_script("bob@x", reply=b"550 No such user\r\n"))
    typed = ["", "bob", "bob@x", "ü" * 51, "x", "one", "two\0", "two", "."]
    said, code = talk(peer(check), "alice", "secret", "2", *typed, "3", smtp=smtp)
    assert "From [alice@mailserver]: " in said
    assert 'Line 2 (To) is wrong: "bob" has no @; it has to be username@domain_name.' in said
    assert "Line 3 (Subject) is wrong: the subject has 51 characters" in said
    assert "Line 5 (message) is wrong: NUL" in said
    assert code == 0
    smtp.finish_quietly()
    assert "MAIL FROM:<alice@mailserver>" in smtp.heard


def test_a_refused_message_is_kept_and_can_be_corrected(peer: Start, check: list[Any]) -> None:
    refused = smtp_script("bob@x", "carol@x", reply=b"550 No such\x9b user\r\n")
    smtp = peer([GREET], refused, smtp_script("carol@x", reply=b"450 later\r\n"))
    form = ("alice@x", "bob@x, carol@x", "s", "Hi", ".")
    again = ("send", "e", "", "To: carol@x", "", "")
    said, _ = talk(peer(check), "alice", "secret", "2", *form, *again, "3", smtp=smtp)
    assert "Not sent: bob@x was refused: 550 No such" in said
    assert "Not sent: carol@x was refused: 550 No such" in said
    assert "2  Send Mail  (a message waits to be sent)" in said
    assert "\x9b" not in said
    assert "To [bob@x, carol@x]: " in said
    assert "Not sent: carol@x was refused (for the moment; try again later): 450 later" in said
    smtp.finish()


def test_a_server_that_is_down_keeps_the_message(peer: Start, check: list[Any]) -> None:
    said, code = talk(peer(check), "alice", "secret", "2", *FORM, "2", "d", "3")
    assert "Not sent: cannot reach the SMTP server at 127.0.0.1 port 9: connection refused" in said
    assert "The message is discarded." in said
    assert code == 0


def test_an_unfinished_message_is_not_sent(peer: Start, check: list[Any]) -> None:
    smtp = peer([GREET])
    said, code = talk(peer(check), "alice", "secret", "2", *FORM[:-1], smtp=smtp)
    assert said.endswith("The input ended before the message did: nothing was sent.\n")
    assert code == 0


def test_nobody_reads(peer: Start) -> None:
    class Gone(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    mode = LineMode(Terminal(io.StringIO(), Gone()), Server("127.0.0.1", 9, 9))
    with pytest.raises(OutputClosed):
        mode.run()


class Typed(io.StringIO):
    """A person's keyboard, or what a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_certificate_nobody_vouches_for_is_asked_about(
    peer: Start, new_certificate: Any, answer: str
) -> None:
    """With authorities of one's own, a private network is no reason to believe anybody."""
    certificate, other = new_certificate(), new_certificate()
    stls = [b"+OK\r\n", "CAPA", b"+OK\r\nSTLS\r\n.\r\n", "STLS", b"+OK\r\n", certificate.context]
    looked_at = [*stls, "CAPA", b"-ERR\r\n", "QUIT", b"+OK\r\n"]
    entered = [*stls, "CAPA", b"-ERR\r\n", "USER alice", b"+OK\r\n", "PASS secret", b"+OK\r\n"]
    checked = [*entered, "STAT", b"+OK 0 0\r\n", "QUIT", b"+OK\r\n"]
    server = peer(stls, looked_at, *([checked] if answer == "y" else []))
    typed, said = Typed(f"what\n{answer}\n3\n"), Typed()
    there = Server("127.0.0.1", 9, server.port, Link(ca_file=str(other.pem)))
    account = Account("alice", "secret")
    assert LineMode(Terminal(typed, said), there, "alice", account).run() == 0
    text = said.getvalue()
    assert f"\n  {certificate.fingerprint[:47]}\n  {certificate.fingerprint[48:]}\n" in text
    assert text.count("Trust it from now on, and no other? (y/n) ") == 2
    assert ("Welcome, alice." in text) == (answer == "y")
    assert bool(there.state.fingerprint("127.0.0.1", server.port)) == (answer == "y")
    server.finish()

"""Sending, to a scripted foreign server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from mailapp import outgoing
from mailapp.compose import is_domain
from mailapp.health import main as health
from mailapp.link import Link
from mailapp.network import Unreachable
from mailapp.outgoing import NotSent
from mailapp.smtp_wire import own_name

Start = Callable[..., Any]
HELLO = [b"220 mailserver Service Ready\r\n", f"ehlo {socket.gethostname()}"]
ENVELOPE = [*HELLO, b"250 mailserver\r\n", "MAIL FROM:<a@x>", b"250 OK\r\n", "RCPT TO:<b@x>"]
DATA = [*ENVELOPE, b"250 OK\r\n", "DATA"]


def send(server: Any, *recipients: str, message: bytes = b"Subject: s\r\n\r\nHi\r\n") -> None:
    outgoing.send("127.0.0.1", server.port, Link(), "a@x", recipients or ("b@x",), message)


def failure(server: Any, *recipients: str) -> NotSent:
    with pytest.raises(NotSent) as caught:
        send(server, *recipients)
    return caught.value


def test_a_message_with_dots(peer: Start) -> None:
    lines = ["Subject: s", "", "..dot", "..", "a.", "."]
    server = peer(*DATA, b"354 go\r\n", *lines, b"250 OK\r\n", "quit", b"221 bye\r\n")
    send(server, message=b"Subject: s\r\n\r\n.dot\r\n.\r\na.\r\n")
    server.finish()


def test_the_size_is_told_where_it_is_asked_for(peer: Start) -> None:
    server = peer(
        *HELLO,
        b"250-mailserver\r\n250 SIZE 1000\r\n",
        "MAIL FROM:<a@x> SIZE=18",
        b"552 too big\r\n",
    )
    problem = failure(server).problems[0]
    assert problem.text == "the sender a@x was refused: 552 too big"
    server.finish()


def test_helo_where_ehlo_is_unknown(peer: Start) -> None:
    helo = [b"500 what?\r\n", f"helo {socket.gethostname()}", b"250 ok\r\n"]
    server = peer(*HELLO, *helo, "MAIL FROM:<a@x>", b"451 later\r\n")
    problem = failure(server).problems[0]
    assert problem.is_temporary
    assert "try again later" in problem.text


def test_a_refused_recipient_stops_all(peer: Start) -> None:
    server = peer(
        *ENVELOPE,
        *(b"550 No such user\r\n", "RCPT TO:<c@x>", b"250 OK\r\n", "RCPT TO:<d@x>"),
        *(b"450-busy\r\n450 now\r\n", "quit", b"221\r\n"),
    )
    problems = failure(server, "b@x", "c@x", "d@x").problems
    assert [problem.recipient for problem in problems] == ["b@x", "d@x"]
    assert problems[0].text == "b@x was refused: 550 No such user"
    assert problems[1].text.endswith("450 busy now")
    server.finish()
    assert "DATA" not in server.heard


@pytest.mark.parametrize(
    ("script", "text", "is_uncertain"),
    [
        ([], "the connection was lost", False),
        ([b"554 go away\r\n"], "does not take mail now: 554 go away", False),
        ([b"220"], "no SMTP reply", False),
        ([b"+OK POP3\r\n"], "no SMTP reply", False),
        ([b"220-" + b"x" * 5000], "no SMTP reply", False),
        ([b"220-more\r\n" * 1000], "no SMTP reply", False),
        (HELLO, "the connection was lost", False),
        (ENVELOPE, "the connection was lost", False),
        (DATA, "the connection was lost", False),
        ([*DATA, b"452 full\r\n"], "452 full", False),
        ([*DATA, b"354 go\r\n"], "before the server had confirmed", True),
        ([*DATA, b"354 go\r\n", *("Subject: s", "", "Hi", "."), b"554 no\r\n"], "554 no", False),
    ],
)
def test_failures(peer: Start, script: list[Any], text: str, is_uncertain: bool) -> None:
    server = peer(script)
    problem = failure(server)
    assert text in str(problem)
    assert problem.is_uncertain == is_uncertain


def test_nobody_listens(peer: Start) -> None:
    server = peer([])
    failure(server)
    server.finish()
    with pytest.raises(Unreachable, match=r"the SMTP server .* connection refused"):
        send(server)


@pytest.mark.parametrize(
    ("greeting", "domain"),
    [
        (b"220 mail.example Service Ready\r\n", "mail.example"),
        (b"220 \x1b[2J hi\r\n", ""),
        (b"220\r\n", ""),
        (b"421 no\r\n", ""),
        (b"", ""),
    ],
)
def test_the_domain_in_the_greeting(peer: Start, greeting: bytes, domain: str) -> None:
    assert outgoing.server_domain("127.0.0.1", peer([greeting]).port, Link()) == domain


def test_ehlo_says_a_name() -> None:
    assert is_domain(own_name())


def test_health(peer: Start, capsys: pytest.CaptureFixture[str]) -> None:
    smtp = peer([*HELLO, b"250 mailserver\r\n", "quit", b"221\r\n"], [b"421 no\r\n"])
    pop3 = peer([b"+OK\r\n", "CAPA", b"-ERR\r\n", "QUIT", b"+OK\r\n"])
    assert health(["127.0.0.1", str(smtp.port), str(pop3.port)]) == 0
    assert health(["127.0.0.1", str(smtp.port), str(pop3.port)]) == 1
    smtp.finish()
    assert health(["127.0.0.1", str(smtp.port), str(pop3.port)]) == 1
    assert health(["127.0.0.1"]) == 64
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "healthy: SMTP and POP3 answer"
    assert "421 no" in lines[1]
    assert "connection refused" in lines[2]

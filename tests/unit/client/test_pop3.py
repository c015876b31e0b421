"""The POP3 client against a scripted foreign server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mailapp import pop3
from mailapp.link import Link, Tls
from mailapp.network import Unreachable
from mailapp.pop3 import (
    BadArgument,
    ConnectionLost,
    LoginRefused,
    MailboxInUse,
    Pop3Client,
    ProtocolError,
    Refused,
)

Start = Callable[..., Any]
GREETED = (b"+OK\r\n", "CAPA", b"-ERR unknown command\r\n")


def patient(seconds: float) -> Link:
    return Link(Tls.AUTO, connect_seconds=seconds, reply_seconds=seconds)


@contextmanager
def client_of(server: Any, seconds: float = 5) -> Iterator[Pop3Client]:
    client = Pop3Client("127.0.0.1", server.port, patient(seconds))
    try:
        yield client
    finally:
        client.close()


@contextmanager
def session(server: Any) -> Iterator[Pop3Client]:
    with client_of(server) as client:
        client.login("alice", "secret")
        client.count()
        yield client


def test_a_whole_session(peer: Start, login: list[Any]) -> None:
    server = peer(
        *login,
        "LIST 2",
        "LIST 3",
        b"+OK 2 12\r\n-ERR no\r\n",
        "UIDL 2",
        b"+OK 2 abc\r\n",
        "RETR 2",
        b"+OK 12 octets\r\nline\r\n..dot\r\n.\r\n",
        "DELE 1",
        "DELE 2",
        b"+OK\r\n-ERR [SYS/TEMP] locked\r\n",
        "QUIT",
        b"+OK\r\n",
    )
    with session(server) as client:
        assert client.sizes([2, 3]) == [12, 0]
        assert client.unique_ids([2]) == ["abc"]
        received = bytearray()
        client.retrieve(2, received.extend)
        assert received == b"line\r\n.dot\r\n"
        assert client.delete([1, 2]) == [(2, "locked")]
        client.quit()
    server.finish()


def test_headers_are_asked_for_in_one_go(peer: Start, login: list[Any]) -> None:
    server = peer(
        *login,
        *("TOP 1 0", "TOP 2 0", "TOP 3 0"),
        b"+OK\r\nSubject: a\r\n\r\n.\r\n-ERR no such message\r\n+OK\r\nSubject: c\r\n\r\n.\r\n",
    )
    with session(server) as client:
        found = client.headers([1, 2, 3], lambda number, block: (number, block))
    assert found == [(1, b"Subject: a\r\n\r\n"), (2, None), (3, b"Subject: c\r\n\r\n")]


def test_without_pipelining_each_command_waits(peer: Start, login: list[Any]) -> None:
    login[2] = b"+OK\r\nTOP\r\n.\r\n"
    server = peer(*login, "TOP 1 0", b"+OK\r\na\r\n.\r\n", "TOP 2 0", b"+OK\r\nb\r\n.\r\n")
    with session(server) as client:
        assert client.headers([1, 2], lambda _, block: block) == [b"a\r\n", b"b\r\n"]


def test_without_top_the_message_is_fetched(peer: Start, login: list[Any]) -> None:
    login[2] = b"+OK\r\nUIDL\r\n.\r\n"
    server = peer(*login, "RETR 1", b"+OK\r\nSubject: a\r\n\r\nbody\r\n.\r\n")
    with session(server) as client:
        assert client.headers([1], lambda _, block: block) == [b"Subject: a\r\n\r\nbody\r\n"]


def test_without_capa_top_is_tried(peer: Start, login: list[Any]) -> None:
    login[2] = b"-ERR unknown command\r\n"
    server = peer(*login, "TOP 1 0", b"+OK\r\na\r\n.\r\n")
    with session(server) as client:
        assert client.headers([1], lambda _, block: block) == [b"a\r\n"]


def test_a_header_in_a_list_is_bounded(peer: Start, login: list[Any]) -> None:
    server = peer(
        *login, "TOP 1 0", b"+OK\r\n" + b"x" * 3_000_000 + b"\r\n.\r\n", "QUIT", b"+OK\r\n"
    )
    with session(server) as client:
        blocks = client.headers([1], lambda _, block: block)
        assert blocks[0] is not None
        assert len(blocks[0]) == pop3.MAX_HEADER_OCTETS
        client.quit()


def test_a_line_of_a_megabyte_arrives(peer: Start, login: list[Any]) -> None:
    server = peer(*login, "RETR 1", b"+OK\r\n" + b"x" * 1_000_000 + b"\r\n.\r\n")
    with session(server) as client:
        received = bytearray()
        client.retrieve(1, received.extend)
        assert received == b"x" * 1_000_000 + b"\r\n"


def test_a_full_disk_leaves_the_session_usable(peer: Start, login: list[Any]) -> None:
    server = peer(*login, "RETR 1", b"+OK\r\n" + b"x\r\n" * 100_000 + b".\r\n", "QUIT", b"+OK\r\n")
    with session(server) as client, open("/dev/full", "wb", buffering=0) as full:
        with pytest.raises(OSError, match="No space"):
            client.retrieve(1, full.write)
        client.quit()
    server.finish()


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"-ERR [IN-USE] locked\r\n", MailboxInUse),
        (b"-ERR [in-use] locked\r\n", MailboxInUse),
        (b"-ERR [AUTH] no\r\n", LoginRefused),
        (b"-ERR no\r\n", LoginRefused),
        (b"-ERR\r\n", LoginRefused),
    ],
)
def test_refused_logins(peer: Start, reply: bytes, kind: type[Refused]) -> None:
    server = peer(*GREETED, "USER alice", b"+OK\r\n", "PASS wrong", reply)
    with client_of(server) as client, pytest.raises(kind):
        client.login("alice", "wrong")


@pytest.mark.parametrize("code", ["SYS/TEMP", "SYS/PERM", "LOGIN-DELAY"])
def test_trouble_of_the_server_is_no_wrong_password(peer: Start, code: str) -> None:
    server = peer(*GREETED, "USER a", b"+OK\r\n", "PASS b", f"-ERR [{code}] x\r\n".encode())
    with client_of(server) as client:
        with pytest.raises(Refused) as caught:
            client.login("a", "b")
        assert type(caught.value) is Refused
        assert caught.value.code == code


@pytest.mark.parametrize(
    "word", ["a\r\nDELE 1", "a\nb", "a\0b", "a\x1bb", "a\x7f", "a" * 260, "\udc80"]
)
def test_arguments_cannot_become_commands(peer: Start, word: str) -> None:
    server = peer(*GREETED, "QUIT", b"+OK\r\n")
    with client_of(server) as client:
        with pytest.raises(BadArgument):
            client.login(word, "x")
        client.quit()
    server.finish()
    assert server.heard == ["CAPA", "QUIT"]


def test_a_password_may_hold_spaces(peer: Start) -> None:
    server = peer(*GREETED, "USER a", b"+OK\r\n", "PASS  two  words ", b"+OK\r\n")
    with client_of(server) as client:
        client.login("a", " two  words ")


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        (b"", ConnectionLost),
        (b"+O", ConnectionLost),
        (b"220 mail ESMTP\r\n", ProtocolError),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ProtocolError),
        (b"\x16\x03\x01\x00\xff\r\n", ProtocolError),
        (b"+OKAY\r\n", ProtocolError),
        (b"+OK " + b"x" * 5_000_000, ProtocolError),
        (b"x" * pop3.MAX_STATUS_OCTETS, ProtocolError),
        (b"-ERR too busy\r\n", Refused),
    ],
)
def test_strange_greetings(peer: Start, greeting: bytes, kind: type[Exception]) -> None:
    server = peer(greeting)
    with pytest.raises(kind):
        Pop3Client("127.0.0.1", server.port, patient(5))


@pytest.mark.parametrize("octets", [0, 1])
def test_the_longest_status_line(peer: Start, octets: int) -> None:
    length = pop3.MAX_STATUS_OCTETS + octets
    server = peer(b"+OK " + b"x" * (length - 5) + b"\n", *GREETED[1 : 3 - 2 * octets])
    if octets == 0:
        Pop3Client("127.0.0.1", server.port, patient(5)).close()
    else:
        with pytest.raises(ProtocolError, match="does not end"):
            Pop3Client("127.0.0.1", server.port, patient(5))


@pytest.mark.parametrize(
    "sent", [b"", b"+OK\r\nhalf a mess", b"+OK\r\nall\r\n.", b"+OK\r\nx\r\n.\r"]
)
def test_a_connection_lost_in_the_middle_of_a_message(
    peer: Start, login: list[Any], sent: bytes
) -> None:
    server = peer(*login, "RETR 1", sent)
    with session(server) as client:
        with pytest.raises(ConnectionLost):
            client.retrieve(1, bytearray().extend)
        with pytest.raises(ConnectionLost):
            client.quit()


def test_a_silent_server_is_not_waited_for_forever(peer: Start) -> None:
    server = peer(*GREETED, "USER a", "never sent")
    with client_of(server, seconds=0.2) as client, pytest.raises(ConnectionLost, match="in time"):
        client.login("a", "b")
    server.finish_quietly()


def test_an_answer_before_its_question_ends_the_session(peer: Start) -> None:
    server = peer(*GREETED[:2], b"-ERR\r\n+OK early\r\n", "nothing")
    with client_of(server) as client, pytest.raises(ProtocolError, match="without being asked"):
        client.login("a", "b")
    server.finish_quietly()


def test_a_farewell_of_the_server_is_understood(peer: Start) -> None:
    server = peer(*GREETED[:2], b"-ERR\r\n-ERR shutting down\r\n")
    with client_of(server) as client, pytest.raises(ConnectionLost, match="shutting down"):
        client.login("a", "b")


@pytest.mark.parametrize("stat", [b"+OK\r\n", b"+OK x y\r\n", b"+OK 1\r\n", b"+OK 99999999 1\r\n"])
def test_strange_counts(peer: Start, login: list[Any], stat: bytes) -> None:
    server = peer(*login[:-1], stat)
    with client_of(server) as client:
        client.login("alice", "secret")
        with pytest.raises(ProtocolError):
            client.count()


def test_capabilities_that_do_not_end(peer: Start, login: list[Any]) -> None:
    server = peer(*login[:2], b"+OK\r\n" + b"X-Y\r\n" * 100_000)
    with pytest.raises(ProtocolError, match="does not end"), client_of(server):
        pass
    server.finish_quietly()


def test_a_refused_quit_is_told(peer: Start, login: list[Any]) -> None:
    server = peer(*login, "QUIT", b"-ERR some messages are not deleted\r\n")
    with session(server) as client, pytest.raises(Refused, match="not deleted"):
        client.quit()


def test_nobody_listens(peer: Start) -> None:
    server = peer(b"")
    with pytest.raises(ConnectionLost):
        Pop3Client("127.0.0.1", server.port, patient(5))
    server.finish()
    with pytest.raises(Unreachable, match=f"127.0.0.1 port {server.port}: connection refused"):
        Pop3Client("127.0.0.1", server.port, patient(5))


@pytest.mark.parametrize("host", ["a" * 70, "ü..b", "no.such.host.invalid"])
def test_strange_hosts(host: str) -> None:
    with pytest.raises(Unreachable):
        Pop3Client(host, 110, patient(5))


def test_an_interrupted_download_ends_the_session(peer: Start, login: list[Any]) -> None:
    server = peer(*login, "RETR 1", b"+OK\r\nx\r\n.\r\n", "QUIT")

    def interrupted(_: bytes) -> None:
        raise KeyboardInterrupt

    with session(server) as client:
        with pytest.raises(KeyboardInterrupt):
            client.retrieve(1, interrupted)
        with pytest.raises(ConnectionLost):
            client.quit()
    server.finish_quietly()
    assert server.heard[-1] == ""  # the connection was dropped: what was marked is kept

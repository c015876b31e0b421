"""The client's side of SMTP along real connections: what a server offers, and what it does not."""

from __future__ import annotations

import asyncio
import socket
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.server.net.mail_server import MailServer

from mailserver.message.envelope import MailParameters, Recipient
from mailserver.message.outcome import Fate, Outcome
from mailserver.message.transaction import Transaction
from mailserver.net.smtp_connection import Timeouts
from mailserver.net.smtp_courier import SmtpCourier
from mailserver.net.tls_client import ClientTls
from mailserver.relay.courier import Unreachable
from mailserver.relay.routing import NextHost
from mailserver.smtp.outbound_events import Step
from mailserver.threads import Threads
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath

HEAD = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
CONTENT = HEAD + "Grüße\r\n".encode()
TO_BOB = Transaction(
    ReversePath(Mailbox("alice", "a.test")),
    MailParameters(eight_bit=True),
    (Recipient(ForwardPath(Mailbox("bob", "b.test"))),),
    len(CONTENT),
    eight_bit=True,
)


async def only(port: int) -> AsyncIterator[NextHost]:
    yield NextHost("mx.b.test", ("127.0.0.1",), port)


def send(server: MailServer, *messages: bytes, times: int = 1) -> list[Outcome]:
    """Each, as often, while the connection is of use."""

    async def story() -> list[Outcome]:
        courier = SmtpCourier("a.test", ClientTls(), Timeouts(), Threads("test", 1))
        connection = await courier.connect(only(server.port))
        found: list[Outcome] = []
        for content in messages * times:
            if connection.usable:
                sent = replace(TO_BOB, octets=len(content), eight_bit=not content.isascii())
                found += await connection.send(sent, lambda content=content: iter([content]))  # type: ignore[misc]
        await connection.close()
        return found

    return asyncio.run(story())


@pytest.fixture
def plain() -> Iterator[MailServer]:
    server = MailServer()
    yield server
    server.close()


def test_eight_bits_where_they_are_taken(tmp_path: Path) -> None:
    server = MailServer(outside=["8BITMIME"])
    assert [one.fate for one in send(server, CONTENT)] == [Fate.DELIVERED]
    server.close()
    assert server.contents == [CONTENT]
    assert b"MAIL FROM:<alice@a.test> SIZE=71 BODY=8BITMIME" in server.said[0]


def test_seven_bits_where_they_are_not(plain: MailServer) -> None:
    """RFC 6152 3; SIZE is of what is sent."""
    assert [one.fate for one in send(plain, CONTENT)] == [Fate.DELIVERED]
    (content,) = plain.contents
    assert content.endswith(b"\r\n\r\nGr=C3=BC=C3=9Fe\r\n")
    assert b"MAIL FROM:<alice@a.test> SIZE=%d" % len(content) in plain.said[0]


def test_what_cannot_be_recoded_goes_back(plain: MailServer) -> None:
    signed = CONTENT.replace(b"text/plain", b"multipart/signed")
    assert [(one.fate, one.status) for one in send(plain, signed, HEAD)] == [
        (Fate.PERMANENT, "5.6.3"),
        (Fate.DELIVERED, "2.0.0"),
    ]
    assert plain.contents == [HEAD]


def test_fifty_megabytes_pass_through_little_memory() -> None:
    server = MailServer(keeps=False)
    piece = b"x" * 998 + b"\r\n"
    chunks = 200

    async def story() -> tuple[Outcome, ...]:
        courier = SmtpCourier("a.test", ClientTls(), Timeouts(), Threads("test", 1))
        connection = await courier.connect(only(server.port))
        sent = replace(TO_BOB, octets=chunks * 250_000, eight_bit=False)
        tracemalloc.start()
        try:
            return await connection.send(sent, lambda: (piece * 250 for _ in range(chunks)))
        finally:
            await connection.close()

    (outcome,) = asyncio.run(story())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    server.close()
    assert outcome.fate is Fate.DELIVERED
    assert server.octets == 50_000_000
    assert peak < 4_000_000


def test_a_server_that_says_nothing() -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            times = Timeouts(steps=dict.fromkeys(Step, 0.01))
            courier = SmtpCourier("a.test", ClientTls(), times, Threads("test", 1))
            await courier.connect(only(mute.getsockname()[1]))

    with pytest.raises(Unreachable, match="nothing came for 0 seconds"):
        asyncio.run(story())


def test_no_more_messages_than_a_server_takes() -> None:
    """RFC 9422 4.1: the connection ends in order, with QUIT."""
    server = MailServer(outside=["LIMITS RCPTMAX=5 MAILMAX=2"])
    assert len(send(server, HEAD, times=5)) == 2
    server.close()
    assert [line.split()[0] for line in server.said[0]] == [
        *(b"EHLO", b"MAIL", b"RCPT", b"DATA", b"MAIL", b"RCPT", b"DATA", b"QUIT")
    ]


@pytest.mark.parametrize(
    ("words", "recipients"),
    [
        ("LIMITS RCPTMAX=7", 7),
        ("limits X=1 rcptmax=7 MAILMAX=2", 7),
        ("LIMITS RCPTMAX=0", None),
        ("LIMITS RCPTMAX=-1", None),
        ("LIMITS RCPTMAX=1234567", None),
        ("LIMITS RCPTMAX", None),
        ("LIMITS", None),
        ("RCPTMAX=7", None),
    ],
)
def test_how_many_recipients_a_server_takes(words: str, recipients: int | None) -> None:
    async def story() -> int | None:
        courier = SmtpCourier("a.test", ClientTls(), Timeouts(), Threads("test", 1))
        connection = await courier.connect(only(server.port))
        await connection.close()
        return connection.recipients

    server = MailServer(outside=[words])
    assert asyncio.run(story()) == recipients
    server.close()

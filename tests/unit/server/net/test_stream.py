"""SocketStream and Listener over a real loop and real sockets; time is told, not waited for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network
from typing import Any

import pytest

from mailserver.net.backlog import Backlog
from mailserver.net.burst import Burst
from mailserver.net.door import Door
from mailserver.net.listener import Listener, Refusals, bind
from mailserver.net.proxies import Proxies
from mailserver.net.socket_stream import RECEIVE_LIMIT, SocketStream
from mailserver.net.stream import ReceiveTimeout, ServerStopping, SessionTimeout

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REFUSAL = b"421 full\r\n"
CROWDED = b"421 crowded\r\n"
HEADER = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n"


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 20))


@asynccontextmanager
async def connected(backlog: Backlog | None = None) -> AsyncIterator[tuple[SocketStream, Peer]]:
    """Both ends of one connection."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[SocketStream] = loop.create_future()
    server = await loop.create_server(
        lambda: SocketStream(arrived.set_result, Burst(), backlog), "127.0.0.1", 0
    )
    peer = await asyncio.open_connection(*server.sockets[0].getsockname())
    stream = await arrived
    try:
        yield stream, peer
    finally:
        peer[1].close()
        stream.abort()
        server.close()


def test_what_the_peer_says_is_received_and_the_other_way_round() -> None:
    async def story() -> None:
        async with connected() as (stream, (reader, writer)):
            assert stream.peer == "127.0.0.1"
            writer.write(b"EHLO c\r\n")
            assert await stream.receive(5) == b"EHLO c\r\n"
            stream.send(b"250 c\r\n")
            await stream.drain(5)
            assert await reader.readline() == b"250 c\r\n"
            writer.write_eof()
            assert await stream.receive(5) == b""
            stream.send(b"221 bye\r\n")  # half a connection is enough to answer
            await stream.close()
            assert await reader.read() == b"221 bye\r\n"

    run(story())


def test_what_comes_is_handed_over_at_once_until_it_is_enough() -> None:
    taken: list[bytes] = []

    def take(octets: bytes) -> float | None:
        taken.append(octets)
        return None if b"2" in octets else 60

    async def story() -> None:
        async with connected() as (stream, (_, writer)):
            writer.write(b"0")
            waiting = asyncio.ensure_future(stream.hand_over(take, 5))
            while not taken:  # noqa: ASYNC110
                await asyncio.sleep(0)
            for octets in (b"1", b"2", b"3"):  # they could not be told apart without a pause
                stream.data_received(octets)
            assert not waiting.done()
            await waiting
            assert taken == [b"0", b"1", b"2"]
            assert await stream.receive(5) == b"3"

    run(story())


def test_who_takes_hears_of_the_end() -> None:
    taken: list[bytes] = []

    def take(octets: bytes) -> float | None:
        taken.append(octets)
        return 60 if octets else None

    async def story() -> None:
        async with connected() as (stream, (_, writer)):
            writer.write(b"QUIT")
            writer.write_eof()
            await stream.hand_over(take, 5)
            assert (b"".join(taken), taken[-1]) == (b"QUIT", b"")

    run(story())


def test_a_fault_in_taking_belongs_to_the_one_who_waits() -> None:
    def take(octets: bytes) -> float | None:
        raise ZeroDivisionError

    async def story() -> None:
        async with connected() as (stream, (_, writer)):
            waiting = asyncio.ensure_future(stream.hand_over(take, 5))
            await asyncio.sleep(0)
            writer.write(b"x")
            with pytest.raises(ZeroDivisionError):
                await waiting
            writer.write(b"y")
            assert await stream.receive(5) == b"y"

    run(story())


def test_time_runs_anew_when_something_was_taken() -> None:
    async def story() -> None:
        async with connected() as (stream, _):
            now = asyncio.get_running_loop().time()
            waiting = asyncio.ensure_future(stream.hand_over(lambda _: 600, 60))
            await asyncio.sleep(0)
            stream.data_received(b"x")
            stream.expire(now + 500)
            await asyncio.sleep(0)
            assert not waiting.done()
            stream.expire(now + 700)
            with pytest.raises(ReceiveTimeout):
                await waiting

    run(story())


def test_what_is_sent_in_one_round_goes_out_together() -> None:
    async def story() -> None:
        async with connected() as (stream, (reader, _)):
            stream.send(b"250 one\r\n")
            stream.send(b"250 two\r\n")
            assert await reader.read(100) == b"250 one\r\n250 two\r\n"

    run(story())


def test_a_wait_ends_when_its_time_is_over() -> None:
    async def story() -> None:
        async with connected() as (stream, (_, writer)):
            loop = asyncio.get_running_loop()
            waiting = asyncio.ensure_future(stream.receive(60))
            await asyncio.sleep(0)
            stream.expire(loop.time() + 59)
            await asyncio.sleep(0)
            assert not waiting.done()
            stream.expire(loop.time() + 61)
            with pytest.raises(ReceiveTimeout):
                await waiting
            stream.expire(loop.time() + 1e9)  # nobody waits any more
            writer.write(b"x")
            assert await stream.receive(60) == b"x"

    run(story())


def test_a_peer_that_takes_nothing_is_cut_off() -> None:
    """Security row 42."""

    async def story() -> None:
        async with connected() as (stream, _):
            stream.send(b"x" * 50_000_000)
            waiting = asyncio.ensure_future(stream.drain(60))
            await asyncio.sleep(0)
            stream.expire(asyncio.get_running_loop().time() + 61)
            with pytest.raises(ConnectionError):
                await waiting

    run(story())


def test_nothing_is_read_of_a_peer_that_reads_nothing() -> None:
    """Security row 42: or its commands would wait, too."""

    async def story() -> None:
        async with connected() as (stream, (reader, writer)):
            stream.send(b"x" * 20_000_000)
            await asyncio.sleep(0)
            writer.write(b"HELP\r\n")
            for _ in range(100):
                await asyncio.sleep(0)
            assert stream._waiting == 0
            await reader.readexactly(20_000_000)
            assert await stream.receive(5) == b"HELP\r\n"

    run(story())


def test_the_one_that_takes_nothing_for_longest_makes_room() -> None:
    async def story() -> None:
        backlog = Backlog(30_000_000)
        async with connected(backlog) as (first, _), connected(backlog) as (second, there):
            for stream in (first, second):
                stream.send(b"x" * 20_000_000)
                await asyncio.sleep(0)
            with pytest.raises(ConnectionError):
                await first.drain(5)
            await there[0].readexactly(20_000_000)
            await second.drain(5)
            assert not backlog._held

    run(story())


def test_a_close_does_not_wait_for_ever() -> None:
    async def story() -> None:
        async with connected() as (stream, _):
            stream.send(b"x" * 50_000_000)
            waiting = asyncio.ensure_future(stream.close())
            await asyncio.sleep(0)
            stream.expire(asyncio.get_running_loop().time() + 61)
            await waiting

    run(story())


def test_reading_pauses_when_nobody_looks() -> None:
    """Security row 44: what waits in memory is bounded, the rest stays with the sender."""

    async def story() -> None:
        async with connected() as (stream, (_, writer)):
            writer.write(b"x" * 20_000_000)
            while stream._reading:  # noqa: ASYNC110
                await asyncio.sleep(0)
            waiting = stream._waiting
            assert RECEIVE_LIMIT < waiting < 4 * RECEIVE_LIMIT
            for _ in range(100):
                await asyncio.sleep(0)
            assert stream._waiting == waiting
            taken = 0
            while taken < 20_000_000:
                taken += len(await stream.receive(5))
            assert taken == 20_000_000

    run(story())


def test_octets_that_come_in_pairs_wait_together() -> None:
    """Alone each pair would take fifty octets of memory."""

    async def story() -> None:
        async with connected() as (stream, _):
            for number in range(10_000):
                stream.data_received(b"%02d" % (number % 100))
            assert len(stream._received) == 1
            assert await stream.receive(5) == b"".join(b"%02d" % n for n in range(100)) * 100

    run(story())


def test_the_stop_is_told_once_and_after_what_has_come() -> None:
    async def story() -> None:
        async with connected() as (stream, (_, writer)):
            waiting = asyncio.ensure_future(stream.receive(60))
            await asyncio.sleep(0)
            stream.stop()
            with pytest.raises(ServerStopping):
                await waiting
            writer.write(b"more")
            assert await stream.receive(60) == b"more"
            stream.stop()
            with pytest.raises(ServerStopping):
                await stream.receive(60)

    run(story())


def test_a_session_that_lasts_too_long_is_told_so_once() -> None:
    async def story() -> None:
        async with connected() as (stream, (_, writer)):
            stream.ends_at = 1000.0
            stream.expire(1000.0)
            writer.write(b"in time")
            assert await stream.receive(60) == b"in time"
            stream.expire(1000.1)
            stream.expire(1000.2)
            with pytest.raises(SessionTimeout):
                await stream.receive(60)
            writer.write(b"more")
            assert await stream.receive(60) == b"more"

    run(story())


@asynccontextmanager
async def listening(
    serve: Callable[[SocketStream], Awaitable[None]],
    limit: int = 10,
    limit_of_one: int | None = None,
    proxies: Proxies | None = None,
) -> AsyncIterator[tuple[Listener, int]]:
    listener = Listener(
        serve, Door(limit, limit_of_one), Refusals(REFUSAL, CROWDED), proxies=proxies
    )
    [bound] = bind("127.0.0.1", 0)
    await listener.start(bound)
    try:
        yield listener, bound.getsockname()[1]
    finally:
        await listener.stop(0)


async def echo(stream: SocketStream) -> None:
    while octets := await stream.receive(60):
        if octets == b"fault":
            stream.send(b"said before")
            raise ValueError("as it was asked for")
        stream.send(octets)


def test_a_fault_ends_one_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with listening(echo) as (_, port):
            good = await asyncio.open_connection("127.0.0.1", port)
            bad = await asyncio.open_connection("127.0.0.1", port)
            bad[1].write(b"fault")
            assert await bad[0].read() == b"said before"
            good[1].write(b"still here")
            assert await good[0].readexactly(10) == b"still here"
            for _, writer in (good, bad):
                writer.close()

    run(story())
    assert "a fault of this server; the connection from 127.0.0.1 ends" in caplog.text
    assert "as it was asked for" in caplog.text


def test_connections_over_the_limit_are_told_so() -> None:
    async def story() -> None:
        async with listening(echo, limit=1) as (_, port):
            first = await asyncio.open_connection("127.0.0.1", port)
            first[1].write(b"x")
            assert await first[0].readexactly(1) == b"x"
            second = await asyncio.open_connection("127.0.0.1", port)
            assert await second[0].read() == REFUSAL
            for _, writer in (first, second):
                writer.close()

    run(story())


async def name(stream: SocketStream) -> None:
    stream.send(stream.peer.encode() + b" ")
    await echo(stream)


def test_a_proxy_tells_who_the_client_is() -> None:
    """Security row 69: whole, octet by octet, and with the client's first words behind."""

    async def story() -> None:
        async with listening(name, proxies=Proxies([ip_network("127.0.0.0/8")])) as (_, port):
            for chunks in (
                [HEADER + b"hi"],
                [HEADER, b"hi"],
                [bytes((o,)) for o in HEADER + b"hi"],
            ):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                for chunk in chunks:
                    writer.write(chunk)
                    await asyncio.sleep(0)
                assert await reader.readexactly(12) == b"192.0.2.7 hi"
                writer.close()

    run(story())


@pytest.mark.parametrize("said", [b"EHLO c\r\n", b"PROXY TCP4 x\r\n", b"\r\n\r\n\0\r\nQUIX"])
def test_a_proxy_that_says_something_else_is_not_served(
    said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with listening(name, proxies=Proxies([ip_network("127.0.0.1")])) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()

    run(story())
    assert "proxy 127.0.0.1: " in caplog.text


def test_nobody_else_is_a_proxy() -> None:
    async def story() -> None:
        async with listening(name, proxies=Proxies([ip_network("127.0.0.2/31")])) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HEADER)
            assert await reader.readexactly(10 + len(HEADER)) == b"127.0.0.1 " + HEADER
            writer.close()

    run(story())


def test_an_address_has_its_share_of_connections_behind_a_proxy_too() -> None:
    async def story() -> None:
        proxies = Proxies([ip_network("127.0.0.1")])
        async with listening(name, limit_of_one=1, proxies=proxies) as (listener, port):

            async def connect(client: bytes) -> Peer:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(HEADER.replace(b"192.0.2.7", client))
                return reader, writer

            one = await connect(b"192.0.2.7")
            assert await one[0].readexactly(10) == b"192.0.2.7 "
            two = await connect(b"192.0.2.7")
            assert await two[0].read() == CROWDED
            other = await connect(b"192.0.2.8")
            assert await other[0].readexactly(10) == b"192.0.2.8 "
            one[1].close()
            while len(listener._connections) > 1:  # noqa: ASYNC110
                await asyncio.sleep(0)
            again = await connect(b"192.0.2.7")
            assert await again[0].readexactly(10) == b"192.0.2.7 "
            for _, writer in (two, other, again):
                writer.close()

    run(story())


def test_the_one_who_does_not_end_is_ended() -> None:
    async def deaf(stream: SocketStream) -> None:
        await asyncio.Event().wait()

    async def story() -> None:
        async with listening(deaf) as (listener, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while not listener._connections:  # noqa: ASYNC110
                await asyncio.sleep(0)
            await listener.stop(0.01)
            assert not listener._connections
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            writer.close()

    run(story())


def test_all_addresses_of_the_machine() -> None:
    [bound] = bind("", 0)
    with bound:
        port = bound.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), 5):
            accepted, peer = bound.accept()
            accepted.close()
            assert peer[0].removeprefix("::ffff:") == "127.0.0.1"

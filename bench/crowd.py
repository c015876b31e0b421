"""Thousands of connections at once, held by processes of their own."""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from bench.load import CRLF, SECONDS_FOR_A_REPLY, UnexpectedReply

HOLDERS = 4
"""Processes: each may have only so many files open."""
CONNECTIONS_OF_AN_ADDRESS = 500
SECONDS_TO_GATHER = 120.0
SECONDS_TO_PART = 30.0
TICKS = 100
"""Parts of a second; in each, a hundredth of the connections sends its octet."""


@dataclass(frozen=True)
class Manner:
    """What each connection does once it is made."""

    port: int
    dialogue: tuple[tuple[str, str], ...]
    """What is said, and how the last line of its answer begins; {number} is the connection's."""
    trickles: bool = False
    """Whether it then sends an octet a second."""


class Crowd:
    """Context manager: so many connections, all of them there in the block.

    Raises UnexpectedReply when one of them could not be made, or was lost before the end.
    """

    def __init__(self, manner: Manner, connections: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for holder in range(HOLDERS):
            ours, theirs = context.Pipe()
            numbers = range(holder, connections, HOLDERS)
            process = context.Process(target=_hold, args=(manner, numbers, theirs), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Crowd:
        try:
            self._hear(SECONDS_TO_GATHER)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                for pipe in self._pipes:
                    pipe.send("part")
                self._hear(SECONDS_TO_PART)
        finally:
            self._end()

    def _hear(self, seconds: float) -> None:
        """A word from each holder; empty when all is well."""
        deadline = time.monotonic() + seconds
        for pipe in self._pipes:
            if not pipe.poll(max(0.0, deadline - time.monotonic())):
                raise UnexpectedReply(f"no word of a crowd's connections in {seconds} s")
            if problem := pipe.recv():
                raise UnexpectedReply(problem)

    def _end(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()


def _hold(manner: Manner, numbers: Sequence[int], pipe: Connection) -> None:
    """One process's part."""
    try:
        held = [_connect(manner, number) for number in numbers]
        pipe.send("")
        while not pipe.poll(0 if manner.trickles else None):
            _trickle(held)
        lost = sum(not _is_open(connection) for connection in held)
        pipe.send(f"{lost} of {len(held)} connections were lost" if lost else "")
        pipe.recv()  # until the end
    except (OSError, UnexpectedReply) as error:
        pipe.send(f"{type(error).__name__}: {error}")


def _connect(manner: Manner, number: int) -> socket.socket:
    address = f"127.0.0.{2 + number // CONNECTIONS_OF_AN_ADDRESS}"
    place = ("127.0.0.1", manner.port)
    connection = socket.create_connection(place, SECONDS_FOR_A_REPLY, (address, 0))
    for say, begin in manner.dialogue:
        connection.sendall(say.format(number=number).encode())
        _expect(connection, begin.encode())
    connection.setblocking(False)
    return connection


def _expect(connection: socket.socket, begin: bytes) -> None:
    """An answer whose last line begins so."""
    answer = b""
    while not answer.endswith(CRLF) or not answer[:-2].rpartition(CRLF)[2].startswith(begin):
        more = connection.recv(4096)
        answer += more
        if not more or answer.startswith((b"-", b"4", b"5")):
            raise UnexpectedReply(f"{begin!r} expected, not {answer[:200]!r}")


def _trickle(held: Sequence[socket.socket]) -> None:
    """An octet on each connection, over a second."""
    begin = time.monotonic()
    for tick in range(TICKS):
        time.sleep(max(0.0, begin + tick / TICKS - time.monotonic()))
        for connection in held[tick::TICKS]:
            connection.send(b"x")
    time.sleep(max(0.0, begin + 1 - time.monotonic()))


def _is_open(connection: socket.socket) -> bool:
    """Nothing came, and it has not ended."""
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False

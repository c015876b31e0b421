"""A POP3 load client: logs in, asks STAT and UIDL, quits, again and again until a deadline."""

from __future__ import annotations

import multiprocessing
import socket
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

SECONDS_FOR_A_REPLY = 10.0
SECONDS_BEFORE_THE_START = 0.2  # for every client to be at the line
REPLY_OCTETS = 4096
CRLF = b"\r\n"


class UnexpectedReply(Exception):
    """The server's answer is not what the mailbox holds: the measurement is void."""


@dataclass(frozen=True)
class Account:
    """Who logs in where, and how many messages must be there."""

    port: int
    user: str
    password: str
    messages: int


def read_reply(connection: socket.socket, end: bytes = CRLF) -> bytes:
    """A positive reply up to `end`; raises UnexpectedReply for any other."""
    reply = connection.recv(REPLY_OCTETS)
    while not reply.endswith(end) and not reply.startswith(b"-"):
        more = connection.recv(REPLY_OCTETS)
        if not more:
            break
        reply += more
    if not reply.startswith(b"+OK") or not reply.endswith(end):
        raise UnexpectedReply(repr(reply[:200]))
    return reply


def session(account: Account) -> None:
    """One session, a command at a time as mail programs do; every reply is checked.

    Raises UnexpectedReply, or OSError when the connection fails.
    """
    address = ("127.0.0.1", account.port)
    with socket.create_connection(address, SECONDS_FOR_A_REPLY) as connection:
        read_reply(connection)
        for command in (f"USER {account.user}", f"PASS {account.password}"):
            connection.sendall(command.encode() + CRLF)
            read_reply(connection)
        connection.sendall(b"STAT\r\n")
        status = read_reply(connection)
        connection.sendall(b"UIDL\r\n")
        unique_ids = read_reply(connection, end=b"\r\n.\r\n")
        connection.sendall(b"QUIT\r\n")
        read_reply(connection)
    if int(status.split()[1]) != account.messages:
        raise UnexpectedReply(f"{account.messages} messages expected, STAT said {status!r}")
    if unique_ids.count(CRLF) != account.messages + 2:
        raise UnexpectedReply(f"{account.messages} unique ids expected, not {unique_ids!r}")


def sessions_between(start: float, end: float, account: Account) -> int:
    """Sessions completed between two times of time.monotonic, which all processes share."""
    time.sleep(max(0.0, start - time.monotonic()))
    done = 0
    while True:
        session(account)
        if time.monotonic() > end:
            return done
        done += 1


class Clients:
    """Context manager: client processes that wait for work, one for each account."""

    def __init__(self, accounts: list[Account]) -> None:
        self._accounts = accounts
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(len(accounts), mp_context=context)

    def run(self, seconds: float) -> int:
        """Sessions that all clients together complete in so many seconds."""
        start = time.monotonic() + SECONDS_BEFORE_THE_START
        end = start + seconds
        futures = [
            self._pool.submit(sessions_between, start, end, account) for account in self._accounts
        ]
        patience = SECONDS_BEFORE_THE_START + seconds + 8 * SECONDS_FOR_A_REPLY
        return sum(future.result(timeout=patience) for future in futures)

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

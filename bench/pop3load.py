"""POP3 sessions: log in, ask STAT and UIDL, quit."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from bench.load import CRLF, UnexpectedReply, connected, inside_tls
from bench.scram import Scram

REPLY_OCTETS = 1 << 16


@dataclass(frozen=True)
class Account:
    """Who logs in where, how, and how many messages must be there. Called, it is one session."""

    port: int
    user: str
    password: str
    messages: int
    tls: str = ""
    """Empty, "STLS", or "at once"."""
    scram: bool = False

    def __call__(self) -> None:
        """One session from connect to QUIT, checked against what the mailbox holds.

        Raises UnexpectedReply, or OSError when the connection fails.
        """
        connection = connected(self.port)
        try:
            if self.tls == "at once":
                connection = inside_tls(connection)
            read_reply(connection)
            if self.tls == "STLS":
                connection.sendall(b"STLS\r\n")
                read_reply(connection)
                connection = inside_tls(connection)
            _log_in(connection, self)
            connection.sendall(b"STAT\r\n")
            status = read_reply(connection)
            connection.sendall(b"UIDL\r\n")
            unique_ids = read_reply(connection, end=b"\r\n.\r\n")
            connection.sendall(b"QUIT\r\n")
            read_reply(connection)
        finally:
            connection.close()
        if int(status.split()[1]) != self.messages:
            raise UnexpectedReply(f"{self.messages} messages expected, STAT said {status!r}")
        if unique_ids.count(CRLF) != self.messages + 2:
            raise UnexpectedReply(f"{self.messages} unique ids expected, not {unique_ids!r}")


def read_reply(connection: socket.socket, end: bytes = CRLF, begin: bytes = b"+OK") -> bytes:
    """A reply that begins and ends like this; raises UnexpectedReply for any other."""
    reply = bytearray(connection.recv(REPLY_OCTETS))
    while not reply.endswith(end) and not reply.startswith(b"-"):
        more = connection.recv(REPLY_OCTETS)
        if not more:
            break
        reply += more
    if not reply.startswith(begin) or not reply.endswith(end):
        raise UnexpectedReply(repr(bytes(reply[:200])))
    return bytes(reply)


def _log_in(connection: socket.socket, account: Account) -> None:
    if not account.scram:
        for command in (f"USER {account.user}", f"PASS {account.password}"):
            connection.sendall(command.encode() + CRLF)
            read_reply(connection)
        return
    exchange = Scram(account.user, account.password)
    connection.sendall(b"AUTH SCRAM-SHA-256 " + exchange.first + CRLF)
    challenge = read_reply(connection, begin=b"+ ")[2:]
    connection.sendall(exchange.final(challenge) + CRLF)
    if not exchange.is_from_server(read_reply(connection, begin=b"+ ")[2:]):
        raise UnexpectedReply("the server does not know the user's keys")
    connection.sendall(CRLF)
    read_reply(connection)

"""SMTP sessions: TLS, perhaps a login, no message; and a message in the clear."""

from __future__ import annotations

import base64
import socket
from dataclasses import dataclass

from bench.load import CRLF, UnexpectedReply, connected, inside_tls

REPLY_OCTETS = 4096
LETTER = b"Subject: slow?\r\n\r\n" + 57 * (70 * b"x" + CRLF) + b"."


@dataclass(frozen=True)
class Visit:
    """Who comes where, and how. Called, it is one session."""

    port: int
    user: str
    password: str
    tls: str
    """"STARTTLS", or "at once"."""
    login: bool = False

    def __call__(self) -> None:
        connection = connected(self.port)
        try:
            if self.tls == "at once":
                connection = inside_tls(connection)
            _read_reply(connection, b"220")
            _ask(connection, b"EHLO client", b"250")
            if self.tls == "STARTTLS":
                _ask(connection, b"STARTTLS", b"220")
                connection = inside_tls(connection)
                _ask(connection, b"EHLO client", b"250")
            if self.login:
                plain = base64.b64encode(f"\0{self.user}\0{self.password}".encode())
                _ask(connection, b"AUTH PLAIN " + plain, b"235")
            _ask(connection, b"NOOP", b"250")
            _ask(connection, b"QUIT", b"221")
        finally:
            connection.close()


@dataclass(frozen=True)
class Letter:
    """Called, it is one session with a message of 4 KB."""

    port: int

    def __call__(self) -> None:
        with connected(self.port) as connection:
            _read_reply(connection, b"220")
            _ask(connection, b"EHLO client", b"250")
            _ask(connection, b"MAIL FROM:<bob@mailserver>", b"250")
            _ask(connection, b"RCPT TO:<alice@mailserver>", b"250")
            _ask(connection, b"DATA", b"354")
            _ask(connection, LETTER, b"250")
            _ask(connection, b"QUIT", b"221")


@dataclass(frozen=True)
class Circular:
    """Called, it is one session with a message of 4 KB to all of these users, pipelined."""

    port: int
    users: tuple[str, ...]

    def __call__(self) -> None:
        envelope = ["MAIL FROM:<bob@mailserver>"]
        envelope += [f"RCPT TO:<{user}@mailserver>" for user in self.users]
        with connected(self.port) as connection:
            _read_reply(connection, b"220")
            _ask(connection, b"EHLO client", b"250")
            connection.sendall("".join(f"{line}\r\n" for line in [*envelope, "DATA"]).encode())
            answers = b""
            while answers.count(CRLF) <= len(envelope):
                more = connection.recv(REPLY_OCTETS)
                if not more:
                    break
                answers += more
            codes = [line[:3] for line in answers.splitlines()]
            if codes != [b"250"] * len(envelope) + [b"354"]:
                raise UnexpectedReply(repr(answers[-200:]))
            _ask(connection, LETTER, b"250")
            _ask(connection, b"QUIT", b"221")


def _ask(connection: socket.socket, command: bytes, code: bytes) -> None:
    connection.sendall(command + CRLF)
    _read_reply(connection, code)


def _read_reply(connection: socket.socket, code: bytes) -> None:
    """All lines of a reply; raises UnexpectedReply for one with another code."""
    reply = b""
    while not reply.endswith(CRLF) or reply[:-2].rpartition(CRLF)[2][3:4] == b"-":
        more = connection.recv(REPLY_OCTETS)
        if not more:
            break
        reply += more
    if not reply.startswith(code) or not reply.endswith(CRLF):
        raise UnexpectedReply(repr(reply[:200]))

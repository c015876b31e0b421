"""A POP3 session step by step, for what takes long: each step can be timed."""

from __future__ import annotations

from types import TracebackType

from bench.load import CRLF, UnexpectedReply, connected
from bench.pop3load import read_reply
from bench.systems import PASSWORD, Server

SECONDS_FOR_A_STEP = 300.0
END = b"\r\n.\r\n"
BUFFER_OCTETS = 1 << 18


class Visitor:
    """Context manager: a greeted connection to a POP3 server.

    All methods raise UnexpectedReply and OSError.
    """

    def __init__(self, server: Server, user: str) -> None:
        self._user = user
        self._connection = connected(server.port)
        self._connection.settimeout(SECONDS_FOR_A_STEP)
        read_reply(self._connection)

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: TracebackType | object) -> None:
        self._connection.close()

    def ask(self, command: str, end: bytes = CRLF) -> bytes:
        """The whole reply."""
        self._connection.sendall(command.encode() + CRLF)
        return read_reply(self._connection, end)

    def log_in(self) -> tuple[int, int]:
        """Messages and octets, as STAT says."""
        self.ask(f"USER {self._user}")
        self.ask(f"PASS {PASSWORD}")
        messages, octets = self.ask("STAT").split()[1:3]
        return int(messages), int(octets)

    def unique_ids(self) -> int:
        """How many UIDL names."""
        return self.ask("UIDL", END).count(CRLF) - 2

    def fetch_one_by_one(self, messages: int) -> int:
        """Octets of all messages, each asked for when the one before it is here."""
        return sum(_content(self.ask(f"RETR {number}", END)) for number in range(1, messages + 1))

    def fetch_pipelined(self, messages: int) -> int:
        """The same, all asked for at once (RFC 2449 6.6)."""
        commands = "".join(f"RETR {number}\r\n" for number in range(1, messages + 1))
        self._connection.sendall(commands.encode())
        said = bytearray()
        ends = 0
        while ends < messages:
            piece = self._connection.recv(BUFFER_OCTETS)
            if not piece:
                raise UnexpectedReply(f"{ends} of {messages} messages came")
            # The end of a message may lie in two pieces.
            ends += (said[-len(END) + 1 :] + piece).count(END)
            said += piece
        replies = said.split(END)
        if replies.pop():
            raise UnexpectedReply("more came than was asked for")
        return sum(_content(bytes(reply + END)) for reply in replies)


def _content(reply: bytes) -> int:
    """Octets of the message in a reply to RETR; none of its lines begins with a full stop."""
    if not reply.startswith(b"+OK"):
        raise UnexpectedReply(repr(reply[:200]))
    return len(reply) - reply.index(CRLF) - 2 - 3

"""A small streaming POP3 client (RFC 1939, 2449).

One connection, synchronous. A message of any size, with lines of any length, goes to a sink in
chunks and is never held whole; status lines are bounded. What a server says unasked ends the
connection. A server's words in an exception are raw: show them with `render.visible_line`.
"""

from __future__ import annotations

import re
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from mailapp.dots import DotDecoder
from mailapp.network import connect, reason

T = TypeVar("T")
Sink = Callable[[bytes], object]

CONNECT_SECONDS = 30.0
REPLY_SECONDS = 60.0
MAX_STATUS_OCTETS = 4096  # RFC 2449 4 has 512 with the CRLF; liberal, but bounded
MAX_COMMAND_OCTETS = 255  # RFC 2449 4, with the CRLF
MAX_CAPABILITIES_OCTETS = 65_536
MAX_HEADER_OCTETS = 1_048_576  # of each message in a list
MAX_MESSAGES = 10_000_000
WINDOW = 100  # commands under way at a time where PIPELINING is offered (RFC 2449 6.6)
_CHUNK_OCTETS = 65_536
_RESPONSE_CODE = re.compile(r"\[([A-Za-z0-9/-]+)\]\s*(.*)")


class Pop3Error(Exception):
    """What went wrong, as a sentence without a full stop."""


class ConnectionLost(Pop3Error):
    """The connection ended, or the server went silent. Unless QUIT was sent, nothing is deleted."""


class ProtocolError(Pop3Error):
    """The server does not speak POP3, or speaks out of turn. The connection is closed."""


class BadArgument(Pop3Error):
    """An argument that must not be put on a command line. Nothing was sent."""


class Refused(Pop3Error):
    """A `-ERR`. `code` is the response code (RFC 2449 8) in capitals, or empty."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class LoginRefused(Refused):
    """The server does not take this user name with this password."""


class MailboxInUse(Refused):
    """`[IN-USE]`: another session holds the mailbox (RFC 2449 8.1.2)."""


class Pop3Client:
    """One session. Everything but `Refused` and `BadArgument` also closes the connection."""

    def __init__(
        self,
        host: str,
        port: int,
        connect_seconds: float = CONNECT_SECONDS,
        reply_seconds: float = REPLY_SECONDS,
    ) -> None:
        """Connect and read the greeting. Raises Unreachable or a Pop3Error."""
        self._socket = connect("POP3", host, port, connect_seconds)
        self._socket.settimeout(reply_seconds)
        self._received = bytearray()
        self._window = 1
        self._has_top = True
        try:
            self._read_status()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection without QUIT: nothing is deleted."""
        self._socket.close()

    def login(self, user: str, password: str) -> None:
        """USER, PASS (RFC 1939 7), then CAPA. Raises LoginRefused, MailboxInUse or Refused."""
        try:
            self._ask("USER", user)
            self._ask("PASS", password)
        except Refused as refusal:
            raise _login_problem(refusal) from None
        capabilities = self.capabilities()
        self._window = WINDOW if "PIPELINING" in capabilities else 1
        self._has_top = "TOP" in capabilities or not capabilities

    def capabilities(self) -> frozenset[str]:
        """The first words of CAPA (RFC 2449 5) in capitals; empty when the server has no CAPA."""
        listing = bytearray()

        def collect(chunk: bytes) -> None:
            if len(listing) + len(chunk) > MAX_CAPABILITIES_OCTETS:
                raise ProtocolError("the server's list of capabilities does not end")
            listing.extend(chunk)

        try:
            self._ask_for_lines(("CAPA",), collect)
        except Refused:
            return frozenset()
        lines = listing.decode("ascii", "replace").upper().split("\r\n")
        return frozenset(line.split()[0] for line in lines if line.strip())

    def count(self) -> tuple[int, int]:
        """STAT: how many messages there are, and their octets altogether."""
        with self._closing_on_error():
            count, octets = _two_numbers(self._ask("STAT"))
            if count > MAX_MESSAGES:
                raise ProtocolError(f"the server claims to hold {count} messages")
        return count, octets

    def size(self, number: int) -> int:
        """LIST n: the octets of one message as it will be sent."""
        with self._closing_on_error():
            return _two_numbers(self._ask("LIST", str(number)))[1]

    def retrieve(self, number: int, sink: Sink) -> None:
        """RETR: write the message to the sink, chunk by chunk.

        When the sink raises an OSError (a full disk), the rest is read and thrown away, so that
        the session stays usable; then the error is raised.
        """
        self._ask_for_lines(("RETR", str(number)), sink)

    def retrieve_header(self, number: int, sink: Sink) -> None:
        """TOP n 0: write the header block to the sink; the whole message where TOP is missing."""
        self._ask_for_lines(self._header_command(number), sink)

    def headers(self, numbers: Sequence[int], read: Callable[[int, bytes | None], T]) -> list[T]:
        """What `read` makes of each message's header block, asked for in one go where possible.

        A block is cut at MAX_HEADER_OCTETS; it is None when the server refuses to give it.
        """

        def answer(number: int) -> T:
            block = bytearray()

            def collect(chunk: bytes) -> None:
                block.extend(chunk[: MAX_HEADER_OCTETS - len(block)])

            try:
                self._read_status()
                self._read_lines(collect)
            except Refused:
                return read(number, None)
            return read(number, bytes(block))

        return self._pipeline(numbers, self._header_command, answer)

    def delete(self, numbers: Sequence[int]) -> list[tuple[int, str]]:
        """DELE for each number; returns those refused and the server's words for it."""

        def answer(number: int) -> tuple[int, str] | None:
            try:
                self._read_status()
            except Refused as refusal:
                return number, str(refusal)
            return None

        answers = self._pipeline(numbers, lambda number: ("DELE", str(number)), answer)
        return [refused for refused in answers if refused is not None]

    def quit(self) -> None:
        """QUIT: the server deletes now (RFC 1939 6). Raises Refused when it could not."""
        try:
            self._ask("QUIT")
        finally:
            self.close()

    def _header_command(self, number: int) -> tuple[str, ...]:
        return ("TOP", str(number), "0") if self._has_top else ("RETR", str(number))

    def _ask(self, *words: str) -> str:
        """Send one command; return the text behind `+OK`."""
        self._send(_line(words))
        with self._closing_on_error():
            return self._read_status()

    def _ask_for_lines(self, words: tuple[str, ...], sink: Sink) -> None:
        self._send(_line(words))
        with self._closing_on_error():
            self._read_status()
            full = self._read_lines(sink)
        if full is not None:
            raise full

    def _pipeline(
        self,
        numbers: Sequence[int],
        command: Callable[[int], tuple[str, ...]],
        answer: Callable[[int], T],
    ) -> list[T]:
        answers: list[T] = []
        for start in range(0, len(numbers), self._window):
            batch = numbers[start : start + self._window]
            self._send(b"".join(_line(command(number)) for number in batch))
            with self._closing_on_error():
                answers += [answer(number) for number in batch]
        return answers

    def _send(self, lines: bytes) -> None:
        if self._socket.fileno() < 0:
            raise ConnectionLost("the connection was lost")
        with self._closing_on_error():
            if not self._received and select.select([self._socket], [], [], 0)[0]:
                self._receive()  # nothing is under way: an end of stream, or words out of turn
            if self._received.startswith(b"-ERR"):
                words = self._received[5:MAX_STATUS_OCTETS].decode("utf-8", "surrogateescape")
                raise ConnectionLost(f"the server ended the session: {words.strip()}")
            if self._received:
                raise ProtocolError("the server speaks without being asked")
            try:
                self._socket.sendall(lines)
            except OSError as error:
                raise ConnectionLost(f"the connection was lost: {reason(error)}") from error

    def _receive(self) -> None:
        try:
            octets = self._socket.recv(_CHUNK_OCTETS)
        except OSError as error:
            raise ConnectionLost(f"the connection was lost: {reason(error)}") from error
        if not octets:
            raise ConnectionLost("the connection was lost: the server closed it")
        self._received += octets

    def _read_status(self) -> str:
        while (end := self._received.find(b"\n")) < 0 and len(self._received) < MAX_STATUS_OCTETS:
            self._receive()
        if not 0 <= end < MAX_STATUS_OCTETS:
            raise ProtocolError("the server sent a line that does not end")
        line = self._received[:end].decode("utf-8", "surrogateescape").removesuffix("\r")
        del self._received[: end + 1]
        indicator, _, text = line.partition(" ")
        if indicator == "+OK":
            return text
        if indicator == "-ERR":
            code = _RESPONSE_CODE.match(text)
            raise Refused(code[2], code[1].upper()) if code else Refused(text)
        raise ProtocolError(f"this is not a POP3 server: it said {line[:60]!r}")

    def _read_lines(self, sink: Sink) -> OSError | None:
        """Read a multi-line response to its end; return what the sink complained of."""
        decoder, failure = DotDecoder(), None
        while not decoder.finished:
            if not self._received:
                self._receive()
            octets = decoder.feed(bytes(self._received))
            self._received[:] = decoder.rest
            if octets and failure is None:
                try:
                    sink(octets)
                except OSError as error:
                    failure = error
        return failure

    @contextmanager
    def _closing_on_error(self) -> Iterator[None]:
        """An exchange that was broken off, by Ctrl-C too, leaves nothing that could be used."""
        try:
            yield
        except Refused:
            raise
        except BaseException:
            self.close()
            raise


def _line(words: tuple[str, ...]) -> bytes:
    """One command line; refuses what could end it early or become another command."""
    text = " ".join(words)
    if any(character < " " or character == "\x7f" for character in text):
        raise BadArgument("control characters are not allowed in a user name or password")
    try:
        line = text.encode() + b"\r\n"
    except UnicodeEncodeError:
        raise BadArgument("the user name or password is not valid text") from None
    if len(line) > MAX_COMMAND_OCTETS:
        raise BadArgument("the user name or password is too long")
    return line


def _two_numbers(text: str) -> tuple[int, int]:
    words = text.split()
    if len(words) < 2 or not all(re.fullmatch("[0-9]{1,18}", word) for word in words[:2]):
        raise ProtocolError(f"two numbers expected, but the server said {text[:60]!r}")
    return int(words[0]), int(words[1])


def _login_problem(refusal: Refused) -> Refused:
    """Tell a wrong password from a mailbox that cannot be opened now (RFC 2449 8.1, RFC 3206)."""
    if refusal.code == "IN-USE":
        return MailboxInUse(str(refusal), refusal.code)
    if refusal.code.startswith("SYS/") or refusal.code == "LOGIN-DELAY":
        return refusal
    return LoginRefused(str(refusal), refusal.code)

"""POP3 replies and lines over a socket: bounded, told to whoever looks on, and cancellable.

A server's words in an exception are raw: show them with `render.visible_line`.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from mailapp.dots import DotDecoder
from mailapp.link import Link, check_password_is_safe, encrypt, wants_tls
from mailapp.network import connect, reason
from mailapp.trace import SERVER, Trace

Sink = Callable[[bytes], object]

MAX_STATUS_OCTETS = 4096  # RFC 2449 4 has 512 with the CRLF; liberal, but bounded
_CHUNK_OCTETS = 65_536
_RESPONSE_CODE = re.compile(r"\[([A-Za-z0-9/-]+)\]\s*(.*)")


class Pop3Error(Exception):
    """What went wrong, as a sentence without a full stop."""


class ConnectionLost(Pop3Error):
    """The connection ended, or the server went silent. Unless QUIT was sent, nothing is deleted."""


class Cancelled(ConnectionLost):
    """The person did not want to wait any more: the connection was dropped."""


class ProtocolError(Pop3Error):
    """The server does not speak POP3, or speaks out of turn. The connection is closed."""


class BadArgument(Pop3Error):
    """An argument that must not be put on a command line. Nothing was sent."""


class Refused(Pop3Error):
    """A `-ERR`. `code` is the response code (RFC 2449 8) in capitals, or empty."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.is_encrypted = False  # the connection on which a login was refused


class LoginRefused(Refused):
    """The server does not take this user name with this password."""


class MailboxInUse(Refused):
    """`[IN-USE]`: another session holds the mailbox (RFC 2449 8.1.2)."""


class Pop3Wire:
    """One connection. Everything but `Refused` and `BadArgument` also closes it."""

    def __init__(self, host: str, port: int, link: Link) -> None:
        """Connect; with implicit TLS, encrypt. Raises Unreachable."""
        self.trace = Trace("POP3", link.watch, "AUTHORIZATION")
        self.connection: socket.socket | ssl.SSLSocket = connect(
            "POP3", host, port, link.connect_seconds
        )
        self.trace.note(f"connected to {host} port {port}")
        self._received = bytearray()
        self._is_cancelled = False
        self._server = (host, port)
        self._link = link

    def start_tls(self) -> None:
        """Encrypt from here on. Raises Unsafe; ProtocolError when clear words came after `+OK`."""
        with self.closing_on_error():
            if self._received:
                raise ProtocolError("the server slipped in words before the encryption began")
            self.connection = encrypt(self.connection, self.trace, *self._server, self._link)

    def check_password_is_safe(self) -> None:
        """Raises ClearPassword."""
        check_password_is_safe(self.connection, self.trace, *self._server, self._link)

    def wants_tls(self, is_offered: bool) -> bool:
        """Whether to encrypt now. Raises NoTls."""
        return wants_tls(self._link, is_offered, self.trace, *self._server)

    def be_patient(self) -> None:
        """From the greeting on, wait as long as for any reply."""
        self.connection.settimeout(self._link.reply_seconds)

    def close(self) -> None:
        """Drop the connection."""
        self.connection.close()

    def cancel(self) -> None:
        """From another thread: whoever waits for the server gets Cancelled now."""
        self._is_cancelled = True
        with suppress(OSError):
            # not the method of SSLSocket, which takes the session away from under its reader
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)

    def send(self, lines: bytes, shown: str = "") -> None:
        """Command lines with their CRLF; `shown` is what a trace has instead of a secret."""
        if self.connection.fileno() < 0:
            raise ConnectionLost("the connection was lost")
        with self.closing_on_error():
            self._expect_silence()
            for line in (shown or lines.decode("utf-8", "replace")).splitlines():
                self.trace.client(line)
            try:
                self.connection.sendall(lines)
            except OSError as error:
                raise self._lost(error) from error

    def _expect_silence(self) -> None:
        """Nothing is under way: what comes now is an end of stream, or words out of turn."""
        if not self._received:
            self.connection.settimeout(0)
            try:
                self._receive(waits=False)
            finally:
                self.connection.settimeout(self._link.reply_seconds)
        if self._received.startswith(b"-ERR"):
            words = self._received[5:MAX_STATUS_OCTETS].decode("utf-8", "surrogateescape")
            raise ConnectionLost(f"the server ended the session: {words.strip()}")
        if self._received:
            raise ProtocolError("the server speaks without being asked")

    def _receive(self, waits: bool = True) -> None:
        try:
            octets = self.connection.recv(_CHUNK_OCTETS)
        except OSError as error:
            if not waits and isinstance(error, BlockingIOError | ssl.SSLWantReadError):
                return
            raise self._lost(error) from error
        if not octets:
            raise self._lost(None)
        self._received += octets

    def _lost(self, error: OSError | None) -> ConnectionLost:
        if self._is_cancelled:
            return Cancelled("cancelled")
        why = reason(error) if error else "the server closed it"
        return ConnectionLost(f"the connection was lost: {why}")

    def read_reply(self) -> tuple[str, str]:
        """The indicator, `+OK` or `+`, and the text behind it. Raises Refused for `-ERR`."""
        while (end := self._received.find(b"\n")) < 0 and len(self._received) < MAX_STATUS_OCTETS:
            self._receive()
        if not 0 <= end < MAX_STATUS_OCTETS:
            raise ProtocolError("the server sent a line that does not end")
        line = self._received[:end].decode("utf-8", "surrogateescape").removesuffix("\r")
        del self._received[: end + 1]
        self.trace.server(line)
        indicator, _, text = line.partition(" ")
        if indicator in {"+OK", "+"}:
            return indicator, text
        if indicator == "-ERR":
            code = _RESPONSE_CODE.match(text)
            raise Refused(code[2], code[1].upper()) if code else Refused(text)
        raise ProtocolError(f"this is not a POP3 server: it said {line[:60]!r}")

    def read_status(self) -> str:
        """The text behind `+OK`."""
        indicator, text = self.read_reply()
        if indicator != "+OK":
            raise ProtocolError(f"`+OK` was expected, but the server said {indicator!r}")
        return text

    def read_lines(self, sink: Sink) -> OSError | None:
        """Read a multi-line response to its end; return what the sink complained of."""
        decoder, failure = DotDecoder(), None
        content = self.trace.content(SERVER)
        while not decoder.finished:
            if not self._received:
                self._receive()
            octets = decoder.feed(bytes(self._received))
            self._received[:] = decoder.rest
            content.feed(octets)
            if octets and failure is None:
                try:
                    sink(octets)
                except OSError as error:
                    failure = error
        content.end()
        return failure

    @contextmanager
    def closing_on_error(self) -> Iterator[None]:
        """An exchange that was broken off, by Ctrl-C too, leaves nothing that could be used."""
        try:
            yield
        except Refused:
            raise
        except BaseException:
            self.close()
            raise

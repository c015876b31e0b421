"""A mail server on loopback that takes everything and offers what it is told to."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

SECONDS = 20.0


class MailServer:
    """`certificate`: with its key; None: it offers no STARTTLS. `offers`: words inside TLS.
    `outside`: before TLS. `broken`: what it offers is no TLS.
    `keeps`: what comes is kept, not only counted."""

    def __init__(
        self,
        certificate: Path | None = None,
        offers: Sequence[str] = (),
        *,
        outside: Sequence[str] = (),
        broken: bool = False,
        keeps: bool = True,
    ) -> None:
        self._keeps = keeps
        self._broken = broken
        self.connections = 0
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
            self._context.set_servername_callback(self._hear_name)
        self._offers = offers
        starttls = certificate is not None or broken
        self._outside = [*outside, *(["STARTTLS"] if starttls else [])]
        self.said: list[list[bytes]] = []
        """The lines of each connection, without the content."""
        self.contents: list[bytes] = []
        """Of each message, with its transparency."""
        self.octets = 0
        self.taken: list[tuple[bool, bytes]] = []
        """Inside TLS or not, and MAIL."""
        self.names: list[str | None] = []
        """By which it was asked for in TLS."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        # which wakes it
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _hear_name(self, tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        self.names.append(name)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(SECONDS)
                try:
                    self._talk(connection)
                except OSError:
                    continue

    def _talk(self, connection: socket.socket) -> None:
        self.connections += 1
        self.said.append([])
        connection.sendall(b"220 mx.test\r\n")
        if not self._converse(connection, inside=False):
            return
        if self._broken:
            connection.recv(65536)
            connection.sendall(b"no TLS at all\r\n")
        elif self._context is not None:
            with self._context.wrap_socket(connection, server_side=True) as inside:
                self._converse(inside, inside=True)

    def _converse(self, connection: socket.socket, *, inside: bool) -> bool:
        """True: the handshake is next."""
        with connection.makefile("rb") as lines:
            for line in lines:
                verb = line.split()[0].upper()
                self.said[-1].append(line.rstrip())
                if verb == b"STARTTLS":
                    connection.sendall(b"220 go\r\n")
                    return True
                if verb == b"EHLO":
                    words = self._offers if inside else self._outside
                    text = "".join(f"250-{word}\r\n" for word in ("mx.test", *words))
                    connection.sendall(f"{text}250 SIZE\r\n".encode())
                elif verb == b"DATA":
                    connection.sendall(b"354 go\r\n")
                    content = b""
                    while (line := lines.readline()) not in (b".\r\n", b""):
                        content += line if self._keeps else b""
                        self.octets += len(line)
                    self.contents.append(content)
                    connection.sendall(b"250 taken\r\n")
                else:
                    if verb == b"MAIL":
                        self.taken.append((inside, line.rstrip()))
                    connection.sendall(b"250 fine\r\n")
        return False


class WebServer:
    """HTTPS on loopback; `answer` makes of a request all that is sent."""

    def __init__(self, certificate: Path, answer: Callable[[str, bytes], bytes]) -> None:
        """`answer`: of the name in SNI and the request."""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._context.set_servername_callback(self._hear_name)
        self._name = ""
        self._answer = answer
        self.asked: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _hear_name(self, tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        self._name = name or ""

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            try:
                connection.settimeout(SECONDS)
                with self._context.wrap_socket(connection, server_side=True) as inside:
                    request = b""
                    while not re.search(rb"\r\n\r\n", request):
                        request += inside.recv(65536)
                    self.asked.append(self._name)
                    inside.sendall(self._answer(self._name, request))
            except OSError:
                continue
            finally:
                connection.close()


def page(body: bytes, kind: str = "text/plain", status: str = "200 OK") -> bytes:
    """An answer of HTTP."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body

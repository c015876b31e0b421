"""A relay before a server; it stops after so many octets until it is told to go on, or to drop."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Relay:
    """Listens on a port of its own; connections one after another."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._left: int | None = None  # octets from the server until it stops
        self._decided = threading.Event()
        self._drops = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def hold_after(self, octets: int) -> None:
        """The server's next octets come through, and then nothing."""
        self._drops = False
        self._decided.clear()
        self._left = octets

    def drop_after(self, octets: int) -> None:
        """The server's next octets come through, and then the connection breaks."""
        self._left = octets
        self._drops = True
        self._decided.set()

    def go_on(self) -> None:
        """Everything comes through again."""
        self._left = None
        self._decided.set()

    def drop(self) -> None:
        """The connection breaks; later ones work."""
        self._drops = True
        self.go_on()

    def close(self) -> None:
        """No connection works any more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            up = threading.Thread(target=self._up, args=(client, server), daemon=True)
            up.start()
            self._down(server, client)
            for one in (client, server):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            up.join(10)
            client.close()
            server.close()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while octets := client.recv(65_536):
                server.sendall(octets)
            server.shutdown(socket.SHUT_RDWR)
        self._decided.set()  # nobody waits for the rest

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while octets := server.recv(65_536):
                if self._left is not None:
                    client.sendall(octets[: self._left])
                    self._left, octets = max(0, self._left - len(octets)), octets[self._left :]
                    if not octets:
                        continue
                    self._decided.wait(30)
                    self._left = None
                if self._drops:
                    self._drops = False
                    return
                client.sendall(octets)

"""A foreign server that follows a script: right answers, wrong ones, or none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

Step = bytes | str  # octets to send, or the line that has to come


class ScriptedPeer:
    """Plays one script for each connection, in turn; then takes no more connections."""

    def __init__(self, scripts: Sequence[Sequence[Step]]) -> None:
        self.heard: list[str] = []
        self.failures: list[str] = []
        self.is_strict = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, args=(scripts,), daemon=True)
        self._thread.start()

    def _serve(self, scripts: Sequence[Sequence[Step]]) -> None:
        for script in scripts:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as lines:
                for step in script:
                    if not self._play(step, connection, lines.readline):
                        break
        self._listener.close()

    def _play(self, step: Step, connection: socket.socket, read_line: Callable[[], bytes]) -> bool:
        try:
            if isinstance(step, bytes):
                connection.sendall(step)
                return True
            line = read_line().decode().removesuffix("\r\n")
        except OSError:
            return False  # the client left: its right, with such a server
        self.heard.append(line)
        if line != step:
            self.failures.append(f"{step!r} expected, but {line!r} came")
        return line == step

    def finish(self) -> None:
        """Wait for the end of the play; complain of what should have come and did not."""
        self._thread.join(10)
        assert not self._thread.is_alive()
        assert not self.failures

    def finish_quietly(self) -> None:
        """Wait for the end; that the client said something else was the point of the play."""
        self.is_strict = False
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def peer() -> Iterator[Callable[..., ScriptedPeer]]:
    """Call with the steps of one connection, or with lists of steps, one for each."""
    peers: list[ScriptedPeer] = []

    def start(*steps: Step | Sequence[Step]) -> ScriptedPeer:
        is_one = all(isinstance(step, (bytes, str)) for step in steps)
        peers.append(ScriptedPeer([steps] if is_one else steps))  # type: ignore[arg-type,list-item]
        return peers[-1]

    yield start
    assert not [failure for one in peers for failure in one.failures if one.is_strict]


@pytest.fixture
def login() -> list[Step]:
    """The server's part of a login, with three messages in the mailbox."""
    return [
        b"+OK POP3 ready\r\n",
        "CAPA",
        b"+OK\r\nTOP\r\nUIDL\r\nPIPELINING\r\n.\r\n",
        "USER alice",
        b"+OK\r\n",
        "PASS secret",
        b"+OK\r\n",
        "STAT",
        b"+OK 3 300\r\n",
    ]

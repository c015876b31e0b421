"""A foreign server that follows a script: right answers, wrong ones, or none."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

# Octets to send, the line that has to come, or the context with which TLS begins.
Step = bytes | str | ssl.SSLContext


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
            self._perform(script, connection)
        self._listener.close()

    def _perform(self, script: Sequence[Step], connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        try:
            for step in script:
                if isinstance(step, ssl.SSLContext):
                    lines.close()
                    connection = step.wrap_socket(connection, server_side=True)
                    lines = connection.makefile("rb")
                elif not self._play(step, connection, lines.readline):
                    break
        except OSError:
            pass  # the client did not like what it saw
        finally:
            lines.close()
            connection.close()

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
        is_one = all(not isinstance(step, (list, tuple)) for step in steps)
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


@dataclass(frozen=True)
class Certificate:
    """A self-signed one for `localhost` and 127.0.0.1, and a server's context with it."""

    pem: Path
    fingerprint: str
    context: ssl.SSLContext


@pytest.fixture(scope="session")
def new_certificate(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Certificate]:
    """Call for another one."""

    def make() -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.now(datetime.UTC)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = tmp_path_factory.mktemp("tls") / "cert.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        pem.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        return Certificate(pem, certificate.fingerprint(hashes.SHA256()).hex(":").upper(), context)

    return make

"""TLS: against the standard library's client, octet by octet and over sockets."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop

from mailserver import durable
from mailserver.net.burst import Burst
from mailserver.net.door import Door
from mailserver.net.listener import Listener, Refusals, bind
from mailserver.net.self_signed import certificate_in
from mailserver.net.socket_stream import SocketStream
from mailserver.net.tls import CertificateUnusable, ServerTls, TlsFailed, TlsLayer

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate_in(tmp_path_factory.mktemp("data") / "tls", ["mail.example"], NOW)


@pytest.fixture(scope="module")
def tls(files: tuple[Path, Path]) -> ServerTls:
    return ServerTls(*files)


def client_context(certificate: Path) -> ssl.SSLContext:
    """A client that trusts this certificate alone, as strictly as it can."""
    context = ssl.create_default_context(cafile=os.fspath(certificate))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


class Client:
    """The other end, in memory."""

    def __init__(self, context: ssl.SSLContext, name: str = "mail.example") -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)

    def handshake(self, layer: TlsLayer, size: int = 1 << 20) -> bytes:
        """With pieces of so many octets; what the layer deciphered meanwhile."""
        said = b""
        while True:
            try:
                self.tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            said += self.give(layer, size)
            if done:
                return said

    def give(self, layer: TlsLayer, size: int = 1 << 20) -> bytes:
        said = b""
        ciphertext = self.outgoing.read()
        for start in range(0, len(ciphertext), size):
            said += layer.receive(ciphertext[start : start + size])
        self.incoming.write(layer.data_to_send())
        return said


@pytest.fixture
def client(files: tuple[Path, Path]) -> Client:
    return Client(client_context(files[0]))


# -- the layer -----------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_both_directions_in_pieces_of_any_size(tls: ServerTls, client: Client, size: int) -> None:
    layer = tls.layer()
    client.handshake(layer, size)
    assert layer.established
    client.tls.write(b"EHLO c\r\n")
    assert client.give(layer, size) == b"EHLO c\r\n"
    content = os.urandom(300_000)
    layer.send(content)
    client.incoming.write(layer.data_to_send())
    received = b""
    while len(received) < len(content):
        received += client.tls.read(1 << 20)
    assert received == content


# in a process of its own: what others have freed would be used again
QUIET = """
import os, sys
from pathlib import Path
from tests.unit.server.net.test_tls import Client, client_context
from mailserver.net.tls import ServerTls

def resident_octets():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def connect():
    layer = tls.layer()
    Client(context).handshake(layer)
    layer.send(b"220 mail.example Service Ready")
    layer.data_to_send()
    return layer

certificate, key = map(Path, sys.argv[1:])
tls, context = ServerTls(certificate, key), client_context(certificate)
quiet = [connect() for _ in range(50)]  # and what is made once
before = resident_octets()
quiet += [connect() for _ in range(200)]
print((resident_octets() - before) // 200)
"""


def test_a_quiet_connection_keeps_no_buffers(files: tuple[Path, Path]) -> None:
    """33 KiB each instead of 61."""
    root = Path(__file__).parents[4]
    measured = subprocess.run(
        [sys.executable, "-c", QUIET, *files],
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'server'}"},
        check=True,
        capture_output=True,
    )
    assert int(measured.stdout) < 45 * 1024


@pytest.mark.parametrize(
    ("version", "suite"),
    [
        (ssl.TLSVersion.TLSv1_2, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        (ssl.TLSVersion.TLSv1_3, "TLS_AES_256_GCM_SHA384"),
    ],
)
def test_versions(
    tls: ServerTls, files: tuple[Path, Path], version: ssl.TLSVersion, suite: str
) -> None:
    context = client_context(files[0])
    context.minimum_version = context.maximum_version = version
    layer, client = tls.layer(), Client(context)
    client.handshake(layer)
    encryption = layer.encryption()
    assert encryption.version.replace(".", "_") == version.name
    assert encryption.cipher == suite
    # RFC 9266 3: the exporter of TLS 1.2 does not always bind
    assert bool(encryption.bindings) is (version is ssl.TLSVersion.TLSv1_3)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_are_refused(tls: ServerTls, files: tuple[Path, Path]) -> None:
    context = client_context(files[0])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(TlsFailed, match="unsupported protocol"):
        Client(context).handshake(tls.layer())


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "aNULL"])
def test_weak_ciphers_are_refused(tls: ServerTls, files: tuple[Path, Path], cipher: str) -> None:
    context = client_context(files[0])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with pytest.raises(TlsFailed, match="no shared cipher"):
        Client(context).handshake(tls.layer())


def test_channel_bindings(tls: ServerTls, files: tuple[Path, Path], client: Client) -> None:
    layers = tls.layer(), tls.layer()
    client.handshake(layers[0])
    Client(client_context(files[0])).handshake(layers[1])
    one, other = (layer.encryption().bindings for layer in layers)
    assert len(one["tls-exporter"]) == 32
    assert one["tls-exporter"] != other["tls-exporter"]  # of this connection alone
    shown = client.tls.getpeercert(binary_form=True)
    assert shown is not None
    assert one["tls-server-end-point"] == hashlib.sha256(shown).digest()


@pytest.mark.parametrize(
    "said", [b"EHLO c\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff", b"\0" * 100]
)
def test_what_is_no_tls(tls: ServerTls, said: bytes) -> None:
    layer = tls.layer()
    with pytest.raises(TlsFailed):
        layer.receive(said + b"\0" * 70_000)
    layer.send(b"never in the clear")
    layer.close()
    assert b"never" not in layer.data_to_send()


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ([], None),
        (["pop3"], "pop3"),
        (["http/1.1", "pop3"], "pop3"),
        (["h2", "http/1.1"], "refused"),
        (["imap"], "refused"),
    ],
)
def test_a_client_that_wants_other_protocols(
    files: tuple[Path, Path], wanted: list[str], chosen: str | None
) -> None:
    """RFC 7301 3.2; a browser says that it wants HTTP (ALPACA)."""
    context = client_context(files[0])
    context.set_alpn_protocols(wanted)
    layer, client = ServerTls(*files, protocols=[b"pop3"]).layer(), Client(context)
    if chosen != "refused":
        client.handshake(layer)
        assert client.tls.selected_alpn_protocol() == chosen
        return
    with pytest.raises(TlsFailed, match="no protocol"):
        client.handshake(layer)
    assert not layer.established
    client.incoming.write(layer.data_to_send())
    with pytest.raises(ssl.SSLError, match=r"no.application.protocol"):
        client.tls.do_handshake()


def test_an_altered_record(tls: ServerTls, client: Client) -> None:
    layer = tls.layer()
    client.handshake(layer)
    client.tls.write(b"MAIL FROM:<>\r\n")
    ciphertext = bytearray(client.outgoing.read())
    ciphertext[-1] ^= 1
    with pytest.raises(TlsFailed):
        layer.receive(bytes(ciphertext))
    assert not layer.established


def test_the_end_is_said(tls: ServerTls, client: Client) -> None:
    layer = tls.layer()
    client.handshake(layer)
    layer.close()
    client.incoming.write(layer.data_to_send())
    assert client.tls.read(10) == b""
    assert not layer.ended
    client.tls.unwrap()
    assert client.give(layer) == b""
    assert layer.ended


# -- the certificate -----------------------------------------------------------


def test_both_servers_make_one_certificate(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = [pool.submit(certificate_in, tmp_path / "tls", ["a.example"], NOW) for _ in range(8)]
        [files] = {future.result() for future in made}
    ServerTls(*files)
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == [
        "certificate.pem",
        "key.pem",
    ]
    assert files[1].stat().st_mode & 0o777 == 0o600


def test_two_processes_make_one_certificate(tmp_path: Path) -> None:
    source = (
        "import sys, pathlib, datetime; from mailserver.net.self_signed import certificate_in\n"
        "files = certificate_in(pathlib.Path(sys.argv[1]), ['a'],"
        " datetime.datetime.now(datetime.timezone.utc))\n"
        "print(files[0].read_bytes())"
    )
    command = [sys.executable, "-c", source, str(tmp_path / "tls")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    one, other = (process.communicate()[0] for process in both)
    assert one == other != b""
    ServerTls(tmp_path / "tls" / "certificate.pem", tmp_path / "tls" / "key.pem")


def test_one_that_is_there_stays(tmp_path: Path) -> None:
    certificate, _ = certificate_in(tmp_path / "tls", ["a.example"], NOW)
    before = certificate.read_bytes()
    certificate_in(tmp_path / "tls", ["b.example"], NOW)
    assert certificate.read_bytes() == before


def test_a_changed_certificate_is_taken_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    certificate, key = certificate_in(tmp_path / "old", ["mail.example"], NOW)
    tls = ServerTls(certificate, key)
    assert "SHA-256 fingerprint" in caplog.messages[-1]
    tls.layer()
    assert len(caplog.messages) == 1

    for path in certificate_in(tmp_path / "new", ["mail.example"], NOW):
        path.replace(tmp_path / "old" / path.name)
        layer = tls.layer()  # between the two they do not fit: the old one stays
    Client(client_context(certificate)).handshake(layer)
    assert layer.established

    certificate.write_bytes(b"nonsense")
    layer = tls.layer()
    assert tls.layer() is not layer
    assert [m for m in caplog.messages if "stays as it was" in m][-1].startswith(str(certificate))
    key.unlink()
    said = len(caplog.messages)
    tls.layer()
    tls.layer()
    assert len(caplog.messages) == said + 1


@pytest.mark.parametrize("broken", ["missing", "empty", "other key", "locked key"])
def test_files_that_cannot_be_used(files: tuple[Path, Path], tmp_path: Path, broken: str) -> None:
    certificate, key = files
    if broken == "missing":
        key = tmp_path / "nowhere.pem"
    elif broken == "empty":
        key = tmp_path / "empty.pem"
        key.touch()
    elif broken == "other key":
        key = certificate_in(tmp_path / "tls", ["a"], NOW)[1]
    else:
        key = tmp_path / "locked.pem"
        key.write_bytes(_locked(files[1]))
    with pytest.raises(CertificateUnusable, match=str(tmp_path)):
        ServerTls(certificate, key)


def _locked(key: Path) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )


def test_create_once_keeps_what_is_there(tmp_path: Path) -> None:
    folder = durable.open_folder(str(tmp_path))
    durable.create_once("name", folder, [b"one"])
    durable.create_once("name", folder, [b"two"])
    os.close(folder)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("name", b"one")]


# -- over sockets --------------------------------------------------------------

Loop = Callable[[], asyncio.AbstractEventLoop]


def run(story: Coroutine[Any, Any, None], loop: Loop) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.wait_for(story, 20))


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Loop:
    factory: Loop = request.param
    return factory


async def echo(stream: SocketStream) -> None:
    """STLS, then say everything back, with what protects it."""
    while line := await stream.receive(5):
        if stream.encryption:
            line = stream.encryption.version.encode() + b" " + line
        stream.send(line)
        await stream.drain(5)


class Server:
    """A listener on a free port."""

    def __init__(self, serve: Callable[[SocketStream], Any], tls: ServerTls | None) -> None:
        self.listener = Listener(serve, Door(10), Refusals(), tls)
        [self.bound] = bind("127.0.0.1", 0)
        self.port: int = self.bound.getsockname()[1]

    async def __aenter__(self) -> Server:
        await self.listener.start(self.bound)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.listener.stop(0)


def test_implicit_tls(tls: ServerTls, files: tuple[Path, Path], loop: Loop) -> None:
    async def story() -> None:
        async with Server(echo, tls) as server:
            context = client_context(files[0])
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", server.port, ssl=context, server_hostname="mail.example"
            )
            writer.write(b"NOOP\r\n")
            assert await reader.readline() == b"TLSv1.3 NOOP\r\n"
            content = b"x" * 2_000_000 + b"\n"
            writer.write(content)
            await writer.drain()
            received = 0
            while received < len(content):
                received += len((await reader.read(1 << 20)).replace(b"TLSv1.3 ", b""))
            writer.close()
            await writer.wait_closed()

    run(story(), loop)


def test_the_server_speaks_first(tls: ServerTls, files: tuple[Path, Path], loop: Loop) -> None:
    async def greet(stream: SocketStream) -> None:
        stream.send(b"220 mailserver\r\n")

    async def story() -> None:
        async with Server(greet, tls) as server:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1",
                server.port,
                ssl=client_context(files[0]),
                server_hostname="mail.example",
            )
            assert await reader.read() == b"220 mailserver\r\n"
            writer.close()
            await writer.wait_closed()

    run(story(), loop)


async def upgrade(stream: SocketStream, tls: ServerTls) -> None:
    await stream.receive(5)
    stream.send(b"220 go ahead\r\n")
    await stream.start_tls(tls, 5)
    await echo(stream)


def test_start_tls(tls: ServerTls, files: tuple[Path, Path], loop: Loop) -> None:
    async def story() -> None:
        async with Server(lambda stream: upgrade(stream, tls), None) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"STARTTLS\r\n")
            assert await reader.readline() == b"220 go ahead\r\n"
            await writer.start_tls(client_context(files[0]), server_hostname="mail.example")
            writer.write(b"NOOP\r\n")
            assert await reader.readline() == b"TLSv1.3 NOOP\r\n"
            writer.close()
            await writer.wait_closed()

    run(story(), loop)


def test_a_command_in_the_clear_never_counts_after_start_tls(
    tls: ServerTls, loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    """CVE-2011-0411, with the command in a segment of its own, after the session looked."""
    caplog.set_level(logging.INFO)

    async def story() -> None:
        async with Server(lambda stream: upgrade(stream, tls), None) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"STARTTLS\r\n")
            await reader.readline()
            writer.write(b"NOOP\r\n")
            said = await reader.read()
            assert b"NOOP" not in said
            assert said[:1] in (b"", b"\x15")  # an alert, or nothing
            writer.close()

    run(story(), loop)
    assert any("TLS with 127.0.0.1 failed" in message for message in caplog.messages)


def test_a_handshake_that_never_ends(tls: ServerTls) -> None:
    async def story() -> None:
        running = asyncio.get_running_loop()
        arrived: asyncio.Future[SocketStream] = running.create_future()
        server = await running.create_server(
            lambda: SocketStream(arrived.set_result, Burst()), "127.0.0.1", 0
        )
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        stream = await arrived
        handshake = asyncio.ensure_future(stream.start_tls(tls, 30))
        await asyncio.sleep(0)
        stream.expire(running.time() + 29)
        await asyncio.sleep(0)
        assert not handshake.done()
        stream.expire(running.time() + 31)
        with pytest.raises(ConnectionError):
            await handshake
        stream.abort()
        writer.close()
        server.close()

    run(story(), asyncio.new_event_loop)

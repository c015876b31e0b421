"""A connection that exists only in memory: what the peer says is given, what it gets is kept."""

from __future__ import annotations

from collections.abc import Iterable

from mailserver.net.stream import Take
from mailserver.net.tls import Encryption, TlsParty


class MemoryStream:
    """See `stream.ByteStream`. Each chunk, or exception, is what one `receive` brings."""

    def __init__(self, received: Iterable[bytes | Exception], peer: str = "192.0.2.1") -> None:
        """When `received` is used up, the connection has ended."""
        self.peer = peer
        self.encryption: Encryption | None = None
        self.sent = bytearray()
        self.closed = False
        self._received = iter(received)

    async def receive(self, timeout: float) -> bytes:
        """The next chunk."""
        chunk = next(self._received, b"")
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    async def hand_over(self, take: Take, timeout: float) -> None:
        """The next chunks."""
        seconds: float | None = timeout
        while seconds is not None:
            seconds = take(await self.receive(seconds))

    def send(self, octets: bytes) -> bool:
        """Keep it."""
        self.sent += octets
        return True

    async def drain(self, timeout: float) -> None:
        """The memory has always room."""

    async def start_tls(self, tls: TlsParty, timeout: float) -> None:
        """From here on it counts as encrypted; the octets stay what they are."""
        self.encryption = Encryption("TLSv1.3", "none", {"tls-exporter": b"exported".ljust(32)})

    async def close(self) -> None:
        """Nothing comes after this."""
        self.closed = True

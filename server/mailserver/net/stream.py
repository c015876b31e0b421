"""One connection, as a driver sees it: receive, hand over, send, drain, close. Over TCP it is a
`socket_stream`, in memory a `memory_stream`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mailserver.net.tls import Encryption, TlsParty


class ReceiveTimeout(Exception):
    """Nothing came in the time allowed."""


class SessionOver(Exception):
    """The connection is to end as soon as it can; raised where it waits for its peer, and once
    more when it does not end."""


class ServerStopping(SessionOver):
    """The server is being stopped."""


class SessionTimeout(SessionOver):
    """The connection has lasted as long as it may."""


Take = Callable[[bytes], float | None]
"""Takes what has come, b"" at the connection's end; the seconds to wait for more, None: enough."""


class ByteStream(Protocol):
    """What a driver needs of a connection."""

    peer: str
    """The other end's IP address, as text."""
    encryption: Encryption | None
    """None: in the clear."""

    async def receive(self, timeout: float) -> bytes:
        """What has come, at least one octet; b"" when the connection has ended. `timeout` in
        seconds: ReceiveTimeout. May raise SessionOver."""

    async def hand_over(self, take: Take, timeout: float) -> None:
        """Give what comes to `take`, at once, until it wants no more; `timeout` in seconds for the
        first. Raises what `receive` raises, and what `take` does."""

    def send(self, octets: bytes) -> bool:
        """Send; never waits. False: so much waits by now that `drain` must come before more, or
        the connection has ended."""

    async def drain(self, timeout: float) -> None:
        """Wait until the peer has taken enough; raises ConnectionError when it does not."""

    async def start_tls(self, tls: TlsParty, timeout: float) -> None:
        """From here on TLS. What came in the clear and was not received yet counts as handshake,
        never as a command. Raises ConnectionError when none comes about in `timeout` seconds."""

    async def close(self) -> None:
        """Send what waits, then close."""

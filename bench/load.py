"""Client processes that have one session after another until a deadline; and how they talk."""

from __future__ import annotations

import multiprocessing
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache

SECONDS_FOR_A_REPLY = 10.0
SECONDS_BEFORE_THE_START = 0.2  # for every client to be at the line
CRLF = b"\r\n"
TLS = ("TLSv1.3", "TLS_AES_256_GCM_SHA384")
"""What a connection has to have come to, or the run is void."""

Session = Callable[[], None]
"""One whole session. It can be pickled; raises UnexpectedReply, or OSError."""


class UnexpectedReply(Exception):
    """The server's answer is not what it has to be: the measurement is void."""


def connected(port: int) -> socket.socket:
    """A new connection, in the clear."""
    return socket.create_connection(("127.0.0.1", port), SECONDS_FOR_A_REPLY)


@cache
def _context() -> ssl.SSLContext:
    """TLS 1.3 with a key exchange on P-256, with all systems; nobody looks at the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_ecdh_curve("prime256v1")
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def inside_tls(connection: socket.socket) -> ssl.SSLSocket:
    """A full handshake: nothing is kept of the sessions before."""
    inside = _context().wrap_socket(connection)
    cipher = inside.cipher()
    if (inside.version(), cipher and cipher[0]) != TLS:
        raise UnexpectedReply(f"{TLS} expected, not {inside.version()}, {cipher}")
    # Or a server without TCP_NODELAY waits 40 ms between its session tickets and its greeting, for
    # an acknowledgement that this machine holds back (RFC 1122 4.2.3.2): that would be measured.
    inside.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    return inside


def sessions_between(start: float, end: float, session: Session) -> int:
    """Sessions completed between two times of time.monotonic, which all processes share."""
    time.sleep(max(0.0, start - time.monotonic()))
    done = 0
    while True:
        session()
        if time.monotonic() > end:
            return done
        done += 1


class Clients:
    """Context manager: client processes that wait for work, one for each kind of session."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._sessions = sessions
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(len(sessions), mp_context=context)

    def run(self, seconds: float) -> int:
        """Sessions that all clients together complete in so many seconds."""
        start = time.monotonic() + SECONDS_BEFORE_THE_START
        end = start + seconds
        futures = [
            self._pool.submit(sessions_between, start, end, session) for session in self._sessions
        ]
        patience = SECONDS_BEFORE_THE_START + seconds + 8 * SECONDS_FOR_A_REPLY
        return sum(future.result(timeout=patience) for future in futures)

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

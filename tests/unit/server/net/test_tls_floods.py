"""Who makes TLS itself speak, without a word of SMTP or POP3, and never listens."""

from __future__ import annotations

import asyncio
import hmac
import os
import socket
import struct
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from OpenSSL import SSL

from mailserver.net.door import Door
from mailserver.net.listener import Listener, Refusals, bind
from mailserver.net.self_signed import certificate_in
from mailserver.net.socket_stream import SocketStream
from mailserver.net.tls import ServerTls

HANDSHAKE = 22
MOST = 60_000_000
"""Octets of records: three times what fills the system's buffers, in both directions."""


class Renegotiation:
    """A client of TLS 1.2 that asks for another handshake, in as many records as one likes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(3)
        self.socket.connect(("127.0.0.1", port))
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(b"ECDHE-ECDSA-AES128-GCM-SHA256")
        self.tls = SSL.Connection(context, None)
        self.tls.set_connect_state()
        self._shake_hands()
        seed = b"key expansion" + self.tls.server_random() + self.tls.client_random()
        secret, block, a = self.tls.master_key(), b"", seed
        while len(block) < 40:  # RFC 5246 5 and 6.3
            a = hmac.digest(secret, a, "sha256")
            block += hmac.digest(secret, a + seed, "sha256")
        self.cipher, self.salt = AESGCM(block[:16]), block[32:36]
        self.number = 1  # behind Finished
        body = b"\x03\x03" + os.urandom(32) + b"\0\0\x02\xc0\x2b\x01\0\0\x05\xff\x01\0\x01\0"
        self.hello = b"\x01" + len(body).to_bytes(3, "big") + body

    def _shake_hands(self) -> None:
        done = False
        while not done:
            try:
                self.tls.do_handshake()
                done = True
            except SSL.WantReadError:
                pass
            with suppress(SSL.WantReadError):
                self.socket.sendall(self.tls.bio_read(1 << 16))
            if not done:
                self.tls.bio_write(self.socket.recv(1 << 16))

    def record(self) -> bytes:
        """RFC 5288 3."""
        nonce = self.number.to_bytes(8, "big")
        self.number += 1
        about = nonce + struct.pack(">BHH", HANDSHAKE, 0x303, len(self.hello))
        body = nonce + self.cipher.encrypt(self.salt + nonce, self.hello, about)
        return struct.pack(">BHH", HANDSHAKE, 0x303, len(body)) + body


def test_a_flood_of_renegotiations_is_not_read_to_its_end(tmp_path: Path) -> None:
    """Each is answered by an alert; unread ones took 0.4 octets of memory for one of the flood."""
    tls = ServerTls(*certificate_in(tmp_path / "tls", ["mail.example"], datetime.now(UTC)))

    async def wait_for_words(stream: SocketStream) -> None:
        assert await stream.receive(60) == b""

    def flood(port: int) -> int:
        client, sent = Renegotiation(port), 0
        with client.socket:
            try:
                while sent < MOST:
                    records = b"".join(client.record() for _ in range(1000))
                    client.socket.sendall(records)
                    sent += len(records)
            except TimeoutError:  # nothing more is read of it
                pass
        return sent

    async def story() -> None:
        [bound] = bind("127.0.0.1", 0)
        listener = Listener(wait_for_words, Door(10), Refusals(), tls)
        await listener.start(bound)
        port: int = bound.getsockname()[1]
        assert 0 < await asyncio.to_thread(flood, port) < MOST
        await listener.stop(0)

    asyncio.run(asyncio.wait_for(story(), 60))

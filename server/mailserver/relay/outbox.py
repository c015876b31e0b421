"""The way into the queue for those who take mail in; see `delivery.outbox.Outbox`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from mailserver.message.envelope import Envelope
from mailserver.relay import spool
from mailserver.relay.entry import Entry
from mailserver.relay.spool import Spool
from mailserver.store.base import Body
from mailserver.threads import InThread

_TLS_OPTIONAL = re.compile(rb"^tls-required[ \t]*:[ \t]*no[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_LONE_LF = re.compile(rb"(?<!\r)\n")


Sign = Callable[[bytes, Body], bytes]
"""Called in a thread with head and body; the fields to stand above (RFC 6376 5), LF line ends."""


def unsigned(head: bytes, body: Body) -> bytes:
    """For those who sign nothing."""
    return b""


class HeldMessage:
    """See `delivery.outbox.Held`."""

    def __init__(self, held: spool.Held, in_thread: InThread, ring: Callable[[], None]) -> None:
        self._held = held
        self._in_thread = in_thread
        self._ring = ring

    async def release(self) -> None:
        """See Held."""
        await self._in_thread(self._held.release)
        self._ring()

    async def discard(self) -> None:
        """See Held."""
        await self._in_thread(self._held.discard)


class SpoolOutbox:
    """Puts messages into a spool."""

    def __init__(
        self,
        spool: Spool,
        in_thread: InThread,
        clock: Callable[[], float],
        ring: Callable[[], None],
        sign: Sign = unsigned,
    ) -> None:
        """`ring` is called when there is something new."""
        self._spool = spool
        self._in_thread = in_thread
        self._clock = clock
        self._ring = ring
        self._sign = sign

    async def hold(
        self,
        envelope: Envelope,
        message_id: str,
        head: bytes,
        body: Body,
        *,
        signed: bool = True,
    ) -> HeldMessage:
        """See Outbox."""
        sign = self._sign if signed else unsigned
        write = partial(self._write, envelope, message_id, head, body, sign)
        return HeldMessage(await self._in_thread(write), self._in_thread, self._ring)

    def _write(
        self, envelope: Envelope, message_id: str, head: bytes, body: Body, sign: Sign
    ) -> spool.Held:
        beginning = _LONE_LF.sub(b"\r\n", sign(head, body) + head)

        def content() -> Iterator[bytes]:
            yield beginning
            yield from body.read()

        entry = Entry(
            id=message_id,
            arrived=self._clock(),
            reverse_path=envelope.reverse_path,
            parameters=envelope.parameters,
            recipients=envelope.recipients,
            octets=len(beginning) + body.octets,
            eight_bit=not all(piece.isascii() for piece in content()),
            utf8_header=not beginning.isascii(),
            tls_optional=_TLS_OPTIONAL.search(head) is not None,
        )
        return self._spool.hold(entry, content())

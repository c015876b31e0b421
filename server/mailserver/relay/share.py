"""Which messages of the queue a process of a server delivers: each has its own, and so nothing that
the relay knows of a message has to be told to another process."""

from __future__ import annotations

import zlib

from mailserver.wire.value import value


@value(frozen=True, slots=True)
class Share:
    """One of `of` equal ones; by itself, all."""

    number: int = 0
    of: int = 1

    def __contains__(self, message_id: str) -> bool:
        return zlib.crc32(message_id.encode()) % self.of == self.number


ALL = Share()

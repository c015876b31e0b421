"""Greylisting (RFC 6647): who is not known yet has to come again, which a mail server does and most
senders of spam do not.

What is noted is a triplet: the client's network, the reverse-path, the recipient. Once it has come
again, in time, the network is known to send for the domain in the reverse-path, and its mail passes
for as long as it keeps coming. A network that has come again for anybody is known for `<>` too, so
that reports do not wait.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from mailserver.message.envelope import Envelope
from mailserver.shared_rows import SharedFile
from mailserver.wire.address import ForwardPath

TABLES = 2
"""That the file must have."""
BUCKETS = 8192
"""In each: 65,536 rows, a megabyte."""
_SHARDS = 64
"""Buckets of one network's triplets: whoever floods the table pushes out the own ones."""
COME_AGAIN_SECONDS = 24 * 3600.0
"""By when the second try must have come (RFC 6647 5)."""
KNOWN_SECONDS = 35 * 24 * 3600.0
"""From the last mail on; once a month has to be enough."""
_NOTED_SECONDS = 3600.0  # so often is written down that somebody came again
_PREFIX = {4: 24, 6: 64}
"""Of networks whose servers try for one another (RFC 6647 5)."""


class Greylist:
    """All servers over one data folder share what it knows, in bounded space: the oldest rows make
    room. A disk that fails lets everybody pass."""

    def __init__(self, seconds: float, clock: Callable[[], float], file: SharedFile) -> None:
        """`seconds`: how long the second try has to wait; `clock`: seconds since 1970."""
        self._seconds = seconds
        self._clock = clock
        self._key = file.key
        self._waiting, self._known = file.tables

    def wait(self, envelope: Envelope, forward_path: ForwardPath) -> float:
        """Seconds until this sender may send to this recipient; 0: now. The try is noted."""
        network = _network(envelope.client.address)
        sender = envelope.reverse_path.mailbox
        known = self._key(network, sender.domain.lower() if sender else "")
        now = self._clock()
        last = self._known.get(known)
        if last is not None and now - last < KNOWN_SECONDS:
            if abs(now - last) > _NOTED_SECONDS:
                self._known.change(known, lambda _: now)
            return 0.0
        wait = self._first_try(network, (str(envelope.reverse_path), str(forward_path)), now)
        wait += self._seconds - now
        if wait > 0.0:
            return wait
        for key in (known, self._key(network, "")):
            self._known.change(key, lambda _: now)
        return 0.0

    def _first_try(self, network: str, addresses: tuple[str, str], now: float) -> float:
        """When it was; long ago, if it cannot be noted."""
        triplet = self._key(network, *(one.lower() for one in addresses))
        shard = self._key(network, str(triplet[-1] % _SHARDS))
        key = shard[:4] + triplet[4:]
        noted = self._waiting.get(key)
        if noted is None or not 0.0 <= now - noted < COME_AGAIN_SECONDS:
            self._waiting.change(key, lambda _: now)
            noted = self._waiting.get(key)
        return noted if noted is not None else now - COME_AGAIN_SECONDS


def _network(client: str) -> str:
    """The client's neighbourhood."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:  # a connection without an address
        return client
    return str(ipaddress.ip_network((address, _PREFIX[address.version]), strict=False))

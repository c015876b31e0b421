"""Reaches other servers: the first of a destination's hosts that lets us in."""

from __future__ import annotations

from collections.abc import AsyncIterator

from mailserver.message.outcome import Fate, Outcome
from mailserver.net.burst import Burst
from mailserver.net.smtp_connection import HandshakeFailed, SmtpConnection, Timeouts
from mailserver.net.tls_client import ClientTls
from mailserver.relay.courier import Unreachable
from mailserver.relay.routing import NextHost
from mailserver.relay.tls_demand import Opportunistic
from mailserver.threads import InThread

ADDRESSES_LIMIT = 6
"""Addresses that are tried before the destination counts as silent."""


class SmtpCourier:
    """See `relay.courier.Courier`."""

    def __init__(
        self,
        own_name: str,
        tls: ClientTls,
        timeouts: Timeouts,
        in_thread: InThread,
    ) -> None:
        """For use inside a running event loop."""
        self._own_name = own_name
        self._tls = tls
        self._timeouts = timeouts
        self._in_thread = in_thread
        self._burst = Burst()

    async def connect(self, hosts: AsyncIterator[NextHost]) -> SmtpConnection:
        """See Courier."""
        found: list[Outcome] = []
        async for host in hosts:
            for address in host.addresses[: ADDRESSES_LIMIT - len(found)]:
                try:
                    return await self._connect(host, address)
                except Unreachable as problem:
                    found.append(problem.outcome)
            if len(found) >= ADDRESSES_LIMIT:
                break
        # the last one's, and one that may yet change its mind before those that never will
        raise Unreachable(max(reversed(found), key=lambda one: one.fate is Fate.TEMPORARY))

    async def _connect(self, host: NextHost, address: str) -> SmtpConnection:
        try:
            return await self._try(host, address, starttls=True)
        except HandshakeFailed as problem:
            if not isinstance(host.demand, Opportunistic):
                raise Unreachable(problem.outcome) from None
        try:  # RFC 7435: TLS where it is to be had
            return await self._try(host, address, starttls=False)
        except HandshakeFailed as problem:
            raise Unreachable(problem.outcome) from None

    async def _try(self, host: NextHost, address: str, *, starttls: bool) -> SmtpConnection:
        connection = SmtpConnection(
            self._own_name, host, self._tls, self._timeouts, self._in_thread, self._burst
        )
        try:
            await connection.open(address, starttls=starttls)
        except BaseException:
            connection.abort()
            raise
        return connection

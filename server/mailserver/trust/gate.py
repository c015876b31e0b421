"""Whether a stranger may come in at all: asked when he names a recipient who is here."""

from __future__ import annotations

import logging
from math import ceil

from mailserver.message.envelope import Client, Envelope
from mailserver.message.verdict import ACCEPTED, Kind, Verdict
from mailserver.trust.block_lists import BlockLists
from mailserver.trust.greylist import Greylist
from mailserver.wire.address import ForwardPath
from mailserver.wire.peer import Network, is_in, is_own, is_public
from mailserver.wire.value import value

log = logging.getLogger(__name__)

_POSTMASTER = "postmaster"


@value(frozen=True, slots=True)
class Gate:
    """What the settings ask for."""

    lists: BlockLists | None = None
    greylist: Greylist | None = None
    known: tuple[Network, ...] = ()
    """Whose clients pass."""

    def watches(self, client: Client) -> bool:
        """Those who have logged in pass, and programs on this machine."""
        return (
            not client.user and not is_own(client.address) and not is_in(client.address, self.known)
        )

    async def admits(self, envelope: Envelope, forward_path: ForwardPath) -> Verdict:
        """One more recipient of a client that is watched. Takes a bounded time. Postmaster is there
        for all, also for those who want to complain about this (RFC 5321 4.5.1)."""
        if forward_path.mailbox.local_part.lower() == _POSTMASTER:
            return ACCEPTED
        address = envelope.client.address
        if self.lists is not None and is_public(address):
            listing = await self.lists.listing(address)
            if listing:
                log.info("refused %s: listed by %s", address, listing)
                return Verdict(Kind.BLOCK_LISTED, listing)
        if self.greylist is not None:
            wait = self.greylist.wait(envelope, forward_path)
            if wait:
                return Verdict(Kind.NOT_KNOWN_YET, f"try again in {ceil(wait)} seconds")
        return ACCEPTED

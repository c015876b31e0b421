"""A message that is taken: what is added to it, for those here and for those elsewhere."""

from __future__ import annotations

from dataclasses import replace

from mailserver.delivery.expansion import Expanded, Leaving
from mailserver.message import submission, trace
from mailserver.message.envelope import Envelope
from mailserver.message.header import Header, read_header
from mailserver.store.base import Body, Delivery, Deposit, StagedMessage
from mailserver.wire.value import value


@value(frozen=True, slots=True)
class Taken:
    """As those need it who store it or pass it on."""

    id: str
    at: trace.Stamp
    own_name: str
    above: bytes
    """Fields for over the header block, which the checks made."""
    block: bytes
    """With what a user left out (`submission`)."""
    header: Header
    body: Body

    def for_here(self, envelope: Envelope, expanded: Expanded) -> Deposit:
        """A copy for each user, with the lines that final delivery adds (RFC 5321 4.4)."""
        block = trace.stamped(self.block, self.header, self.at)
        return tuple(
            Delivery(
                user,
                trace.from_line(str(copy.sender), self.at),
                trace.return_path(str(copy.sender))
                + self.above
                + trace.received(envelope, self.own_name, self.id, copy.recipient, self.at)
                + block,
                self.body,
            )
            for user, copy in expanded.copies.items()
        )

    def head_for_others(self, leaving: Leaving) -> bytes:
        """Trace lines and header block: no Return-Path (RFC 5321 4.4), no word of other recipients
        (7.2)."""
        envelope, alias = leaving.envelope, leaving.alias
        one = str(envelope.forward_paths[0]) if len(envelope.recipients) == 1 else ""
        line = trace.received(envelope, self.own_name, self.id, alias or one, self.at)
        above = trace.delivered_to(alias) if alias else b""
        return above + line + self.above + self.block + trace.separator(self.header)


def taken(
    message_id: str,
    at: trace.Stamp,
    own_name: str,
    envelope: Envelope,
    message: StagedMessage,
    found: Header,
    above: bytes,
) -> Taken:
    """`found`: the message's header; `above`: see Taken."""
    block = message.header_block
    if envelope.client.user:
        block = submission.without_bcc(block)
        if block != message.header_block:
            found = replace(read_header(block), separated=found.separated)
        block += submission.missing_fields(block, at, message_id, own_name)
    return Taken(message_id, at, own_name, above, block, found, message.body)

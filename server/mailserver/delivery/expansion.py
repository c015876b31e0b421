"""Where the recipients of a message lead: to mailboxes here, and to addresses elsewhere.

An alias leaves the reverse-path what it is (RFC 5321 3.9.1): trouble is told to the sender, if need
be by way of an address here that leads back to him (`rewriting`). A list has an owner, who is told
instead (3.9.2). To a sender who is not who he says, nothing is told by anybody: the reverse-path of
what is forwarded is `<>` then, or strangers would get reports about mail that they never sent.
"""

from __future__ import annotations

from dataclasses import replace

from mailserver.delivery.addressing import AddressBook, Member
from mailserver.delivery.rewriting import Rewriting
from mailserver.message.envelope import (
    Envelope,
    Notify,
    RcptParameters,
    Recipient,
)
from mailserver.message.report import Action
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath
from mailserver.wire.value import value

NOBODY = ReversePath(None)


@value(frozen=True, slots=True)
class Copy:
    """For a mailbox here."""

    recipient: str
    """The first address that led to it."""
    sender: ReversePath


@value(frozen=True, slots=True)
class Leaving:
    """For other servers, one message."""

    envelope: Envelope
    alias: str = ""
    """The address here that leads there; "": the client named the recipients himself."""


@value(frozen=True, slots=True)
class Expanded:
    """A message's ways."""

    copies: dict[str, Copy]
    """By user."""
    leaving: tuple[Leaving, ...]
    settled: tuple[tuple[Action, Recipient], ...]
    """Who wanted to hear of success and will hear it from nobody further on (RFC 3461 5.2.7)."""


class Expansion:
    """Of one server."""

    def __init__(
        self, book: AddressBook, rewriting: Rewriting | None = None, *, rewrites: bool = True
    ) -> None:
        """`rewrites`: senders elsewhere, in mail that is forwarded; else `rewriting` only leads
        back what was rewritten before."""
        self._book = book
        self._rewriting = rewriting
        self._rewrites = rewrites and rewriting is not None

    def is_way_back(self, mailbox: Mailbox) -> bool:
        """A local address that leads back to a sender elsewhere, or pretends to."""
        return self._rewriting is not None and self._rewriting.is_ours(mailbox)

    def members(self, mailbox: Mailbox) -> tuple[Member, ...]:
        """Those behind a local address; none when there is nobody."""
        if self._rewriting is None or not self._rewriting.is_ours(mailbox):
            return self._book.members(mailbox)
        sender = self._rewriting.back(mailbox)
        if sender is None:
            return ()
        return self._book.members(sender) if self._book.is_local(sender) else (Member(sender),)

    def of(self, envelope: Envelope, *, forged: bool = False) -> Expanded:
        """`forged`: the sender's domain says that the client is none of its own."""
        copies: dict[str, Copy] = {}
        named: list[Recipient] = []
        leaving: list[Leaving] = []
        settled: list[tuple[Action, Recipient]] = []
        for recipient in envelope.recipients:
            mailbox = recipient.forward_path.mailbox
            if not self._book.is_local(mailbox):
                named.append(recipient)
                continue
            elsewhere: dict[str, list[Mailbox]] = {}  # by owner
            members = self.members(mailbox)
            for one in members:
                if isinstance(one.to, Mailbox):
                    elsewhere.setdefault(one.owner, []).append(one.to)
                elif one.to not in copies:
                    sender = self._of_list(envelope, mailbox, one.owner)
                    copies[one.to] = Copy(str(recipient.forward_path), sender)
            alone = len(members) == 1
            for owner, others in elsewhere.items():
                sender = self._sender(envelope, mailbox, owner, forged=forged)
                asked = RcptParameters() if owner else self._asked(envelope, recipient, alone=alone)
                leaving.append(_forwarded(envelope, recipient, sender, asked, others, owner))
            if Notify.SUCCESS in (recipient.parameters.notify or ()):
                action = _settled_by(members)
                settled += [(action, recipient)] if action else []
        if named:
            leaving.append(Leaving(replace(envelope, recipients=tuple(named))))
        return Expanded(copies, tuple(leaving), tuple(settled))

    def _of_list(self, envelope: Envelope, address: Mailbox, owner: str) -> ReversePath:
        if not owner or envelope.reverse_path == NOBODY:
            return envelope.reverse_path
        return ReversePath(Mailbox(owner, address.domain))

    def _sender(
        self, envelope: Envelope, address: Mailbox, owner: str, *, forged: bool
    ) -> ReversePath:
        """Of what is forwarded."""
        if owner:
            return self._of_list(envelope, address, owner)
        sender = envelope.reverse_path.mailbox
        if sender is None or self._book.is_local(sender):
            return envelope.reverse_path
        if forged:
            return NOBODY
        if self._rewriting is None or not self._rewrites:
            return envelope.reverse_path
        return ReversePath(self._rewriting.forward(sender))

    def _asked(self, envelope: Envelope, recipient: Recipient, *, alone: bool) -> RcptParameters:
        """What an alias passes on (RFC 3461 5.2.7): of success the one behind it tells, unless he
        would tell a stranger, whose name may be anybody's."""
        notify, sender = recipient.parameters.notify, envelope.reverse_path.mailbox
        if notify is not None and not (alone and sender and self._book.is_local(sender)):
            notify -= {Notify.SUCCESS}
        address = str(recipient.forward_path)
        kind = "rfc822" if address.isascii() else "utf-8"
        return RcptParameters(notify, recipient.parameters.original or f"{kind};{address}")


def _forwarded(
    envelope: Envelope,
    recipient: Recipient,
    sender: ReversePath,
    asked: RcptParameters,
    others: list[Mailbox],
    owner: str,
) -> Leaving:
    parameters = envelope.parameters
    if owner:  # what the sender asked was for the list to answer (RFC 3461 5.2.7.3)
        parameters = replace(parameters, returned=None, envelope_id="")
    if not all(one.is_ascii for one in others):
        parameters = replace(parameters, utf8=True)
    recipients = tuple(Recipient(ForwardPath(one), asked) for one in others)
    leaving = Envelope(envelope.client, sender, parameters, recipients)
    return Leaving(leaving, str(recipient.forward_path))


def _settled_by(members: tuple[Member, ...]) -> Action | None:
    """None: the one server further on tells. A list has delivered (RFC 3461 5.2.7.3)."""
    if any(one.owner or isinstance(one.to, str) for one in members):
        return Action.DELIVERED
    return Action.EXPANDED if len(members) > 1 else None

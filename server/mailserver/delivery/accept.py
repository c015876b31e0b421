"""Taking mail in: which recipients, what is added to the message, when it counts as taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from mailserver.accounts.base import Accounts
from mailserver.counts import Counts
from mailserver.delivery import receipts
from mailserver.delivery.addressing import AddressBook, Addresses, Network
from mailserver.delivery.outbox import Held, Outbox
from mailserver.durable import is_full
from mailserver.message import header, submission, trace
from mailserver.message.envelope import (
    Client,
    Envelope,
    MailParameters,
    RcptParameters,
    Recipient,
)
from mailserver.message.header import Header, read_header
from mailserver.message.judgement import Judgement
from mailserver.message.verdict import ACCEPTED, Kind, Verdict
from mailserver.store.base import Body, Delivery, Deposit, MailStore, StagedMessage, Staging, Usage
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath
from mailserver.wire.peer import is_in, is_own, network_of
from mailserver.wire.value import value

Append = Callable[[Deposit], Awaitable[Verdict]]
NO_QUOTA = Usage()


@value(frozen=True, slots=True)
class Policy:
    """What is taken."""

    addresses: Addresses
    subject_limit: int | None = 100
    """Characters, after decoding; None: any."""
    quota: Usage = NO_QUOTA
    """How full a mailbox may become; 0: as it likes."""
    recipients_at_once: int = 50_000
    """Of all messages on their way in, `FEW_RECIPIENTS` of each apart."""
    users_relay: bool = True
    """One who has logged in may send to other servers."""
    relay_from: tuple[Network, ...] = ()
    """Whose clients may, without a login."""


FEW_RECIPIENTS = 10
"""That each message may have, however many other messages have."""
HOPS_LIMIT = 100
"""Received fields; more are a loop (RFC 5321 6.3)."""


@value(frozen=True, slots=True)
class _Taken:
    """A message that is taken, as those need it who store it or pass it on."""

    id: str
    at: trace.Stamp
    above: bytes
    """Fields for over the header block, which the checks made."""
    block: bytes
    """With what a user left out (`submission`)."""
    header: Header
    body: Body


class Trust(Protocol):
    """Looks into who a message is from."""

    async def judge(self, envelope: Envelope, message: StagedMessage) -> Judgement:
        """Takes a bounded time, and raises nothing that has to do with the message."""


class Reception:
    """Decides about senders, recipients and messages, and has the good ones stored."""

    def __init__(
        self,
        policy: Policy,
        accounts: Accounts,
        store: MailStore,
        append: Append,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        trust: Trust | None = None,
        outbox: Outbox | None = None,
        counts: Counts | None = None,
    ) -> None:
        """`append` stores one message durably; `new_id` gives a name no message had before; `trust`
        judges mail of those who have not logged in; `outbox`: for other servers' mail; None: there
        is no way out. `counts`: of messages; None: there may be any number."""
        self._outbox = outbox
        self._policy = policy
        self._own_name = policy.addresses.domains[0]
        self._of_address = counts.messages_of_address if counts else None
        self._of_user = counts.messages_of_user if counts else None
        self._book = AddressBook(policy.addresses, accounts)
        self._store = store
        self._append = append
        self._clock = clock
        self._new_id = new_id
        self._trust = trust
        self._waiting = 0  # recipients of all messages on their way in

    def sender(self, envelope: Envelope) -> Verdict:
        """May this transaction begin?"""
        if not self._is_slow_enough(envelope.client):
            return Verdict(Kind.TOO_MANY_MESSAGES)
        if not self._may_send_as(envelope.client.user, envelope.reverse_path.mailbox):
            return Verdict(Kind.NOT_YOUR_ADDRESS, f"you are {envelope.client.user} here")
        if not self._store.has_room(envelope.parameters.octets or 0):
            return Verdict(Kind.DISK_FULL)
        return ACCEPTED

    def recipient(
        self, forward_path: ForwardPath, octets: int = 0, client: Client | None = None
    ) -> Verdict:
        """May this recipient have mail, of a message of this declared size, from this client?"""
        mailbox = forward_path.mailbox
        if not self._book.is_local(mailbox):
            may = client is not None and self._may_relay(client)
            return ACCEPTED if may else Verdict(Kind.NO_RELAYING)
        users = self._book.users(mailbox)
        if not users:
            return Verdict(Kind.NO_SUCH_USER)
        if any(self._is_full(user, octets) for user in users):
            return Verdict(Kind.MAILBOX_FULL)
        return ACCEPTED

    def has_place(self, recipients: int, counted: int) -> bool:
        """A message with so many recipients, of which so many are counted, may have one more: each
        is some 800 octets of memory. All of them are counted now, until `let_go`."""
        self._waiting += recipients - counted
        return recipients < FEW_RECIPIENTS or self._waiting < self._policy.recipients_at_once

    def let_go(self, counted: int) -> None:
        """So many recipients wait no more."""
        self._waiting -= counted

    def stage(self) -> Staging:
        """A place for the content; raises OSError."""
        return self._store.stage()

    async def accept(self, envelope: Envelope, message: StagedMessage) -> tuple[Verdict, str]:
        """Store the message for all its recipients; also the id that its trace line has."""
        message_id = self._new_id()
        found = message.header
        if found is None:
            limits = f"{header.OCTET_LIMIT} octets, {header.FIELD_LIMIT} fields"
            return Verdict(Kind.HEADER_TOO_BIG, f"at most {limits}"), message_id
        if trace.hops(message.header_block) > HOPS_LIMIT:
            return Verdict(Kind.TOO_MANY_HOPS), message_id
        fault = self._fault(found)
        if fault is not None:  # a Verdict, and as such never true
            return fault, message_id
        above = b""
        if self._trust is not None and envelope.client.address and not envelope.client.user:
            judgement = await self._trust.judge(envelope, message)
            if not judgement.verdict:
                return judgement.verdict, message_id
            above = judgement.fields
            if judgement.header_block != message.header_block:
                message = replace(message, header_block=judgement.header_block)
                found = replace(read_header(message.header_block), separated=found.separated)
        taken = self._completed(envelope, message, found, message_id, above)
        local, foreign = self._parted(envelope)
        deposit = self._address(local, taken)
        if foreign is not None:
            verdict = await self._accept_both(deposit, foreign, taken)
        elif deposit:
            verdict = await self._append(deposit)
        else:  # all accounts vanished since RCPT
            verdict = Verdict(Kind.NO_SUCH_USER)
        if verdict:
            await self._confirm(local, message, message_id)
        return verdict, message_id

    async def _accept_both(self, deposit: Deposit, foreign: Envelope, taken: _Taken) -> Verdict:
        """What leaves is held until what stays is stored: nothing goes out of a message that the
        client is told to send again."""
        assert self._outbox is not None, "nobody may send to elsewhere without one"
        held: Held | None = None
        try:
            head = self._head_for_others(foreign, taken)
            held = await self._outbox.hold(foreign, taken.id, head, taken.body)
            stored = await self._append(deposit) if deposit else ACCEPTED
            if stored:
                await held.release()
                held = None
            return stored
        except OSError as error:
            return Verdict(Kind.DISK_FULL if is_full(error) else Kind.STORAGE_FAILED)
        finally:
            if held is not None:
                with suppress(OSError):
                    await held.discard()

    async def _confirm(self, local: Envelope, message: StagedMessage, message_id: str) -> None:
        """To senders here alone: a stranger's reverse-path may be anybody's, who never asked."""
        sender = local.reverse_path.mailbox
        if sender is None or not self._book.is_local(sender):
            return
        block, now = message.header_block, self._clock()
        content = receipts.receipt(local, block, message_id, self._own_name, now)
        if content:
            with suppress(OSError):  # the message is stored, and that is what 250 says
                await self.report(sender, content)

    async def report(self, mailbox: Mailbox, content: bytes) -> Verdict:
        """A message of this server itself, from `<>`; CRLF line ends."""
        parameters = MailParameters(utf8=not mailbox.is_ascii)
        recipient = Recipient(ForwardPath(mailbox), RcptParameters(notify=frozenset()))
        envelope = Envelope(Client(""), ReversePath(None), parameters, (recipient,))
        staging = self._store.stage()
        try:
            staging.write(content)
            return (await self.accept(envelope, staging.finish()))[0]
        finally:
            staging.discard()

    def _may_relay(self, client: Client) -> bool:
        if self._outbox is None:
            return False
        if client.user:
            return self._policy.users_relay
        return is_in(client.address, self._policy.relay_from)

    def _completed(
        self,
        envelope: Envelope,
        message: StagedMessage,
        found: Header,
        message_id: str,
        above: bytes,
    ) -> _Taken:
        at = trace.stamp(int(self._clock()))
        block = message.header_block
        if envelope.client.user:
            block += submission.missing_fields(block, at, message_id, self._own_name)
        return _Taken(message_id, at, above, block, found, message.body)

    def _parted(self, envelope: Envelope) -> tuple[Envelope, Envelope | None]:
        """For users here, and for others if there are any."""
        local = tuple(
            one for one in envelope.recipients if self._book.is_local(one.forward_path.mailbox)
        )
        if len(local) == len(envelope.recipients):
            return envelope, None
        foreign = tuple(
            one for one in envelope.recipients if not self._book.is_local(one.forward_path.mailbox)
        )
        return replace(envelope, recipients=local), replace(envelope, recipients=foreign)

    def _head_for_others(self, envelope: Envelope, taken: _Taken) -> bytes:
        """Trace line and header block: no Return-Path (RFC 5321 4.4), no word of other recipients
        (7.2)."""
        one = str(envelope.forward_paths[0]) if len(envelope.recipients) == 1 else ""
        line = trace.received(envelope, self._own_name, taken.id, one, taken.at)
        return line + taken.above + taken.block + trace.separator(taken.header)

    def _is_slow_enough(self, client: Client) -> bool:
        if client.user and self._of_user and not self._of_user.admits(client.user):
            return False
        if self._of_address is None or is_own(client.address):
            return True
        return self._of_address.admits(network_of(client.address))

    def _may_send_as(self, user: str, mailbox: Mailbox | None) -> bool:
        """Users send as themselves (RFC 6409 6.1), from any of their addresses; who is no user may
        be anybody from elsewhere, and `<>` is nobody's."""
        if not user or mailbox is None:
            return True
        return self._book.is_local(mailbox) and user in self._book.users(mailbox)

    def _is_full(self, user: str, octets: int) -> bool:
        """A message more would take the mailbox over the quota. One whose size was not declared
        may do so: its other recipients are not to wait for this one."""
        quota = self._policy.quota
        if not quota.octets and not quota.messages:
            return False
        used = self._store.usage(user)
        too_long = 0 < quota.octets < used.octets + max(octets, 1)
        return too_long or 0 < quota.messages <= used.messages

    def _fault(self, found: Header) -> Verdict | None:
        limit = self._policy.subject_limit
        if limit is not None and len(found.subject) > limit:
            detail = f"{len(found.subject)} characters, at most {limit} are allowed"
            return Verdict(Kind.SUBJECT_TOO_LONG, detail)
        return None

    def _address(self, envelope: Envelope, taken: _Taken) -> Deposit:
        """A copy for each recipient, with the lines that final delivery adds (RFC 5321 4.4)."""
        sender = str(envelope.reverse_path)
        from_line = trace.from_line(sender, taken.at)
        above = trace.return_path(sender) + taken.above
        block = trace.stamped(taken.block, taken.header, taken.at)
        return tuple(
            Delivery(
                user,
                from_line,
                above
                + trace.received(envelope, self._own_name, taken.id, recipient, taken.at)
                + block,
                taken.body,
            )
            for user, recipient in self._users(envelope.forward_paths).items()
        )

    def _users(self, forward_paths: Iterable[ForwardPath]) -> dict[str, str]:
        """Each user once, with the first address that led there."""
        users: dict[str, str] = {}
        for forward_path in forward_paths:
            for user in self._book.users(forward_path.mailbox):
                users.setdefault(user, str(forward_path))
        return users

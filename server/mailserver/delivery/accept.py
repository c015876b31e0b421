"""Taking mail in: which recipients, what is added to the message, when it counts as taken."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from mailserver.accounts.base import Accounts
from mailserver.counts import Counts
from mailserver.delivery.addressing import AddressBook, Addresses, Network
from mailserver.delivery.expansion import Expanded, Expansion, Leaving
from mailserver.delivery.outbox import Held, Outbox
from mailserver.delivery.receipts import receipts
from mailserver.delivery.rewriting import Rewriting
from mailserver.delivery.taken import Taken, taken
from mailserver.durable import is_full
from mailserver.message import header, trace
from mailserver.message.envelope import (
    Client,
    Envelope,
    MailParameters,
    RcptParameters,
    Recipient,
)
from mailserver.message.header import Header, read_header
from mailserver.message.judgement import Judgement
from mailserver.message.verdict import ACCEPTED, FORWARDED, Kind, Verdict
from mailserver.store.base import Append, Deposit, MailStore, StagedMessage, Staging, Usage
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath
from mailserver.wire.peer import is_in, is_own, network_of
from mailserver.wire.value import value

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
    rewrites: bool = True
    """Forwarded mail of senders elsewhere goes on from an address here that leads back to them."""


FEW_RECIPIENTS = 10
"""That each message may have, however many other messages have."""
FORWARDS_LIMIT = 10
"""Recipients of a message that lead to other servers: each is a message of its own in the queue."""
HOPS_LIMIT = 100
"""Received fields; more are a loop (RFC 5321 6.3)."""


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
        rewriting: Rewriting | None = None,
        can_store: Callable[[], bool] = lambda: True,
    ) -> None:
        """`append` stores one message durably; `new_id` gives a name no message had before; `trust`
        judges mail of those who have not logged in; `outbox`: for other servers' mail; None: there
        is no way out. `counts`: of messages; None: there may be any number. `rewriting`: of the
        senders of what is forwarded, and back; None: they stay. `can_store`: see `Readiness`."""
        self._outbox = outbox
        self._policy = policy
        self._own_name = policy.addresses.domains[0]
        self._of_address = counts.messages_of_address if counts else None
        self._of_user = counts.messages_of_user if counts else None
        self._accounts = accounts
        self._book = AddressBook(policy.addresses, accounts)
        self._expansion = Expansion(self._book, rewriting, rewrites=policy.rewrites)
        self._store = store
        self._append = append
        self._clock = clock
        self._new_id = new_id
        self._trust = trust
        self._can_store = can_store
        self._waiting = 0  # recipients of all messages on their way in

    def sender(self, envelope: Envelope) -> Verdict:
        """May this transaction begin?"""
        if not self._is_slow_enough(envelope.client):
            return Verdict(Kind.TOO_MANY_MESSAGES)
        if not self._may_send_as(envelope.client.user, envelope.reverse_path.mailbox):
            return Verdict(Kind.NOT_YOUR_ADDRESS, f"you are {envelope.client.user} here")
        if not self._can_store():
            return Verdict(Kind.STORAGE_FAILED)
        if not self._store.has_room(envelope.parameters.octets or 0):
            return Verdict(Kind.DISK_FULL)
        return ACCEPTED

    def recipient(
        self, forward_path: ForwardPath, envelope: Envelope | None = None, forwarded: int = 0
    ) -> Verdict:
        """May this recipient have mail, in this transaction, or if somebody asks by VRFY?
        `forwarded`: how many of those before got the verdict FORWARDED."""
        mailbox = forward_path.mailbox
        if not self._book.is_local(mailbox):
            may = envelope is not None and self._may_relay(envelope.client)
            return ACCEPTED if may else Verdict(Kind.NO_RELAYING)
        if self._expansion.is_way_back(mailbox) and not _is_report(envelope):
            return Verdict(Kind.NO_SUCH_USER)
        members = self._expansion.members(mailbox)
        users = [one.to for one in members if isinstance(one.to, str)]
        if not members or (not users and self._outbox is None):
            return self._nobody()
        octets = (envelope.parameters.octets if envelope else 0) or 0
        if any(self._is_full(user, octets) for user in users):
            return Verdict(Kind.MAILBOX_FULL)
        if len(users) == len(members):
            return ACCEPTED
        return FORWARDED if forwarded < FORWARDS_LIMIT else Verdict(Kind.TOO_MANY_FORWARDS)

    def _nobody(self) -> Verdict:
        """Has this address; as far as can be known."""
        return Verdict(Kind.USERS_UNREADABLE if self._accounts.uncertain else Kind.NO_SUCH_USER)

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
        above, forged = b"", False
        if self._trust is not None and envelope.client.address and not envelope.client.user:
            judgement = await self._trust.judge(envelope, message)
            if not judgement.verdict:
                return judgement.verdict, message_id
            above, forged = judgement.fields, judgement.forged
            if judgement.header_block != message.header_block:
                message = replace(message, header_block=judgement.header_block)
                found = replace(read_header(message.header_block), separated=found.separated)
        at, own_name = trace.stamp(int(self._clock())), self._own_name
        ready = taken(message_id, at, own_name, envelope, message, found, above)
        expanded = self._expansion.of(envelope, forged=forged)
        verdict = await self._store_all(envelope, expanded, ready)
        if verdict:
            await self._confirm(envelope, expanded, message, message_id)
        return verdict, message_id

    async def _store_all(self, envelope: Envelope, expanded: Expanded, message: Taken) -> Verdict:
        for one in expanded.leaving:
            if one.alias and trace.was_delivered_to(message.block, one.alias):
                return Verdict(Kind.TOO_MANY_HOPS, "it was forwarded from here before")
        deposit = message.for_here(envelope, expanded)
        if expanded.leaving:
            return await self._accept_both(deposit, expanded.leaving, message)
        if deposit:
            return await self._append(deposit)
        return self._nobody()  # all accounts vanished since RCPT

    async def _accept_both(
        self, deposit: Deposit, leaving: tuple[Leaving, ...], message: Taken
    ) -> Verdict:
        """What leaves is held until what stays is stored: nothing goes out of a message that the
        client is told to send again."""
        assert self._outbox is not None, "nobody may send to elsewhere without one"
        held: list[Held] = []
        try:
            for number, one in enumerate(leaving):
                message_id = f"{message.id}-{number}" if number else message.id
                envelope, head = one.envelope, message.head_for_others(one)
                own = self._is_own(one)
                held.append(
                    await self._outbox.hold(envelope, message_id, head, message.body, signed=own)
                )
            stored = await self._append(deposit) if deposit else ACCEPTED
            while stored and held:
                await held[-1].release()
                held.pop()
            return stored
        except OSError as error:
            return Verdict(Kind.DISK_FULL if is_full(error) else Kind.STORAGE_FAILED)
        finally:
            for left in held:
                with suppress(OSError):
                    await left.discard()

    def _is_own(self, leaving: Leaving) -> bool:
        """We vouch for it: it is a user's, or this server's, and not what a stranger sent to an
        alias in the name of a user."""
        client = leaving.envelope.client
        return not client.address or self._may_relay(client)

    async def _confirm(
        self, envelope: Envelope, expanded: Expanded, message: StagedMessage, message_id: str
    ) -> None:
        """To senders here alone: a stranger's reverse-path may be anybody's, who never asked."""
        sender = envelope.reverse_path.mailbox
        if not expanded.settled or sender is None or not self._book.is_local(sender):
            return
        block, now, own_name = message.header_block, self._clock(), self._own_name
        for content in receipts(envelope, expanded.settled, block, message_id, own_name, now):
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


def _is_report(envelope: Envelope | None) -> bool:
    """It is from `<>`, and so of a server (RFC 5321 4.5.5)."""
    return envelope is not None and envelope.reverse_path.mailbox is None

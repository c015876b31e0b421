"""Taking mail in: which recipients, what is added to the message, when it counts as taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from mailserver.accounts.base import Accounts
from mailserver.message import header, trace
from mailserver.message.envelope import Envelope
from mailserver.message.header import Header
from mailserver.message.verdict import ACCEPTED, Kind, Verdict
from mailserver.store.base import Delivery, Deposit, MailStore, StagedMessage, Staging
from mailserver.wire.address import ForwardPath, Mailbox

Append = Callable[[Deposit], Awaitable[Verdict]]


@dataclass(frozen=True, slots=True)
class Policy:
    """What is taken."""

    domains: tuple[str, ...]
    """Those whose mail is for users here; the first is the server's own name."""
    subject_limit: int | None = 100
    """Characters, after decoding; None: any."""


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
    ) -> None:
        """`append` stores one message durably; `new_id` gives a name no message had before."""
        self._policy = policy
        self._local = frozenset(domain.lower() for domain in policy.domains)
        self._accounts = accounts
        self._store = store
        self._append = append
        self._clock = clock
        self._new_id = new_id

    def sender(self, envelope: Envelope) -> Verdict:
        """May this transaction begin?"""
        if not self._store.has_room(envelope.declared_octets or 0):
            return Verdict(Kind.DISK_FULL)
        return ACCEPTED

    def recipient(self, forward_path: ForwardPath) -> Verdict:
        """May this recipient have mail?"""
        mailbox = forward_path.mailbox
        if not self._is_local(mailbox):
            return Verdict(Kind.NO_RELAYING)
        if self._accounts.find(mailbox.local_part) is None:
            return Verdict(Kind.NO_SUCH_USER)
        return ACCEPTED

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
        fault = self._fault(found)
        if fault is not None:  # a Verdict, and as such never true
            return fault, message_id
        deposit = self._address(envelope, message, found, message_id)
        if not deposit:  # all accounts vanished since RCPT
            return Verdict(Kind.NO_SUCH_USER), message_id
        return await self._append(deposit), message_id

    def _is_local(self, mailbox: Mailbox) -> bool:
        if not mailbox.domain:  # <postmaster>
            return True
        return mailbox.domain.lower() in self._local

    def _fault(self, found: Header) -> Verdict | None:
        limit = self._policy.subject_limit
        if limit is not None and len(found.subject) > limit:
            detail = f"{len(found.subject)} characters, at most {limit} are allowed"
            return Verdict(Kind.SUBJECT_TOO_LONG, detail)
        return None

    def _address(
        self, envelope: Envelope, message: StagedMessage, found: Header, message_id: str
    ) -> Deposit:
        """A copy for each recipient, with the lines that final delivery adds (RFC 5321 4.4)."""
        at = trace.stamp(int(self._clock()))
        sender = str(envelope.reverse_path)
        from_line = trace.from_line(sender, at)
        return_path = trace.return_path(sender)
        block = _stamped(message.header_block, found, trace.stored_stamp(at))
        own_name = self._policy.domains[0]
        return tuple(
            Delivery(
                user,
                from_line,
                return_path
                + trace.received(envelope.client, own_name, message_id, recipient, at)
                + block,
                message.body,
            )
            for user, recipient in self._users(envelope.forward_paths).items()
        )

    def _users(self, forward_paths: Iterable[ForwardPath]) -> dict[str, str]:
        """Each user once, with the first address that led there."""
        users: dict[str, str] = {}
        for forward_path in forward_paths:
            user = self._accounts.find(forward_path.mailbox.local_part)
            if user is not None:
                users.setdefault(user, str(forward_path))
        return users


def _stamped(block: bytes, found: Header, stamp: bytes) -> bytes:
    """The header block with the stored stamp right behind the subject, or at its end.

    A message whose text begins where its header should gets the empty line that it lacks, or the
    lines above would swallow its first words.
    """
    after = found.after_subject
    empty_line = b"" if found.end or found.separated else b"\n"
    return block[:after] + stamp + block[after:] + empty_line

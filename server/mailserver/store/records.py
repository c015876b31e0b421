"""Messages on their way into mailbox files: their stored form, and what a journal has of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from mailserver.store import index, journal, mbox
from mailserver.store.base import Delivery, Deposit
from mailserver.store.index import Entry
from mailserver.store.journal import Put
from mailserver.store.mailbox_file import MailboxFile
from mailserver.store.staging import FileBody
from mailserver.wire.value import value

APART_OCTETS = 256 * 1024
"""Bodies over this are not written twice."""


@value(frozen=True, slots=True)
class FileRecord:
    """A delivery in stored form."""

    user: str
    beginning: bytes
    body: FileBody
    octets: int
    length: int

    @classmethod
    def of(cls, delivery: Delivery) -> FileRecord:
        """Quote the head; the body is quoted already."""
        body = delivery.body
        assert isinstance(body, FileBody)
        beginning = delivery.from_line + mbox.quote(delivery.head)
        head_octets = len(delivery.head) + delivery.head.count(b"\n")
        octets, length = head_octets + body.octets, len(beginning) + body.length + 1
        return cls(delivery.user, beginning, body, octets, length)

    def chunks(self) -> Iterable[bytes]:
        """Its octets, the empty line at its end included."""
        return itertools.chain((self.beginning,), self.body.chunks(), (b"\n",))


@value(frozen=True, slots=True)
class Message:
    """A deposit on its way into the mailbox files."""

    records: tuple[FileRecord, ...]
    apart: bool
    """It goes into the mailbox files alone, which are synced: it is too big for a journal."""
    octets: int
    """Of a journal."""

    @classmethod
    def of(cls, deposit: Deposit, limit: int) -> Message:
        records = tuple(map(FileRecord.of, deposit))
        if not records:
            return cls((), apart=True, octets=journal.OVERHEAD)
        body = records[0].body
        octets = body.length + sum(len(one.beginning) for one in records)
        octets += journal.OVERHEAD * (len(records) + 1)
        apart = body.length > APART_OCTETS or octets > limit
        return cls(records, apart, journal.OVERHEAD * len(records) if apart else octets)

    def put(self, record: FileRecord, entry: Entry, file: MailboxFile, body: int) -> Put:
        """What the journal is to have of one of the records."""
        begun = record.beginning
        if self.apart:
            begun, body = _first_octets(record), journal.APART
        place = entry.offset, entry.length, entry.digest
        return Put(record.user, file.edition, file.inode, *place, begun, body)


def _first_octets(record: FileRecord) -> bytes:
    """By which a piece of it is recognised."""
    begun = b""
    for chunk in record.chunks():
        begun += chunk[: index.BEGINNING_OCTETS]
        if len(begun) >= index.BEGINNING_OCTETS:
            break
    return begun[: index.BEGINNING_OCTETS]


def parts_of(messages: Sequence[Message], limit: int) -> Iterator[Sequence[Message]]:
    """As many at a time as a journal takes."""
    part: list[Message] = []
    octets = 0
    for message in messages:
        if part and octets + message.octets > limit:
            yield part
            part, octets = [], 0
        part.append(message)
        octets += message.octets
    if part:
        yield part

"""A mail store in memory, for tests: all that `base` promises, except that it lasts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from threading import Lock

from mailserver.message import header
from mailserver.message.header import read_header
from mailserver.message.verdict import ACCEPTED, Kind, Verdict
from mailserver.store.base import Deposit, MaildropInUse, StagedMessage, Usage
from mailserver.wire.value import value


@value(frozen=True, slots=True)
class MemoryBody:
    """A body as it is sent."""

    content: bytes

    @property
    def octets(self) -> int:
        return len(self.content)

    def read(self) -> Iterator[bytes]:
        yield self.content


@value(frozen=True, slots=True)
class _Message:
    unique_id: str
    content: bytes


class MemoryStaging:
    """See `base.Staging`."""

    overfull = urgent = False

    def __init__(self) -> None:
        self._content = bytearray()

    def write(self, content: bytes) -> None:
        self._content += content

    def spill(self) -> None:
        """There is nothing to move."""

    def finish(self) -> StagedMessage:
        content = bytes(self._content).replace(b"\r\n", b"\n")
        found = read_header(content)
        if found.fields > header.FIELD_LIMIT or found.end > header.OCTET_LIMIT:
            return StagedMessage(None, b"", MemoryBody(_crlf(content)))
        body = MemoryBody(_crlf(content[found.end :]))
        return StagedMessage(found, content[: found.end], body)

    def discard(self) -> None:
        self._content.clear()


class MemoryMaildrop:
    """See `base.Maildrop`."""

    def __init__(self, store: MemoryStore, user: str) -> None:
        """Lock and list."""
        self._store = store
        self._user = user
        with store.lock:
            if user in store.in_use:
                raise MaildropInUse(user)
            store.in_use.add(user)
            self._messages = list(store.mailboxes.get(user, ()))
        self._open = True
        self.octets: Sequence[int] = [len(message.content) for message in self._messages]

    @property
    def unique_ids(self) -> Sequence[str]:
        return [message.unique_id for message in self._messages]

    def content_at_hand(self, number: int) -> bytes | None:
        return self._messages[number - 1].content

    def content(self, number: int) -> Iterator[bytes]:
        return iter((self._messages[number - 1].content,))

    def last_login(self) -> int:
        return self._store.last_logins.get(self._user, 0)

    def note_login(self, when: int) -> None:
        self._store.last_logins[self._user] = when

    def delete(self, numbers: Sequence[int]) -> int:
        gone = {self._messages[number - 1].unique_id for number in numbers}
        with self._store.lock:
            mailbox = self._store.mailboxes.get(self._user, [])
            before = len(mailbox)
            mailbox[:] = [message for message in mailbox if message.unique_id not in gone]
            return before - len(mailbox)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._store.in_use.discard(self._user)


class MemoryStore:
    """See `base.MailStore`."""

    def __init__(self) -> None:
        self.mailboxes: dict[str, list[_Message]] = {}
        self.in_use: set[str] = set()
        self.last_logins: dict[str, int] = {}
        self.unusable: set[str] = set()
        """Users whose mail is refused; for tests of what happens then."""
        self.lock = Lock()
        self._ids = itertools.count(1)

    def stage(self) -> MemoryStaging:
        return MemoryStaging()

    def has_room(self, octets: int) -> bool:
        """There is always room."""
        return True

    def usage(self, user: str) -> Usage:
        mailbox = self.mailboxes.get(user, ())
        return Usage(sum(len(message.content) for message in mailbox), len(mailbox))

    def settle(self) -> None:
        """There is nothing to put in order."""

    def append(self, batch: Sequence[Deposit]) -> list[Verdict]:
        with self.lock:
            return [self._append(deposit) for deposit in batch]

    def _append(self, deposit: Deposit) -> Verdict:
        if any(delivery.user in self.unusable for delivery in deposit):
            return Verdict(Kind.MAILBOX_UNUSABLE)
        for delivery in deposit:
            assert isinstance(delivery.body, MemoryBody)
            content = _crlf(delivery.head) + delivery.body.content
            mailbox = self.mailboxes.setdefault(delivery.user, [])
            mailbox.append(_Message(str(next(self._ids)), content))
        return ACCEPTED

    def open_maildrop(self, user: str, *, may_wait: bool = True) -> MemoryMaildrop:
        return MemoryMaildrop(self, user)


def _crlf(octets: bytes) -> bytes:
    return octets.replace(b"\n", b"\r\n")

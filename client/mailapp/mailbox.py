"""One POP3 session as a person sees it: a list, messages, marks; deletions when one leaves."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO

from mailapp import headers, people, summary
from mailapp.mime import Structure, read_structure
from mailapp.pop3 import Pop3Client
from mailapp.render import counted, visible_line
from mailapp.state import MAX_ADDRESSES, State
from mailapp.summary import ANSWERED, NEW, OLD, READ, Summary
from mailapp.value import value

BATCH = 200  # header blocks that are asked for at a time
Progress = Callable[[int, int], object]
"""Called with what is done and what there is to do: octets of a message, lines of a list."""


def no_progress(_done: int, _all: int) -> None:
    """Nobody wants to know."""


class Message:
    """A message fetched into a file that has no name and goes with the object."""

    def __init__(self, number: int, content: BinaryIO, unique_id: str = "") -> None:
        self.number = number
        self.unique_id = unique_id
        self.content = content
        self.structure: Structure = read_structure(content)

    @property
    def headers(self) -> headers.Headers:
        """The fields of the message's own header block."""
        return self.structure.parts[0].headers

    def close(self) -> None:
        """Give the file back."""
        self.content.close()


@value(frozen=True)
class Farewell:
    """What leaving did: how many were deleted, and which not, with the server's words."""

    deleted: int
    refused: tuple[tuple[int, str], ...] = ()

    def lines(self) -> list[str]:
        """For the person, visible."""
        told = [
            f"Message {number} was not deleted: {visible_line(words)}"
            for number, words in self.refused
        ]
        if self.deleted:
            told.append(f"{counted(self.deleted, 'message')} deleted.")
        return told


class Mailbox:
    """An open session. Methods raise `Pop3Error`s; after all but `Refused` it is over.

    `reopen` begins a new one; marks and what was listed are found again by unique id.
    """

    def __init__(
        self, connect: Callable[[], Pop3Client], state: State | None = None, account: str = ""
    ) -> None:
        """Log in by `connect`. What is read and answered is kept in `state` under `account`."""
        self._connect = connect
        self._state = state or State()
        self._account = account
        self.marked: set[int] = set()
        self._ids: dict[int, str] = {}
        self._sizes: dict[int, int] = {}
        self._is_deleting = False  # from QUIT until its answer
        self._new_now: set[str] = set()  # new when this session first listed them
        self._open()

    def _open(self) -> None:
        self._client = self._connect()
        try:
            self.count, self.octets = self._client.count()
        except BaseException:
            self._client.close()
            raise

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS is in use."""
        return self._client.is_encrypted

    # The list

    def summaries(self, numbers: Sequence[int], progress: Progress = no_progress) -> list[Summary]:
        """The list's lines for these messages; only header blocks not yet known are fetched."""
        found: list[Summary] = []
        for start in range(0, len(numbers), BATCH):
            found += self._some_summaries(numbers[start : start + BATCH])
            progress(len(found), len(numbers))
        return found

    def _some_summaries(self, numbers: Sequence[int]) -> list[Summary]:
        self._learn(numbers)
        ids = [self._ids[number] for number in numbers]
        known = self._state.known(self._account, [one for one in ids if one])
        lines: dict[int, Summary] = {}
        for number, unique_id in zip(numbers, ids, strict=True):
            if unique_id in known and (kept := summary.from_text(known[unique_id].summary)):
                lines[number] = kept
        missing = [number for number in numbers if number not in lines]
        fetched = self._client.headers(missing, summary.summarise)
        lines |= {line.number: line for line in fetched}
        self._new_now.update(one for one in ids if one and one not in known)
        texts = {self._ids[line.number]: summary.to_text(line) for line in fetched}
        texts.pop("", None)
        if texts:
            self._state.remember(self._account, texts)
        return [
            replace(
                lines[number],
                number=number,
                size=self._sizes[number],
                unique_id=unique_id,
                status=self._status(unique_id, known[unique_id].status)
                if unique_id in known
                else NEW,
            )
            for number, unique_id in zip(numbers, ids, strict=True)
        ]

    def _status(self, unique_id: str, kept: str) -> str:
        """A message listed for the first time stays new as long as the session lasts."""
        return NEW if kept == OLD and unique_id in self._new_now else kept

    def _learn(self, numbers: Sequence[int]) -> None:
        """Unique ids and sizes."""
        missing = [number for number in numbers if number not in self._ids]
        if missing:
            self._ids |= zip(missing, self._client.unique_ids(missing), strict=True)
            self._sizes |= zip(missing, self._client.sizes(missing), strict=True)

    def learn_all(self) -> None:
        """Unique ids and sizes of all messages, by two commands: before a search or a sort."""
        self._learn(range(1, self.count + 1))

    def size(self, number: int) -> int:
        """The octets of a message."""
        self._learn([number])
        return self._sizes[number]

    def unique_id(self, number: int) -> str:
        """Its name for ever; empty where the server has no UIDL."""
        self._learn([number])
        return self._ids[number]

    def number_of(self, unique_id: str) -> int | None:
        """The message with this name; None when it is not there."""
        self.learn_all()
        found = (number for number, one in self._ids.items() if one == unique_id)
        return next(found, None)

    # Messages

    def open(self, number: int, progress: Progress = no_progress) -> Message:
        """Fetch a message. Raises OSError when there is no room for it."""
        size = self.size(number)
        content = tempfile.TemporaryFile()  # noqa: SIM115 - the message closes it

        def keep(chunk: bytes) -> None:
            content.write(chunk)
            progress(content.tell(), size)

        try:
            self._client.retrieve(number, keep)
            return Message(number, content, self._ids[number])
        except BaseException:
            content.close()
            raise

    def header_lines(self, number: int) -> Iterator[str]:
        """All header lines with their newlines, decoded; a long line comes in pieces."""
        with tempfile.TemporaryFile() as content:
            self._client.retrieve_header(number, content.write)
            content.seek(0)
            yield from headers.decoded_lines(content)

    def set_status(self, number: int, status: str) -> None:
        """OLD, READ or ANSWERED; an answered message stays so when it is read again."""
        unique_id = self.unique_id(number)
        known = self._state.known(self._account, [unique_id])
        if unique_id and not (
            status == READ and unique_id in known and known[unique_id].status == ANSWERED
        ):
            self._state.mark(self._account, unique_id, status)
            self._new_now.discard(unique_id)

    def warnings(self, message: Message) -> tuple[str, ...]:
        """Why its sender may not be who it seems, measured by the addresses met before."""
        return people.warnings(message.headers, self._state.addresses("", MAX_ADDRESSES))

    def note_read(self, message: Message) -> None:
        """It was shown to the person: it is new no more, and its sender is known from now on."""
        self.set_status(message.number, READ)
        person = people.first_sender(message.headers)
        if person.address and not self.warnings(message):
            self._state.meet({person.address: person.name or person.address})

    # Marks

    def mark(self, numbers: Iterable[int]) -> None:
        """To be deleted when one leaves."""
        numbers = list(numbers)
        self._learn(numbers)
        self.marked.update(numbers)

    def unmark(self, numbers: Iterable[int]) -> None:
        """To be kept."""
        self.marked.difference_update(numbers)

    # The session

    def leave(self) -> Farewell:
        """DELE for the marked messages, then QUIT: now the server deletes (RFC 1939 6)."""
        marked = sorted(self.marked)
        self._learn(marked)
        refused = tuple(self._client.delete(marked))
        self._is_deleting = bool(marked)
        self._client.quit()
        self._is_deleting = False
        kept = {number for number, _ in refused}
        gone = [self._ids[number] for number in marked if number not in kept]
        self._state.forget(self._account, filter(None, gone))
        return Farewell(len(gone), refused)

    def commit(self) -> Farewell:
        """Delete what is marked now, and begin a new session."""
        farewell = self.leave()
        self.marked.clear()
        self.reopen()
        return farewell

    @property
    def fate(self) -> str:
        """What became of the marked messages when a session broke off, in words."""
        if self._is_deleting:
            return "Perhaps the marked messages were deleted."
        return "Nothing was deleted." if self.marked else ""

    def release(self) -> None:
        """QUIT and delete nothing, so that others may open the mailbox; `reopen` comes back."""
        self._client.quit()

    def reopen(self) -> str:
        """A new session after the last one ended: new mail is there, marks stay on their messages.

        Where there is none, marks and numbers are as before, and it may be tried again. Returns
        what is to be said of marks that cannot be found again, for want of a unique id.
        """
        self._client.close()
        known = [self._ids.get(number, "") for number in self.marked]
        marked = {one for one in known if one}
        before = self._ids, self._sizes
        self._open()
        self._ids, self._sizes = {}, {}
        self._is_deleting = False
        try:
            if marked:
                self.learn_all()
        except BaseException:
            self._ids, self._sizes = before
            raise
        self.marked = {number for number, one in self._ids.items() if one in marked}
        lost = known.count("")
        return f"{counted(lost, 'mark')} cannot be found again." if lost else ""

    def cancel(self) -> None:
        """From another thread: what is under way raises Cancelled; then `reopen`."""
        self._client.cancel()

    def abandon(self) -> None:
        """Drop the session: nothing is deleted."""
        self._client.close()

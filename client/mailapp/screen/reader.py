"""What the list and the messages wish for, done over one POP3 session at a time. Blocking."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from mailapp import actions, content, exporting, headers, message_view, ordering, query, saving
from mailapp.actions import Account, Server
from mailapp.mailbox import Farewell, Mailbox, Message, Progress
from mailapp.ordering import Order
from mailapp.paths import expanded
from mailapp.pop3 import Cancelled, Pop3Error
from mailapp.render import counted, octets, visible, visible_line
from mailapp.screen import wishes
from mailapp.screen.news import Arranged, Done, Found, Left, Lines, Listing, News, Opened
from mailapp.summary import Summary

MAX_TEXT = 4_000_000  # characters of a message that are shown
BATCH = 1000  # lines of the list that are looked through at a time
_OPENER = "xdg-open"


class Gone(Exception):
    """The message is not in the mailbox any more."""


class Reader:
    """`account` is set once somebody has signed in."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.account: Account | None = None
        self.is_over = False  # the session; the mailbox can be reopened
        self.marked: frozenset[int] = frozenset()  # as the list has it now
        self._mailbox: Mailbox | None = None
        self._message: Message | None = None  # the one that was fetched last
        self._epoch = 0
        self._lost = ""  # what is to be said of marks
        self._turn = 0  # grows when somebody does not want to wait any more

    def stop_waiting(self, is_hurried: bool) -> bool:
        """From another thread. What is under way ends soon; False when it cannot be hurried."""
        if self._mailbox is None or not is_hurried:
            self._turn += 1
            return False
        self._mailbox.cancel()
        return True

    @property
    def fate(self) -> str:
        """What became of what was to be deleted, in words."""
        return self._mailbox.fate if self._mailbox else ""

    def close(self) -> None:
        """Drop the session: nothing is deleted."""
        if self._message is not None:
            self._message.close()
            self._message = None
        if self._mailbox is not None:
            self._mailbox.abandon()
            self._mailbox = None

    # The session

    def open(self, _: wishes.OpenMail, __: Progress) -> News:
        """OpenMail."""
        assert self.account is not None
        turn = self._turn
        mailbox = actions.open_mailbox(self._server, self.account)
        if turn != self._turn:
            mailbox.abandon()
            raise Cancelled("cancelled")
        self._mailbox, self.is_over = mailbox, False
        return self.listing()

    def listing(self, said: str = "") -> Listing:
        """A new epoch begins: numbers may mean other messages now."""
        self._epoch += 1
        box = self._box
        said = self._and_lost(said)
        return Listing(self._epoch, box.count, box.octets, frozenset(box.marked), said)

    def _and_lost(self, said: str) -> str:
        lost, self._lost = self._lost, ""
        return f"{said} {lost}".strip()

    @property
    def _box(self) -> Mailbox:
        assert self._mailbox is not None
        return self._mailbox

    def _session(self) -> bool:
        """Whether a new one had to be begun."""
        if is_new := self.is_over:
            self._box.marked = set(self.marked)
            self._lost = self._box.reopen() or self._lost
            self.is_over = False
        return is_new

    def release(self, _: wishes.Release, __: Progress) -> News:
        """Release: others may have the mailbox; what comes next begins a new session."""
        if self._mailbox is not None and not self.is_over:
            self.is_over = True
            with suppress(Pop3Error):
                self._mailbox.release()
        return Done("")

    def check(self, job: wishes.CheckMail, progress: Progress) -> News:
        """CheckMail."""
        before = self._box.count
        self.marked = job.marked
        self.release(wishes.Release(), progress)
        self._session()
        more = self._box.count - before
        return self.listing(f"{counted(more, 'new message')}." if more > 0 else "No new mail.")

    def commit(self, job: wishes.Commit, _: Progress) -> News:
        """Commit."""
        said = " ".join(self._leave(job.marked).lines())
        self.marked = frozenset()
        self.is_over = True
        self._session()
        return self.listing(said)

    def leave(self, job: wishes.Leave, progress: Progress) -> News:
        """Leave: with nothing to delete, a session that is over is no trouble."""
        said, count = "", self._box.count
        if job.marked:
            farewell = self._leave(job.marked)
            said = self._and_lost(" ".join(farewell.lines()))
            count = self._box.count - farewell.deleted
        else:
            self.release(wishes.Release(), progress)
        self.close()
        return Left(said, counted(count, "message"))

    def _leave(self, marked: frozenset[int]) -> Farewell:
        """The marks are found again by unique id when the session is a new one."""
        self.marked = marked
        if not self._session():
            self._box.marked = set(marked)
        return self._box.leave()

    # The list

    def load(self, job: wishes.Load, _: Progress) -> News:
        """Load."""
        if self._mailbox is None:  # it was left meanwhile
            return Lines(job.epoch, ())
        if self._session():
            return self.listing()
        if job.epoch != self._epoch:
            return Lines(job.epoch, ())
        return Lines(job.epoch, tuple(self._box.summaries(job.numbers)))

    def find(self, job: wishes.Find, progress: Progress) -> News:
        """Find. Raises NoQuery."""
        fits = query.parse(job.query)
        if self._session():
            return self.listing("The list has changed: please search again.")
        lines = self._lines(job.numbers, progress)
        found = (one.number for one in lines if fits(one, one.number in job.marked))
        return Found(job.epoch, next(found, 0))

    def arrange(self, job: wishes.Arrange, progress: Progress) -> News:
        """Arrange. Raises NoQuery."""
        fits = query.parse(job.limit)
        listing = self.listing() if self._session() else None
        everything = range(1, self._box.count + 1)
        if job.order is Order.NUMBER and not job.limit:
            return Arranged(job.order, job.limit, everything, {}, listing)
        marked = listing.marked if listing else self.marked
        lines = self._lines(everything, progress)
        fitting = [one for one in lines if fits(one, one.number in marked)]
        placed = ordering.place(fitting, job.order)
        numbers = tuple(one.summary.number for one in placed)
        depths = {one.summary.number: one.depth for one in placed if one.depth}
        return Arranged(job.order, job.limit, numbers, depths, listing)

    def export(self, job: wishes.Export, progress: Progress) -> News:
        """Export. Raises OSError."""
        if self._session() or job.epoch != self._epoch:
            return self.listing("The list has changed: please export again.")

        def messages() -> Iterator[Message]:
            for done, number in enumerate(job.numbers):
                progress(done, len(job.numbers))
                yield self._box.open(number)

        path = exporting.export(messages(), expanded(job.path))
        what = counted(len(job.numbers), "message")
        return Done(f"{what} saved as {visible_line(str(path))}.")

    def _lines(self, numbers: Sequence[int], progress: Progress) -> Iterator[Summary]:
        """No more of them in memory than have to be."""
        for start in range(0, len(numbers), BATCH):
            batch = numbers[start : start + BATCH]
            yield from self._box.summaries(batch)
            progress(start + len(batch), len(numbers))

    # A message

    def message(self, job: wishes.OfMessage, progress: Progress) -> tuple[Message, Listing | None]:
        """Fetched, or the one that was fetched last. The listing is there when it is a new one."""
        held = self._message
        if held is not None and held.unique_id and held.unique_id == job.unique_id:
            return held, None
        listing = self.listing() if self._session() else None
        number: int | None = job.number
        if listing and job.unique_id:
            is_there = job.number <= self._box.count
            is_same = is_there and self._box.unique_id(job.number) == job.unique_id
            number = job.number if is_same else self._box.number_of(job.unique_id)
        if number is None or number > self._box.count:
            raise Gone
        message = self._box.open(number, progress)
        if held is not None:
            held.close()
        self._message = message
        return message, listing

    def read(self, job: wishes.Read, progress: Progress) -> News:
        """Read."""
        message, listing = self.message(job, progress)
        if job.how == "HTML":
            return self._html(message)
        if job.how != "text":
            message.content.seek(0)
            is_source = job.how == "source"
            lines = message_view.source if is_source else _header_lines
            return Opened(job.number, _bounded(map(visible, lines(message))), how=job.how)
        view = message_view.pieces(message, self._box.warnings(message))
        next(view)  # its number stands in the title
        text = _bounded(map(visible, view)).strip("\n")
        if not self.is_over:
            self._box.note_read(message)
        enclosed = tuple(saving.enclosed(message))
        return Opened(message.number, text, listing, message.unique_id, enclosed)

    def _html(self, message: Message) -> News:
        if not message_view.has_html(message):
            return Done("There is no HTML in this message.")
        text = _bounded(map(visible, message_view.body(message, content.HTML)))
        return Opened(message.number, text, how="HTML")

    def save(self, job: wishes.Save, progress: Progress) -> News:
        """Save. Raises OSError."""
        message, _ = self.message(job, progress)
        where = expanded(job.path)
        path = self._save(message, job.part, where)
        return Done(f"Saved as {visible_line(str(path))}.")

    def _save(self, message: Message, part: int, where: Path) -> Path:
        if part:
            return saving.save_enclosed(message, saving.enclosed(message)[part - 1], where)
        return saving.save_message(message, where, f"message-{message.number}.eml")

    def open_outside(self, job: wishes.OpenOutside, progress: Progress) -> News:
        """OpenOutside. The file stays: nobody knows when the other program has read it."""
        message, _ = self.message(job, progress)
        path = self._save(message, job.part, Path(tempfile.mkdtemp(prefix="mail-")))
        try:
            subprocess.Popen(  # noqa: S603 - the person said yes to this file
                [_OPENER, str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except FileNotFoundError:
            return Done(f"There is no {_OPENER} here; the file is {path}.")
        return Done(f"Given to {_OPENER}: {path}")


def contents(mailbox: Mailbox) -> str:
    """What is in it, in words."""
    return f"{counted(mailbox.count, 'message')}, {octets(mailbox.octets)}"


def _header_lines(message: Message) -> Iterator[str]:
    return headers.decoded_lines(message.content)


def _bounded(pieces: Iterable[str]) -> str:
    """The text, and where it ends when it is longer than a person reads."""
    kept: list[str] = []
    room = MAX_TEXT
    for piece in pieces:
        kept.append(piece[:room])
        room -= len(kept[-1])
        if not room:
            kept.append(f"\n\n(The text goes on; the first {MAX_TEXT:,} characters are shown.)")
            break
    return "".join(kept)

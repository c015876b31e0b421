"""What Manage Mail does with one message in line mode: read, look into, save, answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mailapp import answering, content, exporting, message_view, saving
from mailapp.compose import Draft
from mailapp.mailbox import Mailbox, Message, no_progress
from mailapp.meter import Meter
from mailapp.network import reason
from mailapp.paths import expanded
from mailapp.render import counted, octets, visible_line
from mailapp.summary import ANSWERED
from mailapp.terminal import Pager, Terminal
from mailapp.typed import UnknownWords, number, numbers, shown

LARGE_OCTETS = 1_000_000  # fetching more than this is announced
Write = Callable[[Draft], bool]
"""Let the person write the rest and send it; whether it was sent."""


class LineMessages:
    """Each method takes what was typed behind its word. Raises UnknownWords, Pop3Error, OSError."""

    def __init__(
        self, terminal: Terminal, mailbox: Mailbox, own: Callable[[], str], write: Write
    ) -> None:
        """`own` gives the person's address, maybe empty; the session rests while one writes."""
        self._terminal = terminal
        self._say = terminal.say
        self._mailbox = mailbox
        self._own = own
        self._write = write

    @contextmanager
    def _opened(self, at: int) -> Iterator[Message]:
        """The message, and how far its fetching is when that takes long."""
        message = self._fetch(at)
        try:
            yield message
        finally:
            message.close()

    def _fetch(self, at: int) -> Message:
        size = self._mailbox.size(at)
        if size < LARGE_OCTETS:
            return self._mailbox.open(at)
        self._terminal.write(f"Fetching message {at}, {octets(size)} …")
        self._terminal.flush()
        meter = Meter(self._terminal.write_now, "", is_said=True)
        try:
            return self._mailbox.open(at, meter if self._terminal.is_interactive else no_progress)
        finally:
            meter.end()

    def _paged(self, pieces: Iterator[str]) -> None:
        pager = Pager(self._terminal)
        for piece in pieces:
            pager.write(piece)
        pager.end()

    # Reading

    def read(self, words: str) -> None:
        """With the headers that matter, what is attached, and its text."""
        for at in numbers(words, self._mailbox.count):
            with self._opened(at) as message:
                warnings = self._mailbox.warnings(message)
                self._mailbox.note_read(message)
                self._paged(message_view.pieces(message, warnings))
                self._say("")

    def html(self, words: str) -> None:
        """The text of its HTML, which plain text stood for."""
        for at in numbers(words, self._mailbox.count):
            with self._opened(at) as message:
                if message_view.has_html(message):
                    self._paged(message_view.body(message, content.HTML))
                else:
                    self._say(f"There is no HTML in message {at}.")

    def headers(self, words: str) -> None:
        """All header lines."""
        for at in numbers(words, self._mailbox.count):
            self._paged(self._mailbox.header_lines(at))

    def source(self, words: str) -> None:
        """The message as it came."""
        for at in numbers(words, self._mailbox.count):
            with self._opened(at) as message:
                self._paged(message_view.source(message))

    def attachments(self, words: str) -> None:
        """What can be saved of it."""
        at, _ = number(words, self._mailbox.count)
        with self._opened(at) as message:
            items = saving.enclosed(message)
            for item in items:
                self._terminal.write(message_view.attachment_line(item))
        words = f"save {at} 1 saves the first of them." if items else "Nothing is attached."
        self._say(words)

    # Files

    def save(self, words: str) -> None:
        """`save 3`, `save 3 1`, `save 3 all`, each with a path behind it."""
        at, rest = number(words, self._mailbox.count)
        part, _, path = rest.partition(" ")
        if part != "all" and not part.isdecimal():
            part, path = "", rest
        where = _where(path)
        with self._opened(at) as message:
            items = saving.enclosed(message)
            chosen = [one for one in items if part == "all" or part == str(one.number)]
            if part and not chosen:
                raise UnknownWords(f"Message {at} has no attachment {shown(part)}")
            if len(chosen) > 1 and not where.is_dir():
                raise UnknownWords(f"{shown(str(where))} is no folder; there are several to save")
            self._saving(lambda: self._saved(message, chosen, where))

    def _saved(self, message: Message, items: list[saving.Enclosed], where: Path) -> list[Path]:
        """These parts, or without any the message itself."""
        if items:
            return [saving.save_enclosed(message, one, where) for one in items]
        subject = message.headers.text("subject") or f"message-{message.number}"
        return [saving.save_message(message, where, f"{subject[:80]}.eml")]

    def export(self, words: str) -> None:
        """`export 1-20 PATH`: an mbox file."""
        asked, _, path = words.partition(" ")
        found = numbers(asked, self._mailbox.count)
        where = _where(path)
        self._saving(lambda: [exporting.export(map(self._fetch, found), where)])
        self._say(f"{counted(len(found), 'message')} exported.")

    def _saving(self, save: Callable[[], list[Path]]) -> None:
        try:
            paths = save()
        except FileExistsError as error:
            raise UnknownWords(f"There is a file {error.filename} already; it is kept") from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise UnknownWords(f"It cannot be saved: {where}{reason(error)}") from error
        for path in paths:
            self._say(f"Saved as {visible_line(str(path))}")

    # Answers

    def reply(self, words: str) -> None:
        """To who wrote it."""
        self._answer(words, lambda own, m: answering.reply(own, m.headers, message_view.body(m)))

    def group(self, words: str) -> None:
        """To all who got it."""
        self._answer(
            words, lambda own, m: answering.reply(own, m.headers, message_view.body(m), to_all=True)
        )

    def forward(self, words: str) -> None:
        """Its text, quoted; `forward 3 whole`: the message itself as an attachment."""
        at, rest = number(words, self._mailbox.count)
        if rest == "whole":
            self.forward_whole(str(at))
            return
        self._answer(
            str(at),
            lambda own, m: answering.forward(own, m.headers, message_view.body(m)),
            is_answer=False,
        )

    def forward_whole(self, words: str) -> None:
        """The message itself as an attachment."""

        def draft(own: str, message: Message) -> Draft:
            message.content.seek(0)
            return answering.forward_whole(own, message.headers, message.content.read())

        self._answer(words, draft, is_answer=False)

    def _answer(
        self, words: str, draft: Callable[[str, Message], Draft], is_answer: bool = True
    ) -> None:
        at, _ = number(words, self._mailbox.count)
        own = self._own()
        with self._opened(at) as message:
            made = draft(own, message)
        unique_id = self._mailbox.unique_id(at)
        is_sent = self._write_at_leisure(made) if unique_id else self._write(made)
        now_at = self._mailbox.number_of(unique_id) if unique_id else None
        if is_sent and is_answer and now_at:
            self._mailbox.set_status(now_at, ANSWERED)

    def _write_at_leisure(self, draft: Draft) -> bool:
        """Others may have the mailbox meanwhile."""
        self._mailbox.release()
        try:
            return self._write(draft)
        except KeyboardInterrupt:
            self._say("\nCancelled.")
            return False
        finally:
            self._mailbox.reopen()


def _where(path: str) -> Path:
    """Where to save: as it was typed, or where new files go."""
    return expanded(path.strip()) if path.strip() else saving.folder()

"""Manage Mail: the list, messages and marks, as a conversation in lines."""

from __future__ import annotations

import re
from collections.abc import Callable

from mailapp import message_view
from mailapp.mailbox import Mailbox
from mailapp.network import reason
from mailapp.pop3 import Refused
from mailapp.render import counted, cut, octets, pad, visible_line
from mailapp.summary import Summary
from mailapp.terminal import Pager, StoppedReading, Terminal

MAX_PAGE = 20  # messages listed at a time on a terminal
_AROUND_PAGE = 7  # other lines of a screen that shows a page of the list
BATCH = 200  # header blocks that are asked for at a time
LARGE_OCTETS = 1_000_000  # fetching more than this is announced
_SENDER_COLUMNS = 20
_STAMP_COLUMNS = 20
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")

HELP = """\
  3             read message 3 (also: read 3)
  headers 3     all header lines of message 3
  delete 3 5-7  mark messages to be deleted when you leave (also: d 3)
  undelete 3    take the mark away again (also: u 3)
  list          the list again; list 1-20 for a part of it, list all
  more          the messages before those listed last
  quit          back to the menu; marked messages are deleted now (also: q)
"""


class UnknownWords(ValueError):
    """What was typed makes no sense, and why."""


class ManageMail:
    """The conversation over one open mailbox; `run` returns when the person leaves."""

    def __init__(self, terminal: Terminal, mailbox: Mailbox) -> None:
        self._terminal = terminal
        self._mailbox = mailbox
        self._first_listed = mailbox.count + 1
        self._page = max(1, min(MAX_PAGE, terminal.lines - _AROUND_PAGE))
        self._verbs: dict[str, Callable[[str], None]] = {
            "read": self._read,
            "headers": self._headers,
            "delete": self._delete,
            "undelete": self._undelete,
            "list": self._list,
            "more": self._more,
            "help": self._help,
        }

    def run(self) -> None:
        """Leaves the mailbox open: what was marked is in it. Raises EndOfInput, Pop3Error."""
        if self._mailbox.count == 0:
            self._say("\nThere is no mail.")
            return
        total = counted(self._mailbox.count, "message")
        self._say(f"\n{total}, {octets(self._mailbox.octets)}.")
        self._list("")
        self._say("\nType a number to read a message; help shows what else there is.")
        while (line := self._terminal.read_line("Mail> ").strip()).lower() not in {"q", "quit"}:
            try:
                self._do(line)
            except UnknownWords as problem:
                self._say(f"{problem}.")
            except Refused as refusal:
                self._say(f"The server refused: {visible_line(str(refusal))}")
            except OSError as error:
                self._say(f"The message cannot be kept in a temporary file: {reason(error)}.")
            except StoppedReading:
                pass

    def _do(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        if _RANGE.fullmatch(verb):
            verb, rest = "read", line
        if not verb:
            verb = "more"
        names = [name for name in self._verbs if name.startswith(verb.lower())]
        if not names:
            raise UnknownWords(f'"{cut(visible_line(verb), 40)}" is not known here; try help')
        self._verbs[names[0]](rest)

    def _say(self, line: str) -> None:
        self._terminal.write(line + "\n")

    def _help(self, _: str) -> None:
        self._terminal.write(HELP)

    # The list

    def _list(self, words: str) -> None:
        last = self._mailbox.count
        if words.strip() and words.strip().lower() != "all":
            self._show_list(self._numbers(words))
        elif words.strip() or not self._terminal.is_interactive:
            self._show_list(range(1, last + 1))
        else:
            self._show_list(range(max(1, last - self._page + 1), last + 1))

    def _more(self, _: str) -> None:
        """Earlier messages; the newest are shown first, for they are asked for most."""
        if self._first_listed <= 1:
            self._say("There are no earlier messages. Type a number, or help.")
            return
        self._show_list(range(max(1, self._first_listed - self._page), self._first_listed))

    def _show_list(self, numbers: range | list[int]) -> None:
        pager = Pager(self._terminal) if len(numbers) > self._page else self._terminal
        pager.write(pad("   No", 7) + pad("From", 22) + pad("Received", 22) + "Subject\n")
        for start in range(0, len(numbers), BATCH):
            for summary in self._mailbox.summaries(numbers[start : start + BATCH]):
                pager.write(self._list_line(summary) + "\n")
        self._first_listed = min(numbers)
        if self._terminal.is_interactive and self._first_listed > 1:
            self._say(f"   … {counted(self._first_listed - 1, 'earlier message')}: more")

    def _list_line(self, summary: Summary) -> str:
        """One line, as wide as the terminal; in a pipe nothing is cut off."""
        mark = "D" if summary.number in self._mailbox.marked else " "
        sender = visible_line(summary.sender) or "(unknown)"
        stamp = summary.received or "(unknown)"
        subject = visible_line(summary.subject) or "(no subject)"
        if self._terminal.is_interactive:
            sender = cut(sender, _SENDER_COLUMNS)
        columns = pad(sender, _SENDER_COLUMNS) + "  " + pad(stamp, _STAMP_COLUMNS)
        line = f"{summary.number:>5}{mark} {columns}  {subject}"
        return cut(line, self._terminal.columns - 1) if self._terminal.is_interactive else line

    # Marks

    def _delete(self, words: str) -> None:
        numbers = self._numbers(words)
        self._mailbox.mark(numbers)
        self._say(
            f"{self._named(numbers)} marked; deleted when you leave (undelete takes it back)."
        )

    def _undelete(self, words: str) -> None:
        numbers = self._numbers(words)
        self._mailbox.unmark(numbers)
        self._say(f"{self._named(numbers)} not marked any more.")

    def _named(self, numbers: list[int]) -> str:
        return f"Message {numbers[0]}" if len(numbers) == 1 else f"{len(numbers):,} messages"

    def _numbers(self, words: str) -> list[int]:
        """`3 5-7`, commas too; raises UnknownWords for what is not in the mailbox."""
        found: dict[int, None] = {}
        for word in words.replace(",", " ").split():
            match = _RANGE.fullmatch(word)
            if match is None:
                raise UnknownWords(f'"{cut(visible_line(word), 40)}" is no message number')
            first, last = int(match[1]), int(match[2] or match[1])
            if not 1 <= first <= last <= self._mailbox.count:
                raise UnknownWords(f"There is no message {word} (1 to {self._mailbox.count})")
            found.update(dict.fromkeys(range(first, last + 1)))
        if not found:
            raise UnknownWords("Which message? Type its number after the word, such as: delete 3")
        return list(found)

    # Messages

    def _headers(self, words: str) -> None:
        pager = Pager(self._terminal)
        for number in self._numbers(words):
            for piece in self._mailbox.header_lines(number):
                pager.write(piece)
        pager.end()

    def _read(self, words: str) -> None:
        for number in self._numbers(words):
            size = self._mailbox.size(number)
            if size >= LARGE_OCTETS:
                self._say(f"Fetching message {number}, {octets(size)} …")
                self._terminal.flush()
            message = self._mailbox.open(number)
            try:
                pager = Pager(self._terminal)
                for piece in message_view.pieces(message):
                    pager.write(piece)
                pager.end()
                self._say("")
            finally:
                message.close()

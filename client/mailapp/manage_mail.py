"""Manage Mail: the list, messages and marks, as a conversation in lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailapp import listing, query
from mailapp.line_messages import LineMessages, Write
from mailapp.list_order import ListOrder
from mailapp.mailbox import BATCH, Mailbox
from mailapp.meter import Meter
from mailapp.network import reason
from mailapp.ordering import Order
from mailapp.pop3 import Refused
from mailapp.query import NoQuery
from mailapp.render import counted, octets, visible_line
from mailapp.terminal import Pager, StoppedReading, Terminal
from mailapp.typed import UnknownWords, Verb, numbers, shown, split

MAX_PAGE = 20  # messages listed at a time on a terminal
_AROUND_PAGE = 7  # other lines of a screen that shows a page of the list

VERBS = (
    Verb("read", "", "3", "read message 3 (also: read 3, open 3)"),
    Verb("open", "", "", ""),
    Verb("delete", "d", "delete 3 5-7", "mark messages to be deleted when you leave"),
    Verb("undelete", "u", "undelete 3", "take the mark away again"),
    Verb("commit", "$", "commit", "delete what is marked now, and stay"),
    Verb("list", "", "list 1-20", "the list again, or a part of it; list all"),
    Verb("more", "p", "more", "the page before the one listed last; also: Enter"),
    Verb("next", "n", "next", "the page after it"),
    Verb("find", "/", "find words", "list what has them; such as: find from:bob"),
    Verb("limit", "l", "limit is:new", "list only what matches from now on; limit: all"),
    Verb("sort", "o", "sort date back", f"by {', '.join(Order)}"),
    Verb("threads", "t", "threads", "answers below what they answer"),
    Verb("check", "c", "check", "look for new mail"),
    Verb("reply", "r", "reply 3", "answer who wrote it"),
    Verb("group", "g", "group 3", "answer all who got it"),
    Verb("forward", "f", "forward 3", "pass its text on; forward 3 whole: as it is (F)"),
    Verb("whole", "F", "", ""),
    Verb("headers", "h", "headers 3", "all header lines"),
    Verb("html", "", "html 3", "its HTML as text"),
    Verb("source", "e", "source 3", "the message as it came"),
    Verb("attachments", "v", "attachments 3", "what is attached"),
    Verb("save", "s", "save 3 1 path", "attachment 1, or all; save 3: the message (.eml)"),
    Verb("export", "x", "export 1-9 path", "messages as an mbox file"),
    Verb("help", "?", "help", "this"),
    Verb("quit", "q", "quit", "back to the menu; marked messages are deleted"),
)


class ManageMail:
    """The conversation over one open mailbox; `run` returns when the person leaves."""

    def __init__(
        self, terminal: Terminal, mailbox: Mailbox, own: Callable[[], str], write: Write
    ) -> None:
        """`own` gives the person's address, `write` lets an answer be written and sent."""
        self._terminal = terminal
        self._say = terminal.say
        self._mailbox = mailbox
        self._list = ListOrder(mailbox, max(1, min(MAX_PAGE, terminal.lines - _AROUND_PAGE)))
        self._messages = messages = LineMessages(terminal, mailbox, own, write)
        self._does: dict[str, Callable[[str], None]] = {
            **dict.fromkeys(("read", "open"), messages.read),
            "headers": messages.headers,
            "source": messages.source,
            "html": messages.html,
            "attachments": messages.attachments,
            "save": messages.save,
            "export": messages.export,
            "reply": messages.reply,
            "group": messages.group,
            "forward": messages.forward,
            "whole": messages.forward_whole,
            "delete": self._delete,
            "undelete": self._undelete,
            "commit": self._commit,
            "list": self._show,
            "more": self._before,
            "next": self._after,
            "find": self._find,
            "limit": self._limit,
            "sort": self._sort,
            "threads": self._threads,
            "check": self._check,
            "help": self._help,
        }

    def run(self) -> None:
        """Leaves the mailbox open: what was marked is in it. Raises EndOfInput, Pop3Error."""
        if self._mailbox.count == 0:
            self._say("\nThere is no mail.")
            return
        total = counted(self._mailbox.count, "message")
        self._say(f"\n{total}, {octets(self._mailbox.octets)}.")
        self._show("")
        self._say("\nType a number to read a message; help shows what else there is.")
        while True:
            line = self._terminal.read_line("Mail> ").strip()
            try:
                word, rest = split(line or "more", VERBS)
                if word != "quit":
                    self._obey(word, rest)
                elif self._may_leave():
                    return
            except (UnknownWords, NoQuery) as problem:
                self._say(f"{problem}.")

    def _obey(self, word: str, rest: str) -> None:
        """Ctrl-C gives up just this; the session is begun anew, for it was in the middle."""
        count = self._mailbox.count
        try:
            self._does[word](rest)
        except Refused as refusal:
            self._say(f"The server refused: {visible_line(str(refusal))}")
        except OSError as error:
            self._say(f"The message cannot be kept in a temporary file: {reason(error)}.")
        except StoppedReading:
            pass
        except KeyboardInterrupt:
            self._say("\nCancelled.")
            self._reopen()
        if self._mailbox.count != count:
            self._arrange()

    def _reopen(self) -> None:
        if lost := self._mailbox.reopen():
            self._say(lost)

    def _meter(self) -> Meter:
        return Meter(self._terminal.write_now, "Fetching the list:")

    def _arrange(self) -> None:
        """The list again: other messages are in the mailbox now."""
        meter = self._meter()
        self._list.arrange(meter)
        meter.end()

    def _help(self, _: str) -> None:
        for verb in VERBS:
            if verb.usage:
                letter = f"{verb.letters:<2}" if verb.letters else "  "
                self._say(f"  {letter} {verb.usage:<15}  {verb.does}")
        for line in (*query.HELP, *listing.MARKS):
            self._say(line)

    # The list

    def _show(self, words: str) -> None:
        if words and words.lower() != "all":
            self._show_list(numbers(words, self._mailbox.count))
        elif words or not self._terminal.is_interactive:
            self._show_list(self._list.all())
        else:
            self._show_page(self._list.here())

    def _before(self, _: str) -> None:
        """The newest are shown first, for they are asked for most."""
        self._show_page(self._list.before() if self._list.start else ())

    def _after(self, _: str) -> None:
        self._show_page(self._list.after())

    def _show_page(self, page: Sequence[int]) -> None:
        if not page:
            is_start = not self._list.start
            where = "earlier" if is_start and self._list.is_plain else "more"
            self._say(f"There are no {where} messages. Type a number, or help.")
            return
        self._show_list(page)
        if self._list.start:
            before = counted(
                self._list.start, "earlier message" if self._list.is_plain else "other"
            )
            self._say(f"   … {before}: more")

    def _show_list(self, page: Sequence[int]) -> None:
        """As wide as the terminal; in a pipe nothing is cut off."""
        if not page:
            self._say(f"There is nothing to list ({self._list.words}).")
            return
        is_typed = self._terminal.is_interactive
        columns = self._terminal.columns - 1 if is_typed else None
        pager = Pager(self._terminal) if len(page) > MAX_PAGE else self._terminal
        pager.write(listing.heading(columns or listing.NARROWEST) + "\n")
        for start in range(0, len(page), BATCH):
            for one in self._mailbox.summaries(page[start : start + BATCH]):
                depth = self._list.depths.get(one.number, 0)
                is_marked = one.number in self._mailbox.marked
                pager.write(listing.line(one, is_marked, columns, depth) + "\n")
        if self._list.words:
            self._say(f"   ({visible_line(self._list.words)})")

    def _find(self, words: str) -> None:
        """What has these words of all messages, in their order; the list stays as it is."""
        found = query.parse(words)
        self._mailbox.learn_all()
        meter = self._meter()
        lines = self._mailbox.summaries(range(1, self._mailbox.count + 1), meter)
        meter.end()
        marked = self._mailbox.marked
        fitting = [one.number for one in lines if found(one, one.number in marked)]
        if fitting:
            self._show_list(fitting)
        self._say(f"{counted(len(fitting), 'message')} found.")

    def _limit(self, words: str) -> None:
        meter = self._meter()
        self._list.limit("" if words.lower() == "all" else words, meter)
        meter.end()
        self._show("")

    def _sort(self, words: str) -> None:
        name, _, back = words.lower().partition(" ")
        if name not in [*Order] or back not in {"", "back"}:
            known = ", ".join(Order)
            raise UnknownWords(f'"{shown(words)}" is no order; there is {known}; with: back')
        meter = self._meter()
        self._list.sort(Order(name), bool(back), meter)
        meter.end()
        self._show("")

    def _threads(self, _: str) -> None:
        self._sort(Order.THREADS)

    def _check(self, _: str) -> None:
        before = self._mailbox.count
        self._mailbox.release()
        self._reopen()
        more = self._mailbox.count - before
        self._say(f"{counted(more, 'new message')}." if more > 0 else "No new mail.")
        self._arrange()
        if more > 0:
            self._show("")

    # Marks

    def _delete(self, words: str) -> None:
        found = numbers(words, self._mailbox.count)
        self._mailbox.mark(found)
        self._say(f"{_named(found)} marked; deleted when you leave (undelete takes it back).")

    def _undelete(self, words: str) -> None:
        found = numbers(words, self._mailbox.count)
        self._mailbox.unmark(found)
        self._say(f"{_named(found)} not marked any more.")

    def _commit(self, _: str) -> None:
        if not self._mailbox.marked:
            raise UnknownWords("Nothing is marked")
        farewell = self._mailbox.commit()
        for line in farewell.lines():
            self._say(line)
        self._arrange()

    def _may_leave(self) -> bool:
        """A person on a terminal is asked before anything is deleted; no goes on."""
        if not (self._mailbox.marked and self._terminal.is_interactive):
            return True
        marked = counted(len(self._mailbox.marked), "marked message")
        while True:
            answer = self._terminal.read_line(f"Delete {marked}? (y/n) ").strip().lower()
            if answer in {"y", "yes"}:
                return True
            if answer in {"n", "no"}:
                self._say("Nothing is deleted yet: undelete takes marks away.")
                return False


def _named(found: list[int]) -> str:
    return f"Message {found[0]}" if len(found) == 1 else f"{len(found):,} messages"

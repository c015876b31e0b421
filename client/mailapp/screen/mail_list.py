"""The list of messages. It knows the lines near what is shown, and says which it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace

from mailapp.ordering import Order
from mailapp.render import counted, octets, visible_line
from mailapp.saving import offered
from mailapp.screen import list_line
from mailapp.screen.base import Prompt, Say, Screen, Step
from mailapp.screen.keys import Key, moved, top_for
from mailapp.screen.list_questions import committing, leaving, sorting
from mailapp.screen.message import ANSWER_KEYS, ANSWERS
from mailapp.screen.news import Arranged, Lines, Listing
from mailapp.screen.paint import Row, Size, View, line
from mailapp.screen.wishes import Answer, Arrange, CheckMail, Export, Find, Load, Read
from mailapp.summary import READ, Summary
from mailapp.value import value

KEPT_LINES = 2000
MAX_LOAD = 200


@value(frozen=True)
class MailList(Screen):
    """The messages in their order; `at` is a place in it, not a number."""

    user: str
    listing: Listing
    order: range | tuple[int, ...]
    at: int
    top: int = 0
    marked: frozenset[int] = frozenset()
    lines: Mapping[int, Summary] = field(default_factory=dict, repr=False)
    depths: Mapping[int, int] = field(default_factory=dict, repr=False)  # in threads
    sought: str = ""
    sorting: Order = Order.NUMBER
    limit: str = ""
    is_arranged: bool = True  # `order` is what sorting and limit make of the mailbox
    is_stalled: bool = False  # fetching failed: not again before the next key

    hints = (
        ("Enter", "read"),
        ("d", "delete"),
        ("u", "undelete"),
        ("r", "reply"),
        ("f", "forward"),
        ("/", "find"),
        ("l", "limit"),
        ("c", "check mail"),
        ("$", "delete now"),
        ("?", "keys"),
        ("q", "back"),
    )
    more_keys = (
        *ANSWER_KEYS,
        ("j k arrows", "next, previous"),
        ("Space b PgDn PgUp", "a page on, back"),
        ("Home End G", "first, last"),
        ("n", "find the next"),
        ("o", "sort, or as threads"),
        ("E", "save what is listed as an mbox file; Tab completes its path"),
        ("Tab", "next unread"),
        ("1…9", "go to the message with this number"),
    )

    @classmethod
    def of(cls, user: str, listing: Listing) -> MailList:
        """All messages, the cursor on the newest."""
        order = range(1, listing.count + 1)
        at = max(0, listing.count - 1)
        return cls(user, listing, order, at, marked=listing.marked)

    def title(self) -> tuple[str, str]:
        """How many there are."""
        words = [octets(self.listing.octets), counted(self.listing.count, "message")]
        words += [f"{len(self.marked):,} marked"] if self.marked else []
        limit = f"{len(self.order):,} with {visible_line(self.limit)}" if self.limit else ""
        order = "" if self.sorting is Order.NUMBER else f"by {self.sorting}"
        which = " — ".join(filter(None, (f"Mail of {self.user}", limit, order)))
        return which, ", ".join(words)

    @property
    def here(self) -> int:
        """The number of the message under the cursor; 0 where there is none."""
        return self.order[self.at] if self.order else 0

    # What is shown

    def view(self, size: Size) -> View:
        """The column heads and a page of lines."""
        page = self._page(size)
        layout = list_line.layout(size.columns, self.listing.count)
        top = top_for(self.at, self.top, len(self.order), page)
        rows: list[Row] = [line(layout.heads(), size.columns, "heads")]
        for place in range(top, min(top + page, len(self.order))):
            number = self.order[place]
            rows.append(self._row(number, place == self.at, layout, size.columns))
        if not self.order:
            rows.append(line("  There is no mail.", size.columns))
        return View(rows, (self.at - top + 1, 0))

    def _row(self, number: int, is_here: bool, layout: list_line.Layout, columns: int) -> Row:
        summary = self.lines.get(number)
        is_marked = number in self.marked
        text = layout.text(number, summary, is_here, is_marked, self.depths.get(number, 0))
        style = "selected" if is_here else "marked" if is_marked else ""
        if not style and summary and summary.status != READ:
            style = summary.status
        return line(text, columns, style)

    def _page(self, size: Size) -> int:
        return max(1, size.rows - 1)

    def lacks(self, size: Size) -> Load | Arrange | None:
        """Its order; the lines that have to be fetched for this page, and for those around it."""
        page = self._page(size)
        top = top_for(self.at, self.top, len(self.order), page)
        if self.is_stalled:
            return None
        if not self.is_arranged:
            return Arrange(self.sorting, self.limit)
        for start, stop in ((top, top + page), (top - page, top + 2 * page)):
            numbers = self.order[max(0, start) : stop]
            missing = [number for number in numbers if number not in self.lines]
            if missing:
                return Load(self.listing.epoch, tuple(missing[:MAX_LOAD]))
        return None

    # What comes in

    def with_lines(self, news: Lines) -> MailList:
        """Lines of this epoch; when there are too many, those far away are forgotten."""
        if news.epoch != self.listing.epoch:
            return self
        kept = self.lines if len(self.lines) < KEPT_LINES else {}
        return replace(self, lines={**kept, **{one.number: one for one in news.summaries}})

    def with_listing(self, listing: Listing) -> MailList:
        """The mailbox as it is now; the cursor stays where it was, as far as that goes.

        Sorting and limit stay: `lacks` asks for the order that they make of it.
        """
        fresh = MailList.of(self.user, listing)
        is_plain = self.sorting is Order.NUMBER and not self.limit
        is_last = is_plain and self.at >= len(self.order) - 1
        at = fresh.at if is_last else min(max(0, self.here - 1), fresh.at)
        kept = replace(fresh, at=at, top=self.top, sought=self.sought)
        return replace(kept, sorting=self.sorting, limit=self.limit, is_arranged=is_plain)

    def with_status(self, number: int, status: str) -> MailList:
        """A message was read, or answered."""
        if number not in self.lines:
            return self
        return replace(
            self, lines={**self.lines, number: replace(self.lines[number], status=status)}
        )

    def with_answered(self, unique_id: str, status: str) -> MailList:
        """The message with this name has this status now."""
        found = (one.number for one in self.lines.values() if one.unique_id == unique_id)
        return self.with_status(next(found, 0), status)

    # Keys

    def press(self, key: Key, size: Size) -> Step:
        """Movements, marks, and what the bottom row says."""
        screen = replace(self, is_stalled=False)
        if key.name in ANSWERS and self.order:
            return screen, Answer(self.here, self._unique_id(self.here), ANSWERS[key.name])
        page = self._page(size)
        to = moved(key, self.at, len(self.order), page)
        if to is not None:
            return screen.to(to, size), None
        return screen._act(key, size)

    def to(self, at: int, size: Size) -> MailList:
        """The cursor there."""
        at = max(0, at)
        return replace(self, at=at, top=top_for(at, self.top, len(self.order), self._page(size)))

    def _act(self, key: Key, size: Size) -> Step:
        match key.name:
            case "q" | "left" | "h" | "escape":
                return self, leaving(self.marked)
            case "c":
                return self, CheckMail(self.marked)
            case "$":
                return self, committing(self.marked)
            case "c-i":
                return self._to_unread(size)
            case "o":
                return self, sorting(self.limit)
            case "/" | "l" | "n" | "E":
                return self._search(key)
            case name if name.isdigit() and name != "0":
                return self, Prompt("number", "Message number: ", name)
        return self._act_on_message(key, size) if self.order else (self, None)

    def _search(self, key: Key) -> Step:
        if key.name == "E":
            path = offered("mail.mbox")
            return self, Prompt("export", "Save what is listed as: ", path, is_path=True)
        if key.name == "l":
            return self, Prompt("limit", "Limit to (nothing: all): ", self.limit)
        if key.name == "n" and self.sought:
            return self._find(self.sought)
        return self, Prompt("find", "Find: ", self.sought)

    def _act_on_message(self, key: Key, size: Size) -> Step:
        match key.name:
            case "c-m" | "l" | "right":
                return self, self.read(self.here)
            case "d" | "delete":
                marked = replace(self, marked=self.marked | {self.here})
                return marked.to(min(self.at + 1, len(self.order) - 1), size), None
            case "u":
                if self.here not in self.marked:
                    return self, Say("This message is not marked.")
                return replace(self, marked=self.marked - {self.here}), None
        return self, None

    def read(self, number: int) -> Read:
        """The wish to see it."""
        return Read(number, self._unique_id(number))

    def _unique_id(self, number: int) -> str:
        known = self.lines.get(number)
        return known.unique_id if known else ""

    def _find(self, query: str) -> Step:
        """From the next message on, and round to this one."""
        numbers = (*self.order[self.at + 1 :], *self.order[: self.at + 1])
        find = Find(self.listing.epoch, query, numbers, self.marked)
        return replace(self, sought=query), find if query.strip() else None

    def found(self, number: int, size: Size) -> Step:
        """What came of it."""
        if number not in self.order:
            return self, Say(f"Nothing fits {visible_line(self.sought)}.")
        return self.to(self.order.index(number), size), None

    def arranged(self, news: Arranged) -> Step:
        """Sorted and limited; the cursor stays on its message where that is one of them."""
        if not news.numbers and news.limit:
            found = Say(f"Nothing fits {visible_line(news.limit)}.")
            return self if self.is_arranged else replace(self, limit=""), found
        order = news.numbers
        at = order.index(self.here) if self.here in order else max(0, len(order) - 1)
        made = replace(self, order=order, at=at, depths=news.depths, is_arranged=True)
        return replace(made, sorting=news.order, limit=news.limit), None

    def _to_unread(self, size: Size) -> Step:
        """Among the lines that are known: those further away are not fetched for this."""
        count = len(self.order)
        for step in range(1, count + 1):
            place = (self.at + step) % count
            summary = self.lines.get(self.order[place])
            if summary and summary.status in {"new", "old"}:
                return self.to(place, size), None
        return self, Say("No unread message near.")

    def answer(self, name: str, text: str, size: Size) -> Step:
        """The number of a message to go to, or words to find."""
        if name == "find":
            return self._find(text)
        if name == "export":
            export = Export(self.listing.epoch, tuple(self.order), text)
            return self, export if text.strip() and self.order else None
        if name == "limit":
            return self, Arrange(self.sorting, text.strip())
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
        if number not in self.order:
            return self, Say(f"There is no message {text.strip() or 'without a number'} here.")
        return self.to(self.order.index(number), size), None

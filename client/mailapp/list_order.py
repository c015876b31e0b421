"""Which messages of a mailbox are listed, in which order, and the page that is shown. Line mode."""

from __future__ import annotations

from collections.abc import Sequence

from mailapp.mailbox import Mailbox, Progress, no_progress
from mailapp.ordering import Order, place
from mailapp.query import Match, parse


class ListOrder:
    """By number and unlimited, nothing is fetched; all else needs every line of the list once."""

    def __init__(self, mailbox: Mailbox, page: int) -> None:
        """`page` is how many messages are shown at a time."""
        self._mailbox = mailbox
        self._size = page
        self._order = Order.NUMBER
        self._is_reversed = False
        self._query = ""
        self.arrange()

    @property
    def is_plain(self) -> bool:
        """All messages as they came."""
        return self._order is Order.NUMBER and not self._query and not self._is_reversed

    @property
    def words(self) -> str:
        """What differs from that, for the person; empty when nothing does."""
        sorted_by = f"by {self._order}{', backwards' * self._is_reversed}"
        limited = f"limited to {self._query}" if self._query else ""
        is_sorted = self._order is not Order.NUMBER or self._is_reversed
        return ", ".join(filter(None, (sorted_by if is_sorted else "", limited)))

    def sort(self, order: Order, is_reversed: bool, progress: Progress = no_progress) -> None:
        """From now on in this order."""
        self._order, self._is_reversed = order, is_reversed
        self.arrange(progress)

    def limit(self, query: str, progress: Progress = no_progress) -> None:
        """From now on only what matches; everything for an empty query. Raises NoQuery."""
        parse(query)
        self._query = query
        self.arrange(progress)

    def arrange(self, progress: Progress = no_progress) -> None:
        """Again, for the mailbox has changed; the last page is shown next."""
        self.depths: dict[int, int] = {}
        everything = range(1, self._mailbox.count + 1)
        if self.is_plain:
            self.numbers: Sequence[int] = everything
        else:
            self._mailbox.learn_all()
            lines = self._mailbox.summaries(everything, progress)
            match: Match = parse(self._query)
            fitting = [one for one in lines if match(one, one.number in self._mailbox.marked)]
            placed = place(fitting, self._order, self._is_reversed)
            self.numbers = [one.summary.number for one in placed]
            self.depths = {one.summary.number: one.depth for one in placed if one.depth}
        self.start = self.stop = len(self.numbers)

    def before(self) -> Sequence[int]:
        """The page before the one shown last; empty at the beginning."""
        return self._show(max(0, self.start - self._size), self.start)

    def after(self) -> Sequence[int]:
        """The page after it; empty at the end."""
        return self._show(self.stop, min(len(self.numbers), self.stop + self._size))

    def here(self) -> Sequence[int]:
        """The page shown last, again; at first the last one."""
        return self._show(self.start, self.stop) or self.before()

    def all(self) -> Sequence[int]:
        """Every message of the list."""
        return self._show(0, len(self.numbers))

    def _show(self, start: int, stop: int) -> Sequence[int]:
        if start < stop:
            self.start, self.stop = start, stop
        return self.numbers[start:stop]

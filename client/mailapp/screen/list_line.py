"""One line of the list, for every width. Pure."""

from __future__ import annotations

from mailapp import listing
from mailapp.render import cut, pad, visible_line
from mailapp.summary import Summary
from mailapp.value import value

_SHORT_STAMP_COLUMNS = 11  # `11-23 14:05`


@value(frozen=True)
class Layout:
    """Columns for each part; `received` and `size` are 0 where there is no room."""

    number: int
    received: int
    sender: int
    size: int
    subject: int

    def heads(self) -> str:
        """What stands over the columns."""
        return self._joined(" ", "No", "St", "Received", "From", "Size", "Subject")

    def text(
        self, number: int, summary: Summary | None, is_here: bool, is_marked: bool, depth: int = 0
    ) -> str:
        """The line; one whose summary is not there yet has its number only."""
        here = ">" if is_here else " "
        if summary is None:
            return self._joined(here, str(number), " D" if is_marked else "", "…", "", "", "")
        return self._joined(
            here,
            str(number),
            listing.marks(summary, is_marked),
            summary.received or "(unknown)",
            visible_line(summary.sender) or "(unknown)",
            listing.short_octets(summary.size),
            branch(depth) + (visible_line(summary.subject) or "(no subject)"),
        )

    def _joined(
        self,
        here: str,
        number: str,
        state: str,
        received: str,
        sender: str,
        size: str,
        subject: str,
    ) -> str:
        if self.received == _SHORT_STAMP_COLUMNS and len(received) == listing.STAMP_COLUMNS:
            received = f"{received[5:10]} {received[13:15]}:{received[18:]}"
        cells = [
            here + number.rjust(self.number),
            pad(state, listing.MARKS_COLUMNS),
            pad(received, self.received),
        ]
        cells.append(pad(cut(sender, self.sender), self.sender))
        if self.size:
            cells.append(size.rjust(self.size))
        cells.append(cut(subject, self.subject))
        return " ".join(cells)


def layout(columns: int, count: int) -> Layout:
    """The columns of a list of so many messages on a screen of this width."""
    number = max(3, len(str(count)))
    is_narrow = columns < 72
    received = _SHORT_STAMP_COLUMNS if is_narrow else listing.STAMP_COLUMNS
    size = 0 if columns < 60 else listing.SIZE_COLUMNS
    rest = (
        columns
        - (1 + number + 1 + listing.MARKS_COLUMNS + 1 + received + 1)
        - (size + 1 if size else 0)
        - 1
    )
    sender = max(6, min(30, rest * 2 // 5))
    return Layout(number, received, sender, size, max(1, rest - sender))


def branch(depth: int) -> str:
    """How a reply hangs in its thread."""
    return " " * min(depth - 1, listing.MAX_INDENT) + "`-" if depth else ""

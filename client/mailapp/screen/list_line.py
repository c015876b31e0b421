"""One line of the list, for every width. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from mailapp.render import cut, pad, visible_line
from mailapp.summary import ANSWERED, NEW, OLD, READ, Summary

LETTERS = {NEW: "N", OLD: "O", READ: " ", ANSWERED: "r"}
_STAMP_COLUMNS = 20  # `2026-11-23 : 14 : 05`
_SHORT_STAMP_COLUMNS = 11  # `11-23 14:05`
_SIZE_COLUMNS = 8


@dataclass(frozen=True)
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

    def text(self, number: int, summary: Summary | None, is_here: bool, is_marked: bool) -> str:
        """The line; one whose summary is not there yet has its number only."""
        here = ">" if is_here else " "
        if summary is None:
            return self._joined(here, str(number), " D" if is_marked else "", "…", "", "", "")
        state = LETTERS[summary.status] + ("D" if is_marked else " ")
        state += "@" if summary.has_attachment else "!" if summary.warnings else " "
        return self._joined(
            here,
            str(number),
            state,
            summary.received or "(unknown)",
            visible_line(summary.sender) or "(unknown)",
            short_size(summary.size),
            visible_line(summary.subject) or "(no subject)",
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
        if self.received == _SHORT_STAMP_COLUMNS and len(received) == _STAMP_COLUMNS:
            received = f"{received[5:10]} {received[13:15]}:{received[18:]}"
        cells = [here + number.rjust(self.number), pad(state, 3), pad(received, self.received)]
        cells.append(pad(cut(sender, self.sender), self.sender))
        if self.size:
            cells.append(size.rjust(self.size))
        cells.append(cut(subject, self.subject))
        return " ".join(cells)


def layout(columns: int, count: int) -> Layout:
    """The columns of a list of so many messages on a screen of this width."""
    number = max(3, len(str(count)))
    is_narrow = columns < 72
    received = _SHORT_STAMP_COLUMNS if is_narrow else _STAMP_COLUMNS
    size = 0 if columns < 60 else _SIZE_COLUMNS
    rest = columns - (1 + number + 1 + 3 + 1 + received + 1) - (size + 1 if size else 0) - 1
    sender = max(6, min(30, rest * 2 // 5))
    return Layout(number, received, sender, size, max(1, rest - sender))


def short_size(octets: int) -> str:
    """In at most six columns: `980 B`, `1.2 KB`, `50 MB`."""
    for unit, name in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "KB")):
        if octets >= unit:
            return (
                f"{octets / unit:.1f} {name}" if octets < 10 * unit else f"{octets // unit} {name}"
            )
    return f"{octets} B"

"""A message as one line of the list. Pure."""

from __future__ import annotations

from mailapp.render import cut, pad, visible_line
from mailapp.summary import ANSWERED, NEW, OLD, Summary

NARROWEST = 72  # columns that a line is laid out for
STAMP_COLUMNS = 20  # YYYY-MM-DD : HH : MM
SIZE_COLUMNS = 5
SENDER_COLUMNS = 15
MARKS_COLUMNS = 4
MAX_INDENT = 8  # of a reply in its thread
_LETTERS = {NEW: "N", OLD: "O", ANSWERED: "r"}
MARKS = (
    "N new   O listed before, not read   r answered   D to be deleted",
    "@ attachment   ! the sender may not be who it seems (see the message)",
)


def marks(summary: Summary, is_marked: bool) -> str:
    """Four columns: status, to be deleted, attachment, doubtful sender. A read message has none."""
    status = _LETTERS.get(summary.status, " ")
    others = zip("D@!", (is_marked, summary.has_attachment, summary.warnings), strict=True)
    return status + "".join(letter if is_so else " " for letter, is_so in others)


def short_octets(count: int) -> str:
    """At most five columns: `980`, `1.2K`, `50M`."""
    if count < 1000:
        return str(count)
    size = float(count)
    for unit in "KMGT":
        size /= 1000
        if size < 9.95:
            return f"{size:.1f}{unit}"
        if size < 999.5:
            return f"{size:.0f}{unit}"
    return f"{size:.0f}T"


def heading(columns: int = NARROWEST) -> str:
    """Names of the columns."""
    left = f"{'No':>5} {pad('St', MARKS_COLUMNS)} {pad('Received', STAMP_COLUMNS)} "
    return left + f"{pad('From', sender_columns(columns))} {'Size':>{SIZE_COLUMNS}} Subject"


def sender_columns(columns: int) -> int:
    """A wide list has more room for names."""
    return SENDER_COLUMNS + max(0, min(15, (columns - 80) // 3))


def line(summary: Summary, is_marked: bool, columns: int | None = None, depth: int = 0) -> str:
    """Number, marks, when it came, sender, size, subject: visible, in at most `columns`.

    None is for what is read by programs: nothing is cut off. A reply is indented by its `depth`.
    """
    wide = sender_columns(columns or NARROWEST)
    sender = visible_line(summary.sender) or "(unknown)"
    sender = pad(cut(sender, wide) if columns else sender, wide)
    stamp = pad(summary.received or "(unknown)", STAMP_COLUMNS)
    size = f"{short_octets(summary.size):>{SIZE_COLUMNS}}"
    subject = visible_line(summary.subject) or "(no subject)"
    branch = " " * min(depth - 1, MAX_INDENT) + "`-" if depth else ""
    left = f"{summary.number:>5} {marks(summary, is_marked)} {stamp} "
    whole = f"{left}{sender} {size} {branch}{subject}"
    return cut(whole, columns) if columns else whole

"""In which order a list stands: sorted, or as threads. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from mailapp.summary import Summary
from mailapp.value import value

_PREFIX = re.compile(r"\s*(?:(?:re|aw|sv|fwd?|wg)\s*(?:\[\d+\])?\s*:\s*|\[[^\]]{1,40}\]\s*)", re.I)
MAX_PREFIXES = 20


class Order(StrEnum):
    """What a list is sorted by."""

    NUMBER = "number"  # as the messages came
    DATE = "date"  # when they were sent
    SENDER = "sender"
    SUBJECT = "subject"  # without Re: and Fwd:
    SIZE = "size"
    THREADS = "threads"


@value(frozen=True)
class Placed:
    """A line of the list; `depth` is 0 for what begins a thread."""

    summary: Summary
    depth: int = 0


def place(
    summaries: Sequence[Summary], order: Order = Order.NUMBER, is_reversed: bool = False
) -> list[Placed]:
    """All of them in this order; equal ones as they came. Threads stay whole when reversed."""
    if order is Order.THREADS:
        whole = _threads(summaries)
        return [line for thread in (reversed(whole) if is_reversed else whole) for line in thread]
    ways = {
        Order.NUMBER: lambda one: (),
        Order.DATE: sent_at,
        Order.SENDER: lambda one: (one.sender.casefold(), one.address.casefold()),
        Order.SUBJECT: lambda one: (base_subject(one.subject), sent_at(one)),
        Order.SIZE: lambda one: one.size,
    }
    key = ways[order]
    found = sorted(sorted(summaries, key=lambda one: one.number), key=key)
    return [Placed(one) for one in (reversed(found) if is_reversed else found)]


def sent_at(summary: Summary) -> float:
    """Seconds of the Date field, else of when it came; 0 where nothing says so."""
    for text in (summary.date, summary.received.replace(" : ", "T", 1).replace(" ", "")):
        try:
            return datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError):
            continue
    return 0.0


def base_subject(subject: str) -> str:
    """Without Re:, Fwd: and the names of lists, in small letters (as RFC 5256 2.1 means it)."""
    at = 0
    for _ in range(MAX_PREFIXES):
        found = _PREFIX.match(subject, at)
        if found is None or found.end() == len(subject):
            break
        at = found.end()
    return " ".join(subject[at:].casefold().split())


def _threads(summaries: Sequence[Summary]) -> list[list[Placed]]:
    """Each thread as its lines; the thread that a message came to last is the last."""
    lines = sorted(summaries, key=lambda one: (sent_at(one), one.number))
    parents = _parents(lines)
    children: list[list[int]] = [[] for _ in lines]
    roots: list[int] = []
    for at, parent in enumerate(parents):
        (roots if parent is None else children[parent]).append(at)
    found = []
    for root in roots:
        thread, waiting = [], [(root, 0)]
        while waiting:
            at, depth = waiting.pop()
            thread.append(Placed(lines[at], depth))
            waiting += [(child, depth + 1) for child in reversed(children[at])]
        found.append(thread)
    return sorted(found, key=lambda thread: max(one.summary.number for one in thread))


def _parents(lines: Sequence[Summary]) -> list[int | None]:
    """For each message the one it answers.

    The nearest of its References that is here; else the first message that names the same lost
    beginning; else, for a reply without any, the first message with its subject.
    """
    by_id: dict[str, int] = {}
    for at, line in enumerate(lines):
        if line.message_id:
            by_id.setdefault(line.message_id, at)
    roots = list(range(len(lines)))
    parents: list[int | None] = [None] * len(lines)
    by_beginning: dict[str, int] = {}
    by_subject: dict[str, int] = {}
    for at, line in enumerate(lines):
        parent = next((by_id[one] for one in reversed(line.references) if one in by_id), None)
        if parent is None and line.references:
            parent = by_beginning.setdefault(line.references[0], at)
        subject = base_subject(line.subject)
        if parent is None and _PREFIX.match(line.subject):
            parent = by_subject.get(subject)
        if subject:
            by_subject.setdefault(subject, at)
        if parent is not None and _root(roots, parent) != at:  # else they name each other
            parents[at] = roots[at] = parent
    return parents


def _root(roots: list[int], at: int) -> int:
    """The beginning of a message's thread; the way there is made shorter."""
    while roots[at] != at:
        roots[at] = roots[roots[at]]
        at = roots[at]
    return at

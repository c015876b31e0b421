"""What is to be reached: a row for each figure, and whether it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Summary = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]
"""workload → system → figure → median, min, max"""


PEERS = {"postfix": "Postfix", "smtp_sink": "smtp-sink", "dovecot_reused": "Dovecot"}
"""As people call the systems beside which ours is judged."""


def is_more_better(figure: str) -> bool:
    """Rates are; times and memory are not."""
    return figure.endswith("per_second")


def ratio(figure: str, ours: float, theirs: float) -> float:
    """How many times better ours is."""
    better, worse = (ours, theirs) if is_more_better(figure) else (theirs, ours)
    return better / worse if worse else 0.0


@dataclass(frozen=True)
class Target:
    """A figure of ours, and what it has to be: so many times another one, or so much at most."""

    title: str
    workload: str
    figure: str
    ours: str
    theirs: str = ""
    times: float = 0.0
    at_most: float = 0.0

    def judge(self, summary: Summary) -> dict[str, Any] | None:
        """What was measured, and whether it is enough; None when it was not measured."""
        systems = summary.get(self.workload, {})
        if self.ours not in systems or (self.theirs and self.theirs not in systems):
            return None
        ours = systems[self.ours][self.figure]["median"]
        row: dict[str, Any] = {
            "title": self.title,
            "workload": self.workload,
            "figure": self.figure,
            "ours": ours,
        }
        if self.theirs:
            theirs = systems[self.theirs][self.figure]["median"]
            found = ratio(self.figure, ours, theirs)
            row |= {"peer": self.theirs, "theirs": theirs, "ratio": round(found, 2)}
            return row | {"target": self.times, "reached": found >= self.times}
        return row | {"target": self.at_most, "reached": ours <= self.at_most}


def judged(summary: Summary) -> list[dict[str, Any]]:
    """All targets whose figures were measured."""
    return [row for target in TARGETS if (row := target.judge(summary))]


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Lines for people, in Markdown: what was measured, and whether that is enough."""
    cells = [("work", "ours", "the other", "to reach", "is", "reached"), *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    yield lines[0]
    yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    yield from lines[1:]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    reached = "yes" if row["reached"] else "**no**"
    ours, target = short(row["ours"]), f"{row['target']:g}"
    if "peer" not in row:
        return row["title"], ours, "", f"at most {target}", ours, reached
    peer = PEERS.get(row["peer"], row["peer"])
    found = f"{row['ratio']:.2f} ×"
    return row["title"], ours, short(row["theirs"]), f"{target} × {peer}", found, reached


def short(value: float) -> str:
    """Three digits at least."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


TARGETS = (
    Target(
        "4 KB messages, connections kept open, messages/s",
        "smtp-kept-open",
        "per_second",
        "smtpmail",
        "postfix",
        times=25,
    ),
    Target(
        "4 KB messages, a new connection each, messages/s",
        "smtp-new-connection",
        "per_second",
        "smtpmail",
        "postfix",
        times=12,
    ),
    Target(
        "the same over 1,000 mailboxes, beside one",
        "smtp-spread",
        "per_second",
        "to_1000",
        "to_one",
        times=0.8,
    ),
    Target(
        "beside smtp-sink, kept open, messages/s",
        "smtp-kept-open",
        "per_second",
        "smtpmail",
        "smtp_sink",
        times=0.5,
    ),
    Target(
        "beside smtp-sink, a new connection each, messages/s",
        "smtp-new-connection",
        "per_second",
        "smtpmail",
        "smtp_sink",
        times=0.5,
    ),
    Target(
        "1 MB messages, MB/s",
        "smtp-megabytes",
        "mb_per_second",
        "smtpmail",
        "postfix",
        times=8,
    ),
    Target(
        "a message to 100 users, deliveries/s",
        "smtp-100-recipients",
        "per_second",
        "smtpmail",
        "postfix",
        times=5,
    ),
    Target(
        "a full queue worked off, deliveries/s",
        "queue",
        "per_second",
        "smtpmail",
        "postfix",
        times=3,
    ),
    Target(
        "login, STAT, UIDL, QUIT on 10 messages, sessions/s",
        "pop3-look-1",
        "per_second",
        "popserver",
        "dovecot_reused",
        times=4,
    ),
    Target(
        "2,000 messages fetched one by one, seconds",
        "pop3-fetch",
        "seconds_one_by_one",
        "popserver",
        "dovecot_reused",
        times=2,
    ),
    Target(
        "2,000 messages fetched pipelined, seconds",
        "pop3-fetch",
        "seconds_pipelined",
        "popserver",
        "dovecot_reused",
        times=2,
    ),
    Target(
        "100,000 messages opened without an index, seconds",
        "pop3-large",
        "seconds_without_index",
        "popserver",
        "dovecot_reused",
        times=5,
    ),
    Target(
        "100,000 messages opened with an index, seconds",
        "pop3-large",
        "seconds_with_index",
        "popserver",
        "dovecot_reused",
        times=3,
    ),
    Target(
        "the first of 100,000 messages deleted, seconds",
        "pop3-large",
        "seconds_to_delete",
        "popserver",
        "dovecot_reused",
        times=3,
    ),
    Target(
        "appending to 1,000 messages, beside appending to 10",
        "smtp-append",
        "per_second",
        "to_1000",
        "to_10",
        times=0.9,
    ),
    Target(
        "appending to 100,000 messages, beside appending to 10",
        "smtp-append",
        "per_second",
        "to_100000",
        "to_10",
        times=0.9,
    ),
    Target("an idle SMTP connection, KiB", "smtp-idle", "kib_each", "smtpmail", at_most=16),
    Target("an idle POP3 connection, KiB", "pop3-idle", "kib_each", "popserver", at_most=16),
    Target(
        "an idle POP3 connection that has logged in, KiB",
        "pop3-idle",
        "kib_each",
        "popserver_logged_in",
        at_most=16,
    ),
    Target(
        "5,000 slow senders: a client's p99, times that without them",
        "smtp-slow-senders",
        "times_p99",
        "smtpmail",
        at_most=2,
    ),
    Target(
        "memory while 100 clients send 50 MB each, MB",
        "smtp-100-times-50-mb",
        "mb_at_peak",
        "smtpmail",
        at_most=256,
    ),
    Target(
        "smtpmail: from the start to the first 220, seconds",
        "start",
        "seconds_to_greeting",
        "smtpmail",
        at_most=0.3,
    ),
    Target(
        "popserver: from the start to the first +OK, seconds",
        "start",
        "seconds_to_greeting",
        "popserver",
        at_most=0.3,
    ),
)

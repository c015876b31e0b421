"""What a script reads: data on standard output, all else on standard error.

JSON is one object with `schema`, which grows only when a field changes its meaning or goes; new
fields may come at any time. It is ASCII, so nothing in it can drive a terminal.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from mailapp.outgoing import Answer, NotSent
from mailapp.render import visible, visible_line
from mailapp.saving import Enclosed
from mailapp.script.kinds import kind_of
from mailapp.summary import Summary

SCHEMA = 1


class Output:
    """One run's results."""

    def __init__(self, as_json: bool, server: str, user: str) -> None:
        self.as_json = as_json
        self._head = {"schema": SCHEMA, "server": server, "user": user}

    def give(self, data: dict[str, Any], text: str) -> None:
        """The same thing twice, of which one is written. `text` ends with a newline or is empty."""
        if self.as_json:
            print(json.dumps(self._head | data))
        else:
            sys.stdout.write(visible(text))

    def octets(self, chunk: bytes) -> None:
        """As they are, unless a terminal would read them."""
        sys.stdout.flush()
        if sys.stdout.isatty():
            sys.stdout.write(visible(chunk.decode("utf-8", "replace").replace("\r\n", "\n")))
        else:
            sys.stdout.buffer.write(chunk)

    def say(self, text: str) -> None:
        """For the person who watches."""
        print(f"mailclient: {visible_line(text)}", file=sys.stderr)

    def fail(self, problem: Exception) -> int:
        """Say it; returns the exit status."""
        status, code = kind_of(problem)
        if self.as_json:
            print(json.dumps(self._head | {"error": _error(problem, code)}), file=sys.stderr)
        else:
            self.say(str(problem))
        return status


def _error(problem: Exception, code: str) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "text": visible_line(str(problem))}
    if isinstance(problem, NotSent):
        replies = [one.code for one in problem.problems if one.code]
        error["smtp"] = replies[0] if replies else None
        error["recipients"] = answers_as_json(problem.answers)
    return error


def answers_as_json(answers: tuple[Answer, ...]) -> list[dict[str, Any]]:
    """Each recipient with the server's word."""
    return [
        {"address": one.recipient, "taken": one.is_taken, "smtp": one.code, "text": one.text}
        for one in answers
    ]


def summary_as_json(summary: Summary) -> dict[str, Any]:
    """A line of the list."""
    return {
        "n": summary.number,
        "uidl": summary.unique_id,
        "size": summary.size,
        "date": summary.date or None,
        "received": summary.received,
        "from": {"name": summary.sender, "address": summary.address},
        "to": summary.to,
        "subject": summary.subject,
        "message_id": summary.message_id,
        "flags": [summary.status, *["attachment"] * summary.has_attachment],
        "warnings": list(summary.warnings),
    }


def summary_as_text(summary: Summary) -> str:
    """Columns that `cut -f` and `awk -F'\\t'` take: no tab is left in a text."""
    columns = (
        str(summary.number),
        summary.status,
        summary.received,
        str(summary.size),
        visible_line(summary.address or summary.sender),
        visible_line(summary.subject),
        summary.unique_id,
    )
    return "  ".join(columns) + "\n"


def enclosed_as_json(items: list[Enclosed]) -> list[dict[str, Any]]:
    """Attachments; `part` is what `read --part` and `save` take."""
    return [
        {"part": one.number, "name": one.name, "type": one.content_type, "octets": one.octets}
        for one in items
    ]

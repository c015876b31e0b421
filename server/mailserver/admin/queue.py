"""`mailadmin queue …`: mail that waits for other servers, and why."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mailserver.admin.problem import Problem
from mailserver.durable import OWN_FOLDER
from mailserver.relay.entry import Order, Ordered, Progress, QueuedMessage
from mailserver.relay.spool import DELETE, QUEUE, Spool, Unreadable
from mailserver.wire.value import value

SERVER_SECONDS = 5.0
"""How long the server has to obey an order before this says that it has not."""


def prepare(parser: argparse.ArgumentParser) -> None:
    """Arguments of `mailadmin queue`."""
    names = parser.add_subparsers(required=True, metavar="ACTION")
    for name, action in ACTIONS.items():
        what = names.add_parser(name, help=action.what, description=action.what)
        if action.order:
            what.add_argument("id", nargs="*", metavar="ID")
            what.add_argument("--all", action="store_true", help="every message in the queue")
        elif name == "show":
            what.add_argument("id", nargs="+", metavar="ID")
        if not action.order:
            what.add_argument("--json", action="store_true", help="an object a message, one a line")
        what.set_defaults(run=action.run, order=action.order)


# -- actions -----------------------------------------------------------------------------------


def _list(chosen: argparse.Namespace) -> None:
    with _spool(chosen.data) as spool:
        found = [one for one in map(spool.load_or_none, spool.ids()) if one is not None]
    for message in sorted(found, key=lambda one: one.entry.arrived):
        sys.stdout.write(_as_json(message) if chosen.json else _in_short(message))


def _show(chosen: argparse.Namespace) -> None:
    with _spool(chosen.data) as spool:
        for message_id in chosen.id:
            try:
                message = spool.load(message_id)
            except (FileNotFoundError, ValueError):
                raise _unknown(message_id) from None
            except Unreadable as problem:
                raise Problem(f"{message_id}: {problem}") from None
            sys.stdout.write(_as_json(message) if chosen.json else _in_full(message))


def _order(chosen: argparse.Namespace) -> None:
    if bool(chosen.id) == chosen.all:
        raise Problem("name messages, or say --all")
    with _spool(chosen.data) as spool:
        known = set(spool.ids())
        for message_id in chosen.id:
            if message_id not in known:
                raise _unknown(message_id)
        wanted = sorted(known) if chosen.all else chosen.id
        if spool.own():  # no server delivers: it is done here
            for message_id in wanted:
                _obey(spool, chosen.order, message_id)
            return
        for message_id in wanted:
            spool.order(chosen.order, message_id)
        _wait(spool, {(chosen.order, message_id) for message_id in wanted})


def _obey(spool: Spool, word: str, message_id: str) -> None:
    try:
        if word == DELETE:
            spool.remove(message_id)
        else:
            spool.note(message_id, Ordered(Order(word)))
    except Unreadable as problem:
        raise Problem(f"{message_id}: {problem}") from None


def _wait(spool: Spool, orders: set[tuple[str, str]]) -> None:
    give_up = time.monotonic() + SERVER_SECONDS
    while left := orders.intersection(spool.orders()):
        if time.monotonic() > give_up:
            names = " ".join(sorted(message_id for _, message_id in left))
            raise Problem(f"the server has not done it yet, but will: {names}")
        time.sleep(0.05)


@contextmanager
def _spool(data: Path) -> Iterator[Spool]:
    folder = data / OWN_FOLDER / QUEUE
    if not folder.is_dir():  # making it is for the server, whose folder it is to be
        raise Problem(f"there is no queue in {data}: no smtpmail has run there")
    try:
        spool = Spool(data)
        try:
            yield spool
        finally:
            spool.close()
    except OSError as error:
        raise Problem(f"{error.filename or folder}: {error.strerror}") from error


def _unknown(message_id: str) -> Problem:
    return Problem(f"{message_id[:100]!a} is not in the queue; `mailadmin queue list` shows it")


# -- in words ----------------------------------------------------------------------------------


def _in_short(message: QueuedMessage) -> str:
    entry = message.entry
    waiting = [n for n, progress in enumerate(message.progress) if progress.open]
    held = "  HELD" if message.held else ""
    whose = f"{entry.octets} octets  from <{entry.reverse_path}>{held}"
    lines = [f"{entry.id}  {_time(entry.arrived)}  {whose}"]
    for number in waiting:
        path = entry.recipients[number].forward_path
        lines.append(f"  <{path}>  {_state(message.progress[number], held=message.held)}")
    return "".join(f"{line}\n" for line in lines)


def _in_full(message: QueuedMessage) -> str:
    entry = message.entry
    lines = [
        f"id        {entry.id}{'  HELD' if message.held else ''}",
        f"arrived   {_time(entry.arrived)}",
        f"from      <{entry.reverse_path}>",
        f"octets    {entry.octets}",
    ]
    for recipient, progress in zip(entry.recipients, message.progress, strict=True):
        lines.append(f"to        <{recipient.forward_path}>")
        lines.append(f"  {_state(progress, held=message.held)}")
    return "".join(f"{line}\n" for line in lines)


def _state(progress: Progress, *, held: bool) -> str:
    outcome = progress.outcome
    if outcome is None:
        return "not tried yet"
    who = f"{outcome.said_by} said " if outcome.said_by else ""
    words = f"{outcome.fate.value}, {progress.tries} tries, at {_time(progress.last_try)}: "
    now = time.time()
    following = "at once" if progress.due(now) <= now else _time(progress.next_try)
    end = f"; next try {following}" if progress.open and not held else ""
    return f"{words}{who}{outcome.text}{end}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_json(message: QueuedMessage) -> str:
    entry = message.entry
    recipients = []
    for recipient, progress in zip(entry.recipients, message.progress, strict=True):
        outcome = progress.outcome
        recipients.append(
            {
                "to": str(recipient.forward_path),
                "state": outcome.fate.value if outcome else "waiting",
                "tries": progress.tries,
                "last_try": progress.last_try or None,
                "next_try": progress.next_try if progress.open else None,
                "status": outcome.status if outcome else None,
                "reason": outcome.text if outcome else None,
                "said_by": (outcome.said_by or None) if outcome else None,
            }
        )
    found = {
        "id": entry.id,
        "arrived": entry.arrived,
        "from": str(entry.reverse_path),
        "octets": entry.octets,
        "held": message.held,
        "recipients": recipients,
    }
    return json.dumps(found) + "\n"


@value(frozen=True, slots=True)
class _Action:
    what: str
    run: Callable[[argparse.Namespace], None]
    order: str = ""
    """The word that is left for the server."""


ACTIONS = {
    "list": _Action("every message: whom it waits for, why, and until when", _list),
    "show": _Action("a message with all its recipients", _show),
    "retry": _Action("try again now", _order, Order.RETRY.value),
    "hold": _Action("keep, and do not try", _order, Order.HOLD.value),
    "release": _Action("try again what was held", _order, Order.RELEASE.value),
    "delete": _Action("forget; nobody is told", _order, DELETE),
}

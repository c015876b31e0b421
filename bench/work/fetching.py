"""All messages of a mailbox, and a mailbox of 1 GB."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from statistics import median

from bench.load import UnexpectedReply
from bench.mailbox import Mailbox
from bench.pop3fetch import Visitor
from bench.systems import OWNER, Server
from bench.workload import Meter, Outcome, Parameters

FETCHED = Mailbox(2000, owners=1)
FETCHES = 6
LARGE = Mailbox(100_000, 10_000, owners=1, scales=True)
OPENINGS = 5


def fetch(server: Server, parameters: Parameters) -> Outcome:
    """Sessions that fetch 2,000 messages of 4 KB each: one by one, and pipelined."""
    _fetch(server, Visitor.fetch_pipelined)
    turns = parameters.count(FETCHES, 2)
    with Meter(server) as meter:
        one_by_one = [_fetch(server, Visitor.fetch_one_by_one) for _ in range(turns)]
        pipelined = [_fetch(server, Visitor.fetch_pipelined) for _ in range(turns)]
    figures = {
        "seconds_one_by_one": median(one_by_one),
        "seconds_pipelined": median(pipelined),
    }
    return Outcome(figures, meter, 2 * turns * FETCHED.messages)


def _fetch(server: Server, fetch_all: Callable[[Visitor, int], int]) -> float:
    """Seconds from the connection to the last octet."""
    begin = time.monotonic()
    with Visitor(server, OWNER) as visitor:
        messages, octets = visitor.log_in()
        fetched = fetch_all(visitor, messages)
        seconds = time.monotonic() - begin
        visitor.ask("QUIT")
    if (messages, fetched) != (FETCHED.messages, octets):
        raise UnexpectedReply(f"{messages} messages of {octets} octets, {fetched} octets came")
    return seconds


def handle_large(server: Server, parameters: Parameters) -> Outcome:
    """A mailbox opened as another program made it, opened again, and its first message deleted.

    Open is: a connection, USER, PASS and the answer to STAT. All of it is in the page cache.
    """
    messages = LARGE.of_share(parameters.share).messages
    with Meter(server) as meter:
        without, listed_without = _open(server, messages)
        times = [_open(server, messages) for _ in range(OPENINGS)]
        delete = _delete_first(server)
    _open(server, messages - 1)
    figures = {
        "seconds_without_index": without,
        "seconds_with_index": median(opened for opened, _ in times),
        "seconds_to_delete": delete,
        "seconds_without_index_and_uidl": listed_without,
        "seconds_with_index_and_uidl": median(listed for _, listed in times),
    }
    return Outcome(figures, meter)


def _open(server: Server, messages: int) -> tuple[float, float]:
    """Seconds until STAT was answered, and UIDL too."""
    begin = time.monotonic()
    with Visitor(server, OWNER) as visitor:
        found = visitor.log_in()[0]
        opened = time.monotonic() - begin
        named = visitor.unique_ids()
        listed = time.monotonic() - begin
        visitor.ask("QUIT")
        _wait_for_the_end(visitor)
    if (found, named) != (messages, messages):
        raise UnexpectedReply(f"{found} messages and {named} unique ids, not {messages}")
    return opened, listed


def _delete_first(server: Server) -> float:
    """Seconds from QUIT to its answer."""
    with Visitor(server, OWNER) as visitor:
        visitor.log_in()
        visitor.ask("DELE 1")
        begin = time.monotonic()
        visitor.ask("QUIT")
        seconds = time.monotonic() - begin
        _wait_for_the_end(visitor)
    return seconds


def _wait_for_the_end(visitor: Visitor) -> None:
    """The server has closed the connection: the next session finds the mailbox free."""
    with suppress(UnexpectedReply, OSError):
        visitor.ask("NOOP")

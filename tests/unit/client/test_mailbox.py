"""A mailbox whose session is lost, and begun again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mailapp.link import Link
from mailapp.mailbox import Mailbox
from mailapp.pop3 import ConnectionLost, open_session

Start = Callable[..., Any]
BEGINNING = ("UIDL 2", b"+OK 2 second\r\n", "LIST 2", b"+OK 2 100\r\n")
EVERYTHING = ("UIDL 1", "UIDL 2", b"+OK 1 second\r\n+OK 2 third\r\n")
SIZES = ("LIST 1", "LIST 2", b"+OK 1 100\r\n+OK 2 100\r\n")


def opened(port: int) -> Mailbox:
    link = Link(connect_seconds=5, reply_seconds=5)
    return Mailbox(lambda: open_session("127.0.0.1", port, link, "alice", "secret"))


def test_marks_outlive_attempts_that_fail(peer: Start, login: Sequence[Any]) -> None:
    """A server that is away for a while, and one that is lost as soon as it is back."""
    again = (*login[:-1], b"+OK 2 200\r\n")
    server = peer(
        (*login, *BEGINNING),
        (),
        (*again, *EVERYTHING[:2]),
        (*again, *EVERYTHING, *SIZES, "DELE 1", "DELE 2", b"+OK\r\n" * 2, "QUIT", b"+OK\r\n"),
    )
    mailbox = opened(server.port)
    mailbox.mark([2])
    for _ in range(2):
        with pytest.raises(ConnectionLost):
            mailbox.reopen()
        assert mailbox.marked == {2}
    mailbox.reopen()
    assert mailbox.marked == {1}
    mailbox.marked.add(2)
    assert mailbox.leave().deleted == 2
    server.finish()


def test_marks_that_have_no_name_are_told(peer: Start, login: Sequence[Any]) -> None:
    no_names = ("UIDL 2", b"-ERR\r\n", "LIST 2", b"+OK 2 100\r\n")
    mailbox = opened(peer((*login, *no_names), login).port)
    mailbox.mark([2])
    mailbox.marked.add(1)  # as in a list whose lines have not come yet
    assert mailbox.reopen() == "2 marks cannot be found again."
    assert not mailbox.marked
    mailbox.abandon()


@pytest.mark.parametrize(
    ("answers", "fate"),
    [
        (("DELE 2",), "Nothing was deleted."),
        (("DELE 2", b"+OK\r\n", "QUIT"), "Perhaps the marked messages were deleted."),
    ],
)
def test_only_what_is_known_is_said_of_deletions(
    peer: Start, login: Sequence[Any], answers: tuple[Any, ...], fate: str
) -> None:
    mailbox = opened(peer((*login, *BEGINNING, *answers)).port)
    mailbox.mark([2])
    with pytest.raises(ConnectionLost):
        mailbox.leave()
    assert mailbox.fate == fate

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


def test_marks_outlive_attempts_that_fail(peer: Start, login: Sequence[Any]) -> None:
    """A server that is away for a while, and one that is lost as soon as it is back."""
    again = (*login[:-1], b"+OK 2 200\r\n")
    server = peer(
        (*login, *BEGINNING),
        (),
        (*again, *EVERYTHING[:2]),
        (*again, *EVERYTHING, *SIZES, "DELE 1", b"+OK\r\n", "QUIT", b"+OK\r\n"),
    )
    link = Link(connect_seconds=5, reply_seconds=5)
    mailbox = Mailbox(lambda: open_session("127.0.0.1", server.port, link, "alice", "secret"))
    mailbox.mark([2])
    for _ in range(2):
        with pytest.raises(ConnectionLost):
            mailbox.reopen()
        assert mailbox.marked == {2}
    mailbox.reopen()
    assert mailbox.marked == {1}
    assert mailbox.leave().deleted == 1
    server.finish()

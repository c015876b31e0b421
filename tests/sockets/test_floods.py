"""Many at once, and none of them means well: everybody else is served, and memory has its bounds.

FLOOD=20 makes each crowd twenty times as big: `FLOOD=20 make test ARGS="-k floods"`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.sockets.conftest import Mail, Raw, transaction

FLOOD = int(os.environ.get("FLOOD", "1"))
MEGABYTE = 1024 * 1024
ENVELOPE = transaction("first")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Mail]:
    """Servers with little memory for messages on their way."""
    mail = Mail(tmp_path, "--memory-limit", "4000000")
    yield mail
    mail.stop()


def crowd(mail: Mail, stack: ExitStack, count: int, *commands: bytes) -> list[Raw]:
    """So many connections that have said this; their answers are read in one go."""
    raws = [stack.enter_context(Raw(mail.smtp.port)) for _ in range(count)]
    for raw in raws:
        assert raw.reply().startswith(b"220 ")
        raw.say(b"".join(command + b"\r\n" for command in commands))
    for raw in raws:
        assert all(raw.reply()[:1] in b"23" for _ in commands)
    return raws


def test_slow_senders_disturb_nobody(small: Mail) -> None:
    """Security row 41: hundreds who say an octet now and then, in a command or in a message."""
    with ExitStack() as stack:
        slow = crowd(small, stack, 150 * FLOOD, *ENVELOPE) + crowd(small, stack, 150 * FLOOD)
        before = small.smtp.resident_octets()
        longest = 0.0
        for octet in b"X-Slow":
            for raw in slow:
                raw.say(bytes((octet,)))
            began = time.monotonic()
            small.send("first", b"Subject: normal\r\n\r\n")
            longest = max(longest, time.monotonic() - began)
        assert longest < 1 + 0.1 * FLOOD
        assert small.smtp.resident_octets() < before + 4 * MEGABYTE * FLOOD
        assert len(small.messages("first")) == len(b"X-Slow")


def test_messages_on_their_way_have_a_bound(small: Mail) -> None:
    """A hundred of 1 MB that do not end cost files, not memory, neither now nor at their end."""
    with ExitStack() as stack:
        senders = crowd(small, stack, 100 * FLOOD, *ENVELOPE)
        before = small.smtp.resident_octets()
        line = b"x" * 998 + b"\r\n"
        for raw in senders:
            raw.say(b"Subject: big\r\n\r\n" + line * 1000)
        small.send("first", b"Subject: normal\r\n\r\n")  # it is dealt with behind the others
        assert small.smtp.resident_octets() < before + 32 * MEGABYTE
        for raw in senders:
            raw.say(b".\r\n")
        assert {raw.reply()[:4] for raw in senders} == {b"250 "}
        assert small.smtp.resident_octets() < before + 32 * MEGABYTE
    count = len(senders) + 1
    with small.raw_pop3("first") as pop3:
        assert pop3.ask(b"STAT").startswith(b"+OK %d " % count)


def test_headers_on_their_way_have_a_bound(small: Mail) -> None:
    """A header cannot go to a file before it is whole: those over the bound are refused."""
    with ExitStack() as stack:
        senders = crowd(small, stack, 120 * FLOOD, *ENVELOPE)
        before = small.smtp.resident_octets()
        for raw in senders:
            raw.say(b"X-Field: of a header\r\n" + b" that does not end\r\n" * 12_000)
        small.send("first", b"Subject: normal\r\n\r\n")
        for raw in senders:
            raw.say(b"\r\n.\r\n")
        assert {raw.reply()[:4] for raw in senders} <= {b"250 ", b"452 "}
        assert small.smtp.resident_octets() < before + 16 * MEGABYTE


def test_a_maildrop_of_many_messages(small: Mail) -> None:
    """Security row 68: it is listed from its index; sizes and ids alone are in memory."""
    count = 10_000 * FLOOD
    (small.data / "first").mkdir()
    record = "From a@b Mon Nov 23 14:05:09 2026\nSubject: {}\n\n\n"
    (small.data / "first" / "mymailbox").write_text("".join(map(record.format, range(count))))
    small.raw_pop3("first").close()  # makes the index
    before = small.pop3.resident_octets()
    with small.raw_pop3("first") as pop3:
        for command in (b"LIST", b"UIDL"):
            assert pop3.ask(command).startswith(b"+OK ")
            lines = 0
            while pop3.line() != b".":
                lines += 1
            assert lines == count
    assert small.pop3.resident_octets() < before + 1000 * count

"""What is too long, or too many, to be written into a dialog file."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.dialogs.machine import Machine

from mailserver.delivery.accept import HOPS_LIMIT
from mailserver.message.header import FIELD_LIMIT, OCTET_LIMIT

USERS = {"alice": "wonderland", "bob": "builder"}
OPENING = b"HELO client\r\nMAIL FROM:<alice@mailserver>\r\nRCPT TO:<bob@mailserver>\r\nDATA\r\n"
STORED = "250 OK message stored, id 3f2a9c"
PASSED = "250 OK nothing done"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path, USERS)
    yield machine
    machine.close()


def reply_to(machine: Machine, content: bytes, piece: int | None = None) -> list[str]:
    """All replies behind the 354, for content that is followed by NOOP."""
    said = OPENING + content + b"NOOP\r\n"
    piece = piece or len(said)
    chunks = (said[start : start + piece] for start in range(0, len(said), piece))
    replies = bytes(machine.smtp(chunks).sent).decode().split("\r\n")
    assert replies[4].startswith("354 ")
    return replies[5:-1]


# -- smuggling: {LF, CR, CRLF, NUL, nothing} . {LF, CR, CRLF, NUL, nothing, CR CRLF} ------------

BEFORE = (b"\n", b"\r", b"\r\n", b"\0", b"")
BEHIND = (b"\n", b"\r", b"\r\n", b"\0", b"", b"\r\r\n")
HARMLESS = {(b"\r\n", b""), (b"", b""), (b"", b"\r\n")}
"""A line that begins with a full stop, a full stop in a line, and one at its end."""
SMUGGLED = b"MAIL FROM:<root@mailserver>\r\nRCPT TO:<alice@mailserver>\r\nDATA\r\nSubject: x\r\n"


@pytest.mark.parametrize(("before", "behind"), list(itertools.product(BEFORE, BEHIND)))
def test_only_crlf_dot_crlf_ends_a_message(machine: Machine, before: bytes, behind: bytes) -> None:
    """RFC 5321 4.1.1.4: lines end with CRLF, and nothing else may be taken for the end."""
    if (before, behind) == (b"\r\n", b"\r\n"):
        return  # the one true end, which all the other tests show
    content = b"Subject: harmless\r\n\r\nhello" + before + b"." + behind + SMUGGLED + b"\r\n.\r\n"
    for piece in (1, 2, 3, 5, None):
        reply, passed = reply_to(machine, content, piece)
        assert passed == PASSED
        if (before, behind) in HARMLESS:
            assert reply == STORED
        else:
            assert reply.startswith("550 The message has a ")
    assert machine.messages("alice") == []
    assert len(machine.messages("bob")) == (5 if (before, behind) in HARMLESS else 0)


@pytest.mark.parametrize("octet", [b"\n", b"\r"])
def test_a_bare_line_end_may_stand_at_any_place_of_a_large_message(
    machine: Machine, octet: bytes
) -> None:
    for place in (0, 1, 4095, 4096, 9999):
        content = bytearray(b"x" * 10_000)
        content[place : place + 1] = octet
        reply, passed = reply_to(machine, bytes(content) + b"\r\n.\r\n", 4096)
        assert (reply[:4], passed) == ("550 ", PASSED)
    assert machine.messages("bob") == []


# -- limits of the header -----------------------------------------------------------


def test_subject_limits(machine: Machine) -> None:
    answers = {
        n: reply_to(machine, b"Subject: %s\r\n.\r\n" % (b"s" * n))[0] for n in (99, 100, 101)
    }
    assert answers[99] == answers[100] == STORED
    assert answers[101] == ("554 The subject is too long: 101 characters, at most 100 are allowed")


def test_field_count_limits(machine: Machine) -> None:
    answers = {
        n: reply_to(machine, b"X-Field: 1\r\n" * n + b"\r\nbody\r\n.\r\n")[0]
        for n in (FIELD_LIMIT - 1, FIELD_LIMIT, FIELD_LIMIT + 1)
    }
    too_many = answers.pop(FIELD_LIMIT + 1)
    assert set(answers.values()) == {STORED}
    assert too_many == "552 The header is over the limit: at most 262144 octets, 1000 fields"


@pytest.mark.parametrize("piece", [None, 1000, 65_536])
def test_header_size_limits(machine: Machine, piece: int | None) -> None:
    """Octets as they are stored, LF line ends."""
    answers = {}
    for n in (OCTET_LIMIT - 1, OCTET_LIMIT, OCTET_LIMIT + 1):
        header = b"Subject: x\r\n"
        header += b"X: " + b"y" * (n - 11 - 4) + b"\r\n"
        assert len(header.replace(b"\r\n", b"\n")) == n
        answers[n] = reply_to(machine, header + b"\r\nbody\r\n.\r\n", piece)[0]
    too_big = answers.pop(OCTET_LIMIT + 1)
    assert set(answers.values()) == {STORED}
    assert too_big == "552 The header is over the limit: at most 262144 octets, 1000 fields"


@pytest.mark.parametrize("piece", [1000, 4096, 10_007, 262_144, None])
def test_an_endless_header_is_refused_however_it_is_cut(
    machine: Machine, piece: int | None
) -> None:
    header = b"".join(b"X-%d: %s\r\n" % (n, b"y" * 990) for n in range(400))
    reply, passed = reply_to(machine, b"Subject: x\r\n" + header + b"\r\nbody\r\n.\r\n", piece)
    assert reply == "552 The header is over the limit: at most 262144 octets, 1000 fields"
    assert passed == PASSED
    assert machine.messages("bob") == []


def test_text_without_a_header_may_be_long(machine: Machine) -> None:
    content = b"just a line of text\r\n" * 20_000
    assert reply_to(machine, content + b".\r\n", 10_000)[0] == STORED
    assert machine.messages("bob")[0].endswith(b"\r\n\r\n" + content)


def test_one_line_of_a_megabyte_comes_back_whole(machine: Machine) -> None:
    content = b"Subject: x\r\n\r\n" + b"x" * 1_000_000 + b"\r\n"
    assert reply_to(machine, content + b".\r\n", 65_536)[0] == STORED
    assert machine.messages("bob")[0].endswith(content[12:])


def test_a_thousand_recipients_and_not_one_more(machine: Machine) -> None:
    """RFC 5321 4.5.3.1.10: 452 for those over the limit, the message goes to the others."""
    start = time.perf_counter()
    said = b"HELO c\r\nMAIL FROM:<>\r\n" + b"RCPT TO:<bob@mailserver>\r\n" * 10_000
    stream = machine.smtp([said + b"DATA\r\nSubject: x\r\n.\r\nQUIT\r\n"])
    replies = bytes(stream.sent).decode().split("\r\n")
    assert replies.count("250 OK recipient accepted") == 1000
    assert replies.count("452 Too many recipients; send to the rest separately") == 9000
    assert STORED in replies
    assert len(machine.messages("bob")) == 1
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(("hops", "stored"), [(HOPS_LIMIT, True), (HOPS_LIMIT + 1, False)])
def test_a_message_that_goes_round_and_round(machine: Machine, hops: int, stored: bool) -> None:
    """Security row 51, RFC 5321 6.3."""
    content = b"Received: from a by b; now\r\n" * hops + b"Subject: x\r\n\r\n.\r\n"
    reply, passed = reply_to(machine, content)
    assert (reply == STORED, passed) == (stored, PASSED)
    assert stored or reply.startswith("554 ")

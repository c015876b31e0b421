"""Both drivers over a connection in memory: time limits, the server's end, broken storage."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from tests.dialogs.machine import Machine

from mailserver.message.verdict import Kind, Verdict
from mailserver.net import smtp_driver
from mailserver.net.memory_stream import MemoryStream
from mailserver.net.pop3_driver import Timeouts as Pop3Timeouts
from mailserver.net.smtp_driver import Timeouts as SmtpTimeouts
from mailserver.net.stream import ReceiveTimeout, ServerStopping, SessionTimeout
from mailserver.store.base import Deposit

USERS = {"alice": "wonderland", "bob": "builder"}
OPENING = b"HELO c\r\nMAIL FROM:<alice@mailserver>\r\nRCPT TO:<bob@mailserver>\r\nDATA\r\n"
STOPPING = b"421 Service is stopping; closing transmission channel\r\n"
TIMED_OUT = b"421 Nothing came for too long; closing transmission channel\r\n"
LOGIN = b"USER alice\r\nPASS wonderland\r\n"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "data", USERS)
    yield made
    made.close()


def machine_that(tmp_path: Path, answer: Verdict | Exception) -> Machine:
    """A machine whose disk has this to say to each message."""

    async def append(deposit: Deposit) -> Verdict:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Machine(tmp_path / "broken", USERS, append=append)


# -- SMTP --------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"", b"NOO", b"EHLO c\r\n", OPENING, OPENING + b"half a message"])
def test_smtp_says_why_when_nothing_comes(machine: Machine, said: bytes) -> None:
    """RFC 5321 4.5.3.2.7, 3.8: 421."""
    stream = machine.smtp([said, ReceiveTimeout(), b"QUIT\r\n"] if said else [ReceiveTimeout()])
    assert stream.sent.endswith(TIMED_OUT[4:])
    assert stream.sent.count(b"\r\n421 ") == 1
    assert machine.messages("bob") == []


@pytest.mark.parametrize("said", [b"", b"NOO", b"HELO c\r\n", OPENING[:-6]])
def test_smtp_says_that_the_server_stops(machine: Machine, said: bytes) -> None:
    chunks = [said, ServerStopping(), b"QUIT\r\n"] if said else [ServerStopping()]
    assert machine.smtp(chunks).sent.endswith(STOPPING)


def test_a_message_on_its_way_is_stored_before_the_server_stops(machine: Machine) -> None:
    stream = machine.smtp([OPENING + b"Subject: x\r\n", ServerStopping(), b".\r\nNOOP\r\n"])
    assert stream.sent.endswith(b"250 OK message stored, id 3f2a9c\r\n" + STOPPING)
    assert len(machine.messages("bob")) == 1


def test_a_refused_message_on_its_way_is_answered_before_the_server_stops(machine: Machine) -> None:
    stream = machine.smtp([OPENING + b"a\nb", ServerStopping(), b"\r\n.\r\nNOOP\r\n"])
    assert b"\r\n550 The message has a CR or LF" in stream.sent
    assert stream.sent.endswith(STOPPING)


def test_a_message_that_takes_too_long_is_told_so_when_the_server_stops(machine: Machine) -> None:
    """The second time there is no more patience."""
    stream = machine.smtp([OPENING + b"Subj", ServerStopping(), b"ect: x\r\n", ServerStopping()])
    assert stream.sent.endswith(b"354 Start mail input; end with <CRLF>.<CRLF>\r\n" + STOPPING)
    assert machine.messages("bob") == []


def test_a_session_over_time_ends_after_its_message(machine: Machine) -> None:
    stream = machine.smtp([OPENING + b"Subject: x\r\n", SessionTimeout(), b".\r\nNOOP\r\n"])
    assert stream.sent.endswith(b"421 This session is over time; closing transmission channel\r\n")
    assert len(machine.messages("bob")) == 1


class Dripping(MemoryStream):
    """Brings the opening at once, then each chunk so many seconds after the last."""

    def __init__(self, opening: bytes, chunks: Iterable[bytes], seconds: float) -> None:
        super().__init__(chunks)
        self.now = 1000.0
        self._opening = opening
        self._seconds = seconds

    async def receive(self, timeout: float) -> bytes:
        if self._opening:
            opening, self._opening = self._opening, b""
            return opening
        if timeout < self._seconds:
            self.now += timeout
            raise ReceiveTimeout
        self.now += self._seconds
        return await super().receive(timeout)


TOO_SLOW = b"421 The message comes too slowly; closing transmission channel\r\n"


@pytest.mark.parametrize(
    ("octets", "seconds", "count", "slow"),
    [
        (1, 10, 100, True),  # a slowloris
        (1, 0.5, 100, False),  # a small message over a bad line
        (800, 2, 100, True),  # 400 a second
        (1200, 2, 100, False),  # 600 a second
        (100_000, 30, 150, True),  # fast enough, but it takes more than an hour
    ],
)
def test_a_message_has_to_keep_pace(
    machine: Machine, octets: int, seconds: float, count: int, slow: bool
) -> None:
    """Security row 41."""
    chunks = [*[b"x" * octets + b"\r\n"] * count, b".\r\nQUIT\r\n"]
    stream = Dripping(OPENING, chunks, seconds)
    machine.smtp_over(stream, clock=lambda: stream.now)
    if slow:
        assert stream.sent.endswith(TOO_SLOW)
        assert machine.messages("bob") == []
        assert stream.now - 1000 < 3800
    else:
        assert len(machine.messages("bob")) == 1


def test_the_pace_is_counted_anew_for_each_message(machine: Machine) -> None:
    stream = Dripping(OPENING, [b".\r\n", b"NOOP\r\n", b"NOOP\r\n"], 250)
    machine.smtp_over(stream, clock=lambda: stream.now)
    assert stream.sent.endswith(TOO_SLOW)
    stream = Dripping(OPENING + b".\r\n", [b"NOOP\r\n", b"NOOP\r\n"], 250)
    machine.smtp_over(stream, clock=lambda: stream.now)
    assert stream.sent.endswith(b"250 OK nothing done\r\n" * 2)


def test_a_chunk_that_nobody_wants_has_to_keep_pace_too(machine: Machine) -> None:
    chunk = b"HELO c\r\nBDAT 100\r\n"
    stream = Dripping(chunk, [b"x"] * 100, 10)
    machine.smtp_over(stream, clock=lambda: stream.now)
    assert stream.sent.endswith(TOO_SLOW)
    stream = Dripping(chunk, [b"x"] * 99 + [b"xNOOP\r\n", *[b"NOOP\r\n"] * 3], 0.5)
    machine.smtp_over(stream, clock=lambda: stream.now)
    assert stream.sent.endswith(b"503 Say MAIL FROM first\r\n" + b"250 OK nothing done\r\n" * 4)
    stream = Dripping(chunk, [b"x" * 100, *[b"NOOP\r\n"] * 3], 59)
    machine.smtp_over(stream, clock=lambda: stream.now)
    assert stream.sent.endswith(b"250 OK nothing done\r\n" * 3)


@pytest.mark.parametrize(
    ("line", "seconds", "whole"),
    [(b"NOOP\r\n", 49, True), (b"NOOP\r\n", 61, False), (b"NOOP" + b" " * 1000, 1, False)],
)
def test_a_line_has_no_more_time_than_an_octet(
    machine: Machine, line: bytes, seconds: float, whole: bool
) -> None:
    """Security row 41: an octet a minute holds no connection."""
    stream = Dripping(OPENING[:8], [line[i : i + 1] for i in range(len(line))] * 2, seconds)
    machine.smtp_over(stream, clock=lambda: stream.now)
    assert stream.sent.endswith(b"250 OK nothing done\r\n" * 2 if whole else TIMED_OUT)
    assert stream.now - 1000 < 640


class Clocked(MemoryStream):
    """Writes down how long it was allowed to wait."""

    def __init__(self, chunks: list[bytes]) -> None:
        super().__init__(chunks)
        self.waits: list[float] = []

    async def receive(self, timeout: float) -> bytes:
        self.waits.append(timeout)
        return await super().receive(timeout)


def test_smtp_time_limits(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.dialogs.machine.MemoryStream", Clocked)
    timeouts = SmtpTimeouts(command=1, first_command=2, content=3, send=4)
    chunks = [b"HELO c\r\n", OPENING[8:], b"Subject: x\r\n", b".\r\n", b"NOOP\r\n"]
    stream = machine.smtp(chunks, timeouts)
    assert isinstance(stream, Clocked)
    assert stream.waits[:2] == [2, 1]
    assert stream.waits[3] == 3
    assert stream.waits[-1] == 1
    assert SmtpTimeouts().command >= 300  # RFC 5321 4.5.3.2.7
    assert SmtpTimeouts().content >= 180  # RFC 5321 4.5.3.2.5


@pytest.mark.parametrize(
    ("kind", "reply"),
    [
        (Kind.DISK_FULL, b"452 Not enough storage"),
        (Kind.MAILBOX_BUSY, b"450 Mailbox is in use"),
        (Kind.MAILBOX_UNUSABLE, b"451 Mailbox cannot be written"),
        (Kind.STORAGE_FAILED, b"451 The message could not be stored"),
        (Kind.NO_SUCH_USER, b"550 No such user"),
    ],
)
def test_smtp_tells_what_the_disk_said(tmp_path: Path, kind: Kind, reply: bytes) -> None:
    machine = machine_that(tmp_path, Verdict(kind))
    stream = machine.smtp([OPENING + b"Subject: x\r\n.\r\nNOOP\r\n"])
    assert b"\r\n" + reply in stream.sent
    assert stream.sent.endswith(b"250 OK nothing done\r\n")
    machine.close()


def test_every_verdict_has_a_reply() -> None:
    assert smtp_driver._REPLY.keys() == set(Kind) - {Kind.ACCEPTED, Kind.FORWARDED}


def test_a_fault_of_the_server_is_451_and_the_end(tmp_path: Path) -> None:
    """RFC 5321 4.2.2: local error in processing; the traceback is for the log, not the peer."""
    machine = machine_that(tmp_path, ValueError("secret detail"))
    sent: list[MemoryStream] = []

    def remember(*arguments: object) -> MemoryStream:
        sent.append(MemoryStream(*arguments))  # type: ignore[arg-type]
        return sent[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.dialogs.machine.MemoryStream", remember)
        with pytest.raises(ValueError, match="secret detail"):
            machine.smtp([OPENING + b"Subject: x\r\n.\r\nNOOP\r\n"])
    assert sent[0].sent.endswith(b"451 Local error in processing; try again later\r\n")
    machine.close()


def test_no_room_is_said_before_the_message_comes(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "data", USERS)
    machine.store._reserve_octets = 1 << 62
    stream = machine.smtp([b"HELO c\r\nMAIL FROM:<>\r\nNOOP\r\n"])
    assert b"\r\n452 Not enough storage; try again later\r\n250 OK nothing" in stream.sent
    machine.close()


def test_an_account_that_vanishes_under_way_gets_nothing(machine: Machine) -> None:
    def chunks() -> Iterator[bytes]:
        yield OPENING + b"Subject: x\r\n"
        (machine.data / "users.txt").write_text("alice wonderland\n")
        os.utime(machine.data / "users.txt", (0, 0))  # it is not being written any more
        yield b".\r\n"

    assert machine.smtp(chunks()).sent.endswith(b"550 No such user\r\n")
    assert machine.mailbox("bob") == b""


def test_nobody_is_refused_for_good_while_the_users_cannot_be_read(machine: Machine) -> None:
    """RFC 5321 4.2.1: another process may know him."""
    (machine.data / "users.txt").rename(machine.data / "away")
    stream = machine.smtp(
        [b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<carol@mailserver>\r\nRCPT TO:<bob@mailserver>\r\n"]
    )
    assert stream.sent.endswith(
        b"451 4.3.0 The list of users cannot be read now; try again later\r\n"
        b"250 2.1.5 OK recipient accepted\r\n"
    )


# -- POP3 --------------------------------------------------------------------


@pytest.mark.parametrize("end", [ReceiveTimeout(), ServerStopping(), SessionTimeout()])
@pytest.mark.parametrize("said", [b"", LOGIN, LOGIN + b"DELE 1\r\n"])
def test_pop3_ends_without_a_word_and_without_an_update(
    machine: Machine, said: bytes, end: Exception
) -> None:
    """RFC 1939 3."""
    machine.deliver("alice", b"Subject: x\r\n")
    before = machine.pop3([said] if said else []).sent
    stream = machine.pop3([said, end, b"QUIT\r\n"] if said else [end])
    assert stream.sent == before
    assert len(machine.messages("alice")) == 1  # and the maildrop is free again


def test_pop3_time_limits(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.dialogs.machine.MemoryStream", Clocked)
    stream = machine.pop3([b"USER alice\r\n", LOGIN, b"NOOP\r\n"])
    assert isinstance(stream, Clocked)
    assert stream.waits == [60.0, 60.0, 600.0, 600.0]
    assert Pop3Timeouts().command >= 600  # RFC 1939 3


def test_a_line_to_pop3_has_no_more_time_than_an_octet(machine: Machine) -> None:
    for seconds, whole in ((9.0, True), (16.0, False)):

        def drip(seconds: float = seconds) -> Iterator[bytes]:
            for octet in b"CAPA\r\n" * 2:
                yield bytes((octet,))
                machine.ticks += seconds
                machine.now -= 86_400  # somebody sets the clock

        sent = bytes(machine.pop3(drip()).sent)
        assert sent.count(b"+OK capabilities follow") == (2 if whole else 0)


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_a_line_that_does_not_end_is_cut_off(machine: Machine, protocol: str) -> None:
    """Security row 28: not after two gigabytes, but after one megabyte."""
    taken = []

    def endless() -> Iterator[bytes]:
        for number in range(2048):
            taken.append(number)
            yield b"x" * 1024 * 1024

    sent = getattr(machine, protocol)(endless()).sent
    assert sent.lower().endswith(
        (
            b"the line does not end, closing\r\n",
            b"421 the line does not end; closing transmission channel\r\n",
        )
    )
    assert len(taken) <= 2


def test_a_mailbox_that_cannot_be_opened(machine: Machine) -> None:
    (machine.data / "alice").mkdir()
    (machine.data / "alice" / "mymailbox").symlink_to("/etc/passwd")
    stream = machine.pop3([LOGIN + b"NOOP\r\n"])
    assert b"\r\n-ERR [SYS/PERM] the maildrop cannot be opened" in stream.sent
    assert stream.sent.endswith(b"-ERR log in first: USER, then PASS\r\n")


def test_a_message_that_another_program_moved(machine: Machine) -> None:
    machine.deliver("alice", b"Subject: x\r\n\r\n" + b"x" * 200_000 + b"\r\n")

    def chunks() -> Iterator[bytes]:
        yield LOGIN
        (machine.data / "alice" / "mymailbox").write_bytes(b"nothing that you know")
        yield b"RETR 1\r\nNOOP\r\n"

    stream = machine.pop3(chunks())
    assert stream.sent.endswith(b"-ERR the message cannot be read any more\r\n+OK\r\n")


def test_a_message_that_another_program_changed_is_not_said_to_be_deleted(machine: Machine) -> None:
    """It is another message now, which the client has not seen."""
    for subject in (b"tea", b"rum"):
        machine.deliver("alice", b"Subject: %b\r\n\r\nold\r\n" % subject)
    mailbox = machine.data / "alice" / "mymailbox"

    def chunks() -> Iterator[bytes]:
        yield LOGIN + b"DELE 1\r\nDELE 2\r\n"
        mailbox.write_bytes(mailbox.read_bytes().replace(b"old", b"new", 1))
        yield b"QUIT\r\n"

    said = b"+OK bye, 1 deleted; another program has changed or removed 1 meanwhile\r\n"
    assert machine.pop3(chunks()).sent.endswith(said)
    assert mailbox.read_bytes().count(b"\nSubject: ") == 1
    assert b"new" in mailbox.read_bytes()


def test_deletions_that_fail_are_said_to_have_failed(machine: Machine) -> None:
    """RFC 1939 6: -ERR, and nothing was deleted."""
    machine.deliver("alice", b"Subject: x\r\n")

    def chunks() -> Iterator[bytes]:
        yield LOGIN + b"DELE 1\r\n"
        (machine.data / "alice").rename(machine.data / "moved")
        (machine.data / "alice").symlink_to("moved")
        yield b"QUIT\r\nNOOP\r\n"

    stream = machine.pop3(chunks())
    assert stream.sent.endswith(
        b"-ERR [SYS/TEMP] the maildrop could not be updated; nothing was deleted\r\n"
    )
    assert (machine.data / "moved" / "mymailbox").read_bytes().count(b"Subject: x") == 1


@pytest.mark.parametrize("octets", [100, 127_000, 129_000, 3_000_000])
def test_messages_of_all_sizes_are_sent_whole(machine: Machine, octets: int) -> None:
    content = b"Subject: x\r\n\r\n" + b".\r\nFrom me\r\n" * (octets // 12)
    machine.deliver("alice", content)
    sent = bytes(machine.pop3([LOGIN + b"RETR 1\r\n"]).sent)
    message = sent.partition(b"+OK %d octets\r\n" % len(content))[2]
    assert message == (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"

"""The queue's files: what is written comes back, also after a crash in the middle."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.message.envelope import (
    MailParameters,
    Notify,
    RcptParameters,
    Recipient,
    Return,
)
from mailserver.message.outcome import Fate, Outcome
from mailserver.relay.entry import (
    BadLine,
    Entry,
    Note,
    Order,
    Ordered,
    Progress,
    Told,
    Tried,
    line_of,
    read_entry,
    read_note,
)
from mailserver.relay.spool import Held, Spool, Unreadable
from mailserver.relay.wish import Wish
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath

CONTENT = [b"Subject: one\r\n\r\n", b"text \xff\r\n" * 1000]
LATER = Outcome(Fate.TEMPORARY, "4.2.2", "452 4.2.2 full", "mx.b.test")
GONE = Outcome(Fate.PERMANENT, "5.1.1", "550 5.1.1 no such user", "mx.b.test")
NOTES: tuple[Note, ...] = (
    Tried(1.5, (0, 1), LATER, 301.5),
    Told((0,), delayed=True),
    Ordered(Order.HOLD),
    Tried(302.0, (1,), GONE, 0.0),
    Told((1,)),
)


def recipient(local: str, parameters: RcptParameters | None = None) -> Recipient:
    return Recipient(ForwardPath(Mailbox(local, "b.test")), parameters or RcptParameters())


def entry(message_id: str = "a1-2", octets: int | None = None) -> Entry:
    recipients = (
        recipient("bob", RcptParameters(frozenset({Notify.DELAY}), "rfc822;bob@old.test")),
        recipient("we ird\\", RcptParameters(frozenset())),
        recipient("büro"),
    )
    asked = MailParameters(None, True, True, Return.FULL, "id 1", True)
    sender = ReversePath(Mailbox("alice", "a.test"))
    length = sum(map(len, CONTENT)) if octets is None else octets
    return Entry(message_id, 1.25, sender, asked, recipients, length, True, True)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path)
    yield made
    made.close()


def put(spool: Spool, message_id: str = "a1-2") -> Path:
    spool.hold(entry(message_id), CONTENT).release()
    return file_of(spool, message_id)


def file_of(spool: Spool, message_id: str = "a1-2") -> Path:
    return Path(os.readlink(f"/proc/self/fd/{spool._messages}"), message_id)


@given(
    st.text(min_size=1),
    st.text(),
    st.one_of(st.none(), st.sets(st.sampled_from(Notify)).map(frozenset)),
    st.booleans(),
)
def test_an_entry_comes_back(
    local: str, text: str, notify: frozenset[Notify] | None, null: bool
) -> None:
    sender = ReversePath(None if null else Mailbox(local, text))
    asked = MailParameters(None, null, not null, None, text, null)
    one = Recipient(ForwardPath(Mailbox(local, text)), RcptParameters(notify, text))
    made = Entry("id-1", 1.5, sender, asked, (one, one), 7, null, not null, null)
    line = line_of(made)
    assert line.count(b"\n") == 1
    assert read_entry(line) == made


def test_an_entry_of_before_there_was_tls_required() -> None:
    line = line_of(entry()).partition(b" ")[2].replace(b',"tls_optional":false', b"")
    assert b"tls_optional" not in line
    before = b"%08x %s" % (zlib.crc32(line.rstrip(b"\n")), line)
    assert read_entry(before) == entry()


@pytest.mark.parametrize(
    ("required", "optional", "sender", "wish"),
    [
        (False, False, True, Wish.NONE),
        (True, False, True, Wish.REQUIRED),
        (True, True, True, Wish.REQUIRED),  # RFC 8689 4.1: TLS-Required is not looked at then
        (False, True, True, Wish.OPTIONAL),
        (True, False, False, Wish.NONE),  # RFC 8689 5: a report is not lost for it
    ],
)
def test_what_is_asked_of_tls(
    required: bool,  # rows of the table
    optional: bool,
    sender: bool,
    wish: Wish,
) -> None:
    made = replace(
        entry(),
        parameters=MailParameters(require_tls=required),
        tls_optional=optional,
        reverse_path=ReversePath(Mailbox("alice", "a.test") if sender else None),
    )
    assert made.wish is wish


@pytest.mark.parametrize("note", NOTES)
def test_a_note_comes_back(note: Note) -> None:
    line = line_of(note)
    assert read_note(line) == note
    for cut in range(len(line)):
        with pytest.raises(BadLine):
            read_note(line[:cut])
    for at in range(len(line)):
        with pytest.raises(BadLine):
            read_note(line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :])


def test_a_message_is_in_the_queue_when_it_was_released(spool: Spool) -> None:
    held = spool.hold(entry(), CONTENT)
    assert isinstance(held, Held)
    assert spool.ids() == []
    assert spool.orders() == []
    held.release()
    assert spool.ids() == ["a1-2"]
    assert spool.orders() == [("new", "a1-2")]
    spool.obeyed("new", "a1-2")
    assert spool.orders() == []
    found = spool.load("a1-2")
    assert found.entry == entry()
    assert found.progress == [Progress()] * 3
    assert b"".join(spool.content("a1-2")) == b"".join(CONTENT)
    spool.remove("a1-2")
    assert spool.ids() == []


def test_a_discarded_message_leaves_nothing(spool: Spool, tmp_path: Path) -> None:
    spool.hold(entry(), CONTENT).discard()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["owner"]


def test_content_that_cannot_be_read_leaves_nothing(spool: Spool, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield CONTENT[0]
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        spool.hold(entry(), broken())
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["owner"]


def test_notes_say_how_far_each_recipient_is(spool: Spool) -> None:
    put(spool)
    spool.note("a1-2", *NOTES[:2])
    spool.note("a1-2", *NOTES[2:])
    found = spool.load("a1-2")
    first, second, third = found.progress
    assert first == Progress(1, LATER, 1.5, 301.5, told=False, warned=True)
    assert second == Progress(2, GONE, 302.0, 0.0, told=True, warned=False)
    assert third == Progress()
    assert [one.open for one in found.progress] == [True, False, True]
    assert found.held
    spool.note("a1-2", Ordered(Order.RETRY), Ordered(Order.RELEASE))
    found = spool.load("a1-2")
    assert not found.held
    assert found.progress[0].next_try == 0
    assert b"".join(spool.content("a1-2")) == b"".join(CONTENT)


def test_a_crash_in_a_note_costs_that_note_alone(spool: Spool) -> None:
    path = put(spool)
    spool.note("a1-2", NOTES[0])
    whole = path.read_bytes()
    line = line_of(NOTES[3])
    for cut in range(len(line)):
        for rest in (b"", bytes(len(line) - cut)):  # cut off, or zeros that were never written
            path.write_bytes(whole + line[:cut] + rest)
            assert spool.load("a1-2").progress[1] == Progress(1, LATER, 1.5, 301.5)
    spool.note("a1-2", NOTES[4])
    assert path.read_bytes() == whole + line_of(NOTES[4])


def test_a_note_about_nobody_does_not_count(spool: Spool) -> None:
    path = put(spool)
    whole = path.read_bytes()
    path.write_bytes(whole + line_of(Told((3,))) + line_of(NOTES[0]))
    assert spool.load("a1-2").progress == [Progress()] * 3


def test_a_file_that_is_not_ours_is_told_apart_and_set_aside(spool: Spool, tmp_path: Path) -> None:
    path = put(spool)
    whole = path.read_bytes()
    for octets in (b"", b"garbage", b"00000000 {}\n", whole[:-1], whole[1:], bytes(len(whole))):
        path.write_bytes(octets)
        with pytest.raises(Unreadable):
            spool.load("a1-2")
    spool.set_aside("a1-2")
    assert spool.ids() == []
    assert (tmp_path / ".mailserver/queue/bad-a1-2").exists()


def test_an_entry_of_a_newer_version_is_not_guessed_at() -> None:
    with pytest.raises(BadLine, match="version"):
        read_entry(_with_checksum(b'{"version":2,"mail":{}}'))
    for text in (b"[]", b"{}", b"nothing", b'{"version":1}', b'{"version":1,"mail":{"from":1}}'):
        with pytest.raises(BadLine):
            read_entry(_with_checksum(text))
    for text in (b"[]", b"{}", b'{"order":"eat"}', b'{"n":[0],"outcome":["x"],"at":1,"next":1}'):
        with pytest.raises(BadLine):
            read_note(_with_checksum(text))


def _with_checksum(text: bytes) -> bytes:
    import zlib

    return b"%08x %s\n" % (zlib.crc32(text), text)


def test_one_process_owns_the_queue(spool: Spool, tmp_path: Path) -> None:
    other = Spool(tmp_path)
    assert spool.own()
    assert spool.own()
    assert not other.own()
    spool.close()
    assert other.own()
    spool.__init__(tmp_path)  # type: ignore[misc] # open again, for the fixture
    other.close()


def test_all_processes_of_a_server_own_the_queue_together(spool: Spool, tmp_path: Path) -> None:
    assert spool.own()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if spool.own() else 1)
    assert os.waitpid(pid, 0)[1] == 0
    other = Spool(tmp_path)
    assert not other.own()
    other.close()


def test_several_look_at_once(spool: Spool, tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / f".mailserver/queue/messages/m-{number}").touch()
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda _: len(spool.ids()), range(40))
        assert set(found) == {2000}


def test_the_owner_clears_away_what_a_crash_left_half_written(spool: Spool, tmp_path: Path) -> None:
    coming = tmp_path / ".mailserver/queue/coming"
    (coming / "dead-1").write_bytes(b"half")
    being_written = iter([CONTENT[0]])

    def slow() -> Iterator[bytes]:
        yield next(being_written)
        other = Spool(tmp_path)
        assert other.own()
        other.close()
        yield CONTENT[1]

    spool.hold(entry(), slow()).release()
    assert not (coming / "dead-1").exists()
    assert b"".join(spool.content("a1-2")) == b"".join(CONTENT)


@pytest.mark.parametrize("name", ["../users.txt", "", ".hidden", "a/b", "a\0b", "-x", "a" * 101])
def test_a_name_that_is_no_id_is_never_a_file(spool: Spool, name: str) -> None:
    for call in (spool.load, spool.remove, spool.discard, spool.release, spool.set_aside):
        with pytest.raises(ValueError, match="not an id"):
            call(name)


def test_content_cut_off_is_never_sent_as_whole(spool: Spool) -> None:
    path = put(spool)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(Unreadable, match="too soon"):
        b"".join(spool.content("a1-2"))

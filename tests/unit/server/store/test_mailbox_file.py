"""Every state that a user's folder can be found in, and what is made of it."""

from __future__ import annotations

import mailbox
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contract import post
from tests.contract.post import contents, delete, deliver, read

from mailserver.store import index, mbox
from mailserver.store.base import MailboxUnusable
from mailserver.store.files import FileStore

FOREIGN = b"From carol@elsewhere Tue Nov 24 09:00:00 2026\nSubject: foreign\n\nIt is me.\n\n"
FOREIGN_CONTENT = b"Subject: foreign\r\n\r\nIt is me.\r\n"


def entry_of(record: bytes, offset: int) -> index.Entry:
    octets = len(mbox.read_record(record))
    return index.Entry(
        offset, len(record), octets, mbox.digest([record]), 1, index.beginning(record)
    )


class Box:
    """Bob's mailbox, seen from a program that is not ours."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.file = data / "bob" / "mymailbox"
        self.index = data / "bob" / ".index"

    def add(self, octets: bytes) -> None:
        with self.file.open("ab") as file:
            file.write(octets)

    def lost_and_found(self) -> list[bytes]:
        folder = self.data / ".mailserver" / "lost+found"
        paths = sorted(folder.iterdir(), key=lambda path: float(path.name.removeprefix("bob-")))
        return [path.read_bytes() for path in paths]

    def ends(self) -> list[int]:
        """Where each record ends, by reading the file."""
        octets = self.file.read_bytes()
        return [*list(mbox.record_starts([octets]))[1:], len(octets)]

    def let_index_fit(self) -> None:
        """As if what was done to the file had been done in the tick of our last change."""
        found = self.file.stat()
        with self.index.open("r+b") as file:
            file.write(index.pack_header(found.st_ino, found.st_size, found.st_ctime_ns))

    def announce(self, record: bytes) -> None:
        """What an append leaves that was killed before its first octet was in the mailbox."""
        with self.index.open("ab") as file:
            file.write(index.pack([entry_of(record, self.file.stat().st_size)]))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    store = FileStore(tmp_path, iter(range(10**6)).__next__, reserve_octets=0)
    yield store
    store.close()


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


@pytest.fixture(params=["login first", "delivery first"])
def look(request: pytest.FixtureRequest, store: FileStore) -> Callable[[], list[bytes]]:
    """What is in bob's mailbox, looked at first by a login or by a delivery."""

    def look() -> list[bytes]:
        if request.param == "login first":
            return contents(store, "bob")
        late = deliver(store, "bob", b"Subject: late\r\n\r\nx\r\n")
        found = contents(store, "bob")
        assert found.pop() == late
        return found

    return look


Look = Callable[[], list[bytes]]


def test_what_is_stored_is_an_mbox_file(store: FileStore, box: Box) -> None:
    deliver(store, "bob", b"Subject: x\r\n\r\nFrom me\r\n")
    octets = box.file.read_bytes()
    assert octets.startswith(post.FROM_LINE + b"Return-Path: <alice@mailserver>\n")
    assert octets.endswith(b"Subject: x\n\n>From me\n\n")
    assert b"\r" not in octets
    assert box.file.stat().st_mode & 0o777 == 0o600
    assert box.file.parent.stat().st_mode & 0o777 == 0o700


def test_a_cut_append_leaves_no_half_record(store: FileStore, box: Box, look: Look) -> None:
    """Cut at each octet of an announced record."""
    sent = [deliver(store, "bob"), deliver(store, "bob")]
    mailbox_octets, index_octets = box.file.read_bytes(), box.index.read_bytes()
    record = post.FROM_LINE + b"Subject: torn\n\nFor ever\n\nand ever\n\n"
    for size in range(len(record)):
        box.file.write_bytes(mailbox_octets)
        box.index.write_bytes(index_octets)
        box.announce(record)
        box.add(record[:size])
        assert look() == sent, size
        store.settle()  # or what `look` stored would be written again
        assert box.lost_and_found()[-1:] == ([record[:size]] if size else [])


def test_an_announced_record_that_is_whole_stays(store: FileStore, box: Box, look: Look) -> None:
    sent = deliver(store, "bob")
    box.announce(FOREIGN)
    box.add(FOREIGN)
    assert look() == [sent, FOREIGN_CONTENT]


def test_of_several_announced_records_the_whole_ones_stay(
    store: FileStore, box: Box, look: Look
) -> None:
    box.file.parent.mkdir()
    box.file.touch()
    sent = deliver(store, "bob")
    end = box.file.stat().st_size
    octets = [post.FROM_LINE + b"Subject: %d\n\nx\n\n" % n for n in range(3)]
    with box.index.open("ab") as file:
        for record in octets:
            file.write(index.pack([entry_of(record, end)]))
            end += len(record)
    box.add(octets[0] + octets[1][:-1])
    assert look() == [sent, b"Subject: 0\r\n\r\nx\r\n"]
    assert box.lost_and_found() == [octets[1][:-1]]


def test_zeros_where_a_record_was_announced(store: FileStore, box: Box, look: Look) -> None:
    """What a power cut can leave of an append that was not synced."""
    sent = deliver(store, "bob")
    box.announce(FOREIGN)
    box.add(bytes(len(FOREIGN)))
    assert look() == [sent]
    box.announce(FOREIGN)
    box.add(FOREIGN[:20] + bytes(len(FOREIGN) - 20))
    assert look()[0] == sent
    assert not any(b"\0" in content for content in contents(store, "bob"))


def test_a_cut_first_record(store: FileStore, box: Box, look: Look) -> None:
    contents(store, "bob")
    box.announce(FOREIGN)
    box.add(FOREIGN[:-3])
    assert look() == []
    assert box.lost_and_found() == [FOREIGN[:-3]]


def test_a_tail_that_nobody_has_room_for_is_cut_all_the_same(
    store: FileStore, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = deliver(store, "bob")
    box.announce(FOREIGN)
    box.add(FOREIGN[:-3])
    (box.data / ".mailserver" / "lost+found").rmdir()
    (box.data / ".mailserver" / "lost+found").symlink_to("/dev")
    with pytest.raises(OSError, match="lost"):
        contents(store, "bob")
    (box.data / ".mailserver" / "lost+found").unlink()
    assert contents(store, "bob") == [sent]
    assert box.lost_and_found() == [FOREIGN[:-3]]


def test_another_program_appended(store: FileStore, box: Box, look: Look) -> None:
    sent = deliver(store, "bob")
    box.add(FOREIGN * 2)
    assert look() == [sent, FOREIGN_CONTENT, FOREIGN_CONTENT]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_another_program_left_its_record_unfinished(
    store: FileStore, box: Box, look: Look, end: bytes
) -> None:
    sent = deliver(store, "bob")
    box.add(FOREIGN.rstrip(b"\n") + end)
    assert look() == [sent, FOREIGN_CONTENT]


def test_a_foreign_mailbox_dropped_in_place(store: FileStore, box: Box, look: Look) -> None:
    deliver(store, "bob")
    contents(store, "bob")
    (box.data / "new").write_bytes(FOREIGN * 3)
    (box.data / "new").replace(box.file)
    assert look() == [FOREIGN_CONTENT] * 3


def test_a_foreign_mailbox_copied_over(store: FileStore, box: Box, look: Look) -> None:
    """The same inode: `cp`."""
    for _ in range(4):
        deliver(store, "bob")
    box.file.write_bytes(FOREIGN * 2)
    assert look() == [FOREIGN_CONTENT] * 2
    assert box.lost_and_found() == []


def test_a_foreign_mailbox_of_the_same_size_copied_over(
    store: FileStore, box: Box, look: Look
) -> None:
    deliver(store, "bob")
    size = box.file.stat().st_size
    filled = FOREIGN[:-1] + b"x" * (size - len(FOREIGN) - 1) + b"\n\n"
    box.file.write_bytes(filled)
    assert box.file.stat().st_size == size
    [content] = contents(store, "bob")
    assert content.startswith(FOREIGN_CONTENT)


def test_a_mailbox_before_its_folder_was_ever_used(store: FileStore, box: Box, look: Look) -> None:
    box.file.parent.mkdir()
    box.file.write_bytes(FOREIGN)
    assert look() == [FOREIGN_CONTENT]


def test_what_is_no_message_stays_where_it_is(store: FileStore, box: Box) -> None:
    """Octets before the first From_ line are nobody's message, and nobody's to throw away."""
    box.file.parent.mkdir()
    box.file.write_bytes(b"a list of things to do\n")
    sent = [deliver(store, "bob") for _ in range(3)]
    assert contents(store, "bob") == sent
    delete(store, "bob", 1)
    assert contents(store, "bob") == sent[1:]
    delete(store, "bob", 2)
    assert contents(store, "bob") == sent[1:2]
    delete(store, "bob", 1)
    assert contents(store, "bob") == []
    assert box.file.read_bytes() == b"a list of things to do\n\n"
    assert [deliver(store, "bob")] == contents(store, "bob")


def test_what_another_program_appends_hides_no_mail(store: FileStore, box: Box) -> None:
    """Octets without a From_ line are part of the last message, and what comes later is seen."""
    first = deliver(store, "bob")
    with box.file.open("ab") as file:
        file.write(b"a thing to do\n")
    second = deliver(store, "bob")
    assert contents(store, "bob") == [first + b"\r\na thing to do\r\n", second]
    delete(store, "bob", 1)
    assert contents(store, "bob") == [second]


def test_a_file_written_over_with_its_first_record_kept(store: FileStore, box: Box) -> None:
    first, _ = deliver(store, "bob"), deliver(store, "bob")
    kept = read(store, "bob")[0]
    record = box.file.read_bytes()
    box.file.write_bytes(record[: record.index(b"\n\nFrom ") + 2] + b"F")
    third = deliver(store, "bob")
    assert contents(store, "bob") == [first + b"\r\nF\r\n", third]
    assert read(store, "bob")[0].unique_id != kept.unique_id


def header_for(file: Path) -> bytes:
    """Of an index that looks as if nobody had written to the file since."""
    found = file.stat()
    return index.pack_header(found.st_ino, found.st_size, found.st_ctime_ns)


def test_an_index_with_numbers_that_no_file_has(store: FileStore, box: Box) -> None:
    sent = [deliver(store, "bob")]
    huge = index.Entry(2**63, 2**62, 7, b"x" * 12, 1, 0)
    box.index.write_bytes(header_for(box.file) + index.pack([huge]))
    assert contents(store, "bob") == sent


def test_an_index_announces_nothing_behind_the_end(store: FileStore, box: Box) -> None:
    """Of the octets there, of which there are none, the digest is right."""
    sent = [deliver(store, "bob")]
    behind = index.Entry(2**40, 2**13, 0, mbox.digest([]), 1, 0)
    box.index.write_bytes(header_for(box.file) + index.pack([behind]))
    assert contents(store, "bob") == sent
    sent.append(deliver(store, "bob"))
    assert contents(store, "bob") == sent


def test_the_index_was_removed_while_the_server_runs(store: FileStore, box: Box) -> None:
    sent = [deliver(store, "bob")]
    before = read(store, "bob")
    box.index.unlink()
    sent.append(deliver(store, "bob"))
    assert box.index.exists()
    after = read(store, "bob")
    assert after[:1] == before
    assert [mail.content for mail in after] == sent


@pytest.mark.parametrize("size", [0, 7, index.HEADER_SIZE, index.HEADER_SIZE + 9])
def test_the_index_was_cut(store: FileStore, box: Box, look: Look, size: int) -> None:
    sent = [deliver(store, "bob") for _ in range(3)]
    before = read(store, "bob")
    os.truncate(box.index, size)
    assert look() == sent
    assert read(store, "bob")[:3] == before


def test_garbage_behind_the_index(store: FileStore, box: Box, look: Look) -> None:
    sent = [deliver(store, "bob")]
    with box.index.open("ab") as file:
        file.write(b"\xff" * 200)
    assert look() == sent
    assert contents(store, "bob")[:1] == sent


def test_an_index_of_an_older_version(store: FileStore, box: Box, look: Look) -> None:
    sent = [deliver(store, "bob") for _ in range(3)]
    old = box.index.read_bytes()
    sent.append(deliver(store, "bob"))
    box.index.write_bytes(old)
    assert look() == sent


def test_the_mailbox_was_removed(store: FileStore, box: Box, look: Look) -> None:
    deliver(store, "bob")
    box.file.unlink()
    assert look() == []


def test_the_folder_was_removed_while_the_server_runs(store: FileStore, box: Box) -> None:
    deliver(store, "bob")
    for path in box.file.parent.iterdir():
        path.unlink()
    box.file.parent.rmdir()
    assert [deliver(store, "bob")] == contents(store, "bob")


def test_a_rewrite_that_was_cut_is_cleaned_up(store: FileStore, box: Box, look: Look) -> None:
    spare = box.file.with_name("mymailbox.new")
    spare.parent.mkdir()
    box.file.write_bytes(FOREIGN)
    spare.write_bytes(b"From half a")
    assert look() == [FOREIGN_CONTENT]
    assert not spare.exists()


def status(box: Box, number: int, old: bytes, new: bytes) -> None:
    """Change a field of one message in place, as mutt does: the same inode."""
    octets = box.file.read_bytes()
    starts = [*mbox.record_starts([octets]), len(octets)]
    record = octets[starts[number - 1] : starts[number]]
    assert old in record
    changed = record.replace(old, new, 1)
    box.file.write_bytes(octets[: starts[number - 1]] + changed + octets[starts[number] :])


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_status_field_that_comes_changes_and_goes(
    store: FileStore, box: Box, look: Look, number: int
) -> None:
    """The unique ids stay; and a mailbox that became shorter was not cut."""
    for _ in range(3):
        deliver(store, "bob")
    ids = [mail.unique_id for mail in read(store, "bob")]
    subject = b"Subject: tea\n"
    for old, new in [
        (subject, subject + b"Status: RO\n"),
        (b"Status: RO\n", b"Status: O\n"),
        (b"Status: O\n", b""),
    ]:
        status(box, number, old, new)
        found = look()
        assert len(found) >= 3
        assert (b"Status" in found[number - 1]) == bool(b"Status" in new)
        assert [mail.unique_id for mail in read(store, "bob")][:3] == ids
    assert box.lost_and_found() == []


def test_another_program_removed_a_message_in_place(store: FileStore, box: Box, look: Look) -> None:
    """The records are alike to their 300th octet: sent by one person, in one second."""
    content = b"Subject: tea\r\nX: " + b"x" * 300 + b"\r\n\r\nAt %d.\r\n"
    sent = [deliver(store, "bob", content % n) for n in (5, 66, 7)]
    ids = [mail.unique_id for mail in read(store, "bob")]
    one, two, _ = box.ends()
    octets = box.file.read_bytes()
    box.file.write_bytes(octets[:one] + octets[two:])
    assert look() == [sent[0], sent[2]]
    assert [mail.unique_id for mail in read(store, "bob")][:2] == [ids[0], ids[2]]
    assert box.lost_and_found() == []


def test_in_place_and_as_long_as_before(store: FileStore, box: Box) -> None:
    """Two messages changed, one longer and one shorter by the same: nothing tells but the octets.
    Deleting must not go by where they were."""
    first = b"Subject: tea\r\nStatus: O\r\n\r\nx\r\n"
    deliver(store, "bob", first)
    deliver(store, "bob", b"Subject: tea\r\nStatus: RO\r\n\r\ny\r\n")
    third = deliver(store, "bob")
    ids = [mail.unique_id for mail in read(store, "bob")]
    maildrop = store.open_maildrop("bob")
    status(box, 1, b"Status: O\n", b"Status: RO\n")
    status(box, 2, b"Status: RO\n", b"Status: O\n")
    with pytest.raises(MailboxUnusable, match="moved"):
        maildrop.content(2)
    assert maildrop.content_at_hand(2) is None
    maildrop.delete([1])
    maildrop.close()
    left = read(store, "bob")
    assert [mail.unique_id for mail in left] == ids[1:]
    assert left[0].content.endswith(b"Status: O\r\n\r\ny\r\n")
    assert left[1].content == third
    assert list(mbox.record_starts([box.file.read_bytes()])) == [0, box.ends()[0]]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_moved_in_the_same_tick(store: FileStore, box: Box, number: int) -> None:
    """The clock of a file is so coarse that the index still seems to fit."""
    for octets in (1, 20, 300, 4):
        deliver(store, "bob", b"Subject: tea\r\n\r\n%b\r\n" % (b"x" * octets))
    before = read(store, "bob")
    one, two, three, _ = box.ends()
    octets = box.file.read_bytes()
    box.file.write_bytes(octets[:one] + octets[two:three] + octets[one:two] + octets[three:])
    box.let_index_fit()
    delete(store, "bob", number)
    gone = before.pop(number - 1)
    assert sorted(read(store, "bob")) == sorted(before), gone
    assert box.lost_and_found() == []


def test_changed_in_the_same_tick(store: FileStore, box: Box) -> None:
    """It is another message now, and nobody wanted that one to go."""
    for text in (b"one", b"two", b"three"):
        deliver(store, "bob", b"Subject: tea\r\n\r\n%b\r\n" % text)
    box.file.write_bytes(box.file.read_bytes().replace(b"two", b"2nd"))
    box.let_index_fit()
    delete(store, "bob", 2)
    assert [content[-5:] for content in contents(store, "bob")] == [
        b"one\r\n",
        b"2nd\r\n",
        b"ree\r\n",
    ]


def test_pythons_mailbox_changes_a_status(store: FileStore, box: Box, look: Look) -> None:
    """It writes a new file and renames it: another inode."""
    for _ in range(3):
        deliver(store, "bob")
    ids = [mail.unique_id for mail in read(store, "bob")]
    theirs = mailbox.mbox(box.file, create=False)
    theirs.lock()
    message = theirs[1]
    message.set_flags("RO")
    theirs[1] = message
    theirs.flush()
    theirs.unlock()
    theirs.close()
    assert b"Status: RO" in look()[1]
    assert [mail.unique_id for mail in read(store, "bob")][:3] == ids


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.symlink_to("elsewhere"), "symbolic link"),
        (lambda path: os.link(path.parent / "other", path), "hard link"),
        (lambda path: path.mkdir(), "directory|folder|plain file"),
        (os.mkfifo, "not a plain file"),
    ],
    ids=["link", "hard link", "folder", "pipe"],
)
def test_what_is_no_plain_file_is_refused(
    store: FileStore, box: Box, spoil: Callable[[Path], None], reason: str
) -> None:
    box.file.parent.mkdir()
    (box.file.parent / "other").write_bytes(FOREIGN)
    (box.file.parent / "elsewhere").write_bytes(FOREIGN)
    spoil(box.file)
    for _ in range(2):
        with pytest.raises(MailboxUnusable, match=reason):
            store.open_maildrop("bob")
        verdict, _ = post.try_deliver(store, ["alice", "bob"])
        assert verdict.kind.name == "MAILBOX_UNUSABLE"
    assert contents(store, "alice") == []
    assert (box.file.parent / "other").read_bytes() == FOREIGN
    assert (box.file.parent / "elsewhere").read_bytes() == FOREIGN


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_folder_that_is_none_is_refused(store: FileStore, box: Box, kind: str) -> None:
    (box.data / "carol").mkdir()
    if kind == "link":
        (box.data / "bob").symlink_to("carol")
    else:
        (box.data / "bob").write_bytes(b"")
    with pytest.raises(MailboxUnusable, match="bob"):
        store.open_maildrop("bob")
    assert post.try_deliver(store, ["bob"])[0].kind.name == "MAILBOX_UNUSABLE"
    assert list((box.data / "carol").iterdir()) == []


def test_a_link_that_comes_later_is_refused_too(store: FileStore, box: Box) -> None:
    deliver(store, "bob")
    box.file.rename(box.file.with_name("moved"))
    box.file.symlink_to("moved")
    before = box.file.with_name("moved").read_bytes()
    assert post.try_deliver(store, ["bob"])[0].kind.name == "MAILBOX_UNUSABLE"
    with pytest.raises(MailboxUnusable, match="link"):
        store.open_maildrop("bob")
    assert box.file.with_name("moved").read_bytes() == before


def test_huge_records_are_listed_from_the_file(store: FileStore, box: Box) -> None:
    """Headers and From_ lines that are longer than what is looked at in one piece."""
    head = b"From " + b"x" * 70_000 + b"\n"
    body = b"A: " + b"y" * 70_000 + b"\nB: c\n\n" + b"z" * 70_000 + b"\n\n"
    box.file.parent.mkdir()
    box.file.write_bytes(FOREIGN + head + body + FOREIGN.replace(b"me", b"us"))
    found = contents(store, "bob")
    assert len(found) == 3
    assert found[1] == body[:-1].replace(b"\n", b"\r\n")


@pytest.mark.parametrize("size", [mbox.HEAD_OCTETS, 1024 * 1024, 3 * 1024 * 1024])
@pytest.mark.parametrize("more", [-9000, -1, 0, 1])
def test_unique_ids_are_the_same_however_they_are_made(
    store: FileStore, box: Box, size: int, more: int
) -> None:
    """In memory, from the spool, and from the mailbox file when the index is lost."""
    content = b"Subject: x\r\n\r\n" + b"From y\r\n" * 900 + b"z" * (size + more) + b"\r\n"
    ids = []
    for spool in (False, True):
        staging = store.stage()
        for start, end in post.pieces(content, 100_000):
            staging.write(content[start:end])
            if spool:
                staging.spill()
        deposit, _ = post.address(staging, ["bob"], mark=1)
        assert all(store.append([deposit]))
        staging.discard()
        [mail] = read(store, "bob")
        box.index.unlink()
        assert read(store, "bob") == [mail]
        ids.append(mail.unique_id)
        delete(store, "bob", 1)
    assert ids[0] == ids[1]

"""The two ways of reading a message give the same octets."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract import post
from tests.contract.post import MORE, contents, deliver

from mailserver.store.base import MailboxUnusable
from mailserver.store.files import FileStore

FOREIGN = st.lists(
    st.sampled_from(
        [b"From x\n", b"\n", b"\r\n", b"\r", b"A: b\n", b">From y\n", b"From ", b"text", b"\xff"]
    ),
    max_size=25,
).map(b"".join)

_folders = itertools.count()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    store = FileStore(tmp_path, lambda: 0.0, reserve_octets=0)
    yield store
    store.close()


@pytest.fixture
def at_hand(tmp_path: Path) -> None:
    """Only some file systems can tell whether octets are in memory."""
    with (tmp_path / "probe").open("w+b", buffering=0) as file:
        file.write(b"x")
        try:
            os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
        except OSError as error:
            pytest.skip(f"no RWF_NOWAIT here: {error.strerror}")


@pytest.mark.usefixtures("at_hand")
@pytest.mark.parametrize("octets", [0, 1, 4096, 100_000])
def test_a_small_message_is_at_hand(store: FileStore, octets: int) -> None:
    sent = deliver(store, "bob", b"Subject: x\r\n\r\n" + b"From x\r\n" * (octets // 8))
    maildrop = store.open_maildrop("bob")
    assert maildrop.content_at_hand(1) == sent
    assert b"".join(maildrop.content(1)) == sent
    maildrop.close()


def test_a_big_message_is_not(store: FileStore) -> None:
    sent = deliver(store, "bob", b"Subject: x\r\n\r\n" + b"x" * 200_000 + b"\r\n")
    maildrop = store.open_maildrop("bob")
    assert maildrop.content_at_hand(1) is None
    pieces = list(maildrop.content(1))
    assert b"".join(pieces) == sent
    assert max(map(len, pieces)) <= 1024 * 1024 + 1000
    maildrop.close()


@settings(max_examples=200 * MORE, deadline=None)
@given(octets=FOREIGN)
def test_any_foreign_file_is_listed_and_read(
    tmp_path_factory: pytest.TempPathFactory, octets: bytes
) -> None:
    """`post.listing` compares sizes, ids and both ways of reading."""
    data = tmp_path_factory.getbasetemp() / f"foreign{next(_folders)}"
    (data / "bob").mkdir(parents=True)
    file = data / "bob" / "mymailbox"
    file.write_bytes(octets)
    store = FileStore(data, lambda: 0.0, reserve_octets=0)
    found = contents(store, "bob")
    late = deliver(store, "bob")
    assert contents(store, "bob") == [*found, late]
    (data / "bob" / ".index").unlink()
    assert contents(store, "bob") == [*found, late]
    post.delete(store, "bob", len(found) + 1)
    assert contents(store, "bob") == found
    # nothing of the file was changed but, at its end, the empty line that it may have lacked
    assert file.read_bytes().rstrip(b"\n") == octets.rstrip(b"\n")
    store.close()


def test_a_message_that_was_moved_is_not_sent(store: FileStore, tmp_path: Path) -> None:
    deliver(store, "bob")
    deliver(store, "bob")
    maildrop = store.open_maildrop("bob")
    file = tmp_path / "bob" / "mymailbox"
    octets = file.read_bytes()
    file.write_bytes(b"From x\n\n" + octets)
    for number in (1, 2):
        assert maildrop.content_at_hand(number) is None
        with pytest.raises(MailboxUnusable, match=f"message {number} was moved"):
            maildrop.content(number)
    maildrop.close()


def test_a_mailbox_that_vanished_is_still_readable(store: FileStore, tmp_path: Path) -> None:
    sent = deliver(store, "bob")
    maildrop = store.open_maildrop("bob")
    (tmp_path / "bob" / "mymailbox").unlink()
    assert b"".join(maildrop.content(1)) == sent
    maildrop.delete([1])
    maildrop.close()
    assert contents(store, "bob") == []


def test_the_old_file_is_let_go_of_where_one_may_wait(store: FileStore) -> None:
    """To free a gigabyte takes a third of a second; `close` is called where nobody may wait."""
    deliver(store, "bob")
    deliver(store, "bob")
    store.settle()
    maildrop = store.open_maildrop("bob")
    maildrop.delete([1])
    deliver(store, "bob")  # who appends looks at the file anew
    own = Path("/proc/self/fd")
    held = {os.readlink(own / name) for name in os.listdir(own) if (own / name).is_symlink()}
    assert not [path for path in held if path.endswith("mymailbox (deleted)")]
    maildrop.close()


# Two records of another program that begin alike, and are of one length.
ALIKE = b"From x Mon Nov 23 14:05:09 2026\n" + b"X-Long: %s\n" % (b"x" * 300)
TWINS = [ALIKE + b"\nthe first\n\n", ALIKE + b"\nthe other\n\n"]


@pytest.fixture
def twins(store: FileStore, tmp_path: Path) -> Path:
    """A mailbox with both, and one more."""
    deliver(store, "bob")
    file = tmp_path / "bob" / "mymailbox"
    file.write_bytes(b"".join(TWINS) + file.read_bytes())
    return file


def swap(twins: Path) -> None:
    """Another program, in place."""
    octets = twins.read_bytes()
    with twins.open("r+b") as file:
        file.write(b"".join(TWINS[::-1]))
    assert len(twins.read_bytes()) == len(octets)


def test_what_only_begins_like_the_message_is_not_sent(store: FileStore, twins: Path) -> None:
    maildrop = store.open_maildrop("bob")
    assert b"".join(maildrop.content(1)).endswith(b"the first\r\n")
    swap(twins)
    for number in (1, 2):
        assert maildrop.content_at_hand(number) is None
        with pytest.raises(MailboxUnusable, match=f"message {number} was moved"):
            maildrop.content(number)
    assert b"".join(maildrop.content(3)).endswith(b"At five.\r\n")
    maildrop.close()


def test_what_only_begins_like_the_message_is_not_deleted(store: FileStore, twins: Path) -> None:
    maildrop = store.open_maildrop("bob")
    swap(twins)
    maildrop.delete([1])
    maildrop.close()
    assert [content[-7:] for content in contents(store, "bob")] == [b"other\r\n", b"five.\r\n"]


def test_a_change_in_place_is_seen_at_the_next_login(store: FileStore, twins: Path) -> None:
    """Though the file is as long as before, and its last message where it was."""
    before = post.read(store, "bob")
    swap(twins)
    assert post.read(store, "bob") == [before[1], before[0], before[2]]


def test_a_message_that_is_moved_while_it_is_sent_breaks_off(
    store: FileStore, tmp_path: Path
) -> None:
    deliver(store, "bob", b"Subject: big\r\n\r\n" + b"line\r\n" * 500_000)
    maildrop = store.open_maildrop("bob")
    pieces = maildrop.content(1)
    next(pieces)
    deliver(store, "bob")  # an append of ours changes nothing of it
    next(pieces)
    with (tmp_path / "bob" / "mymailbox").open("r+b") as file:
        file.seek(-1000, os.SEEK_END)
        file.write(b"another")
    with pytest.raises(MailboxUnusable, match="message 1 was moved while"):
        list(pieces)
    maildrop.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file to another user needs root")
def test_whose_file_it_is_stays(store: FileStore, tmp_path: Path) -> None:
    deliver(store, "bob")
    deliver(store, "bob")
    file = tmp_path / "bob" / "mymailbox"
    os.chown(file, 1234, 5678)
    file.chmod(0o640)
    before = file.stat()
    post.delete(store, "bob", 1)
    after = file.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_uid, after.st_gid, after.st_mode) == (1234, 5678, before.st_mode)

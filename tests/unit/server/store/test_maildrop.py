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

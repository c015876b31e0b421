"""Messages on their way in."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.post import MORE, pieces

from mailserver.store import mbox, staging
from mailserver.store.base import StagedMessage
from mailserver.store.staging import HEADER_OCTETS, FileBody, FileStaging, MemoryUse

CONTENT = b"Subject: tea\r\nX: y\r\n\r\nAt five.\r\nFrom me\r\n>From me\r\n\r\n"

Make = Callable[[], FileStaging]


@pytest.fixture
def memory() -> MemoryUse:
    return MemoryUse()


@pytest.fixture
def make(tmp_path: Path, memory: MemoryUse) -> Make:
    return lambda: FileStaging(tmp_path, memory)


def stored(message: StagedMessage) -> bytes:
    assert isinstance(message.body, FileBody)
    octets = b"".join(message.body.chunks())
    assert len(octets) == message.body.length
    return octets


def take(
    one: FileStaging, content: bytes, piece: int, spills: frozenset[int] = frozenset()
) -> bytes:
    for turn, (start, end) in enumerate(pieces(content, piece)):
        one.write(content[start:end])
        if turn in spills:
            one.spill()
    message = one.finish()
    return message.header_block + b"|" + stored(message)


@pytest.mark.parametrize("piece", range(1, len(CONTENT) + 1))
def test_the_header_is_found_in_any_chunks(make: Make, piece: int) -> None:
    one = make()
    for start, end in pieces(CONTENT, piece):
        one.write(CONTENT[start:end])
    message = one.finish()
    assert message.header is not None
    assert (message.header.subject, message.header.fields) == ("tea", 2)
    assert message.header_block == b"Subject: tea\nX: y\n"
    assert stored(message) == b"\nAt five.\n>From me\n>>From me\n\n"
    assert message.body.octets == len(CONTENT) - len(b"Subject: tea\r\nX: y\r\n")


@settings(max_examples=150 * MORE, deadline=None)
@given(
    lines=st.lists(st.sampled_from([b"", b"A: b", b"From x", b">From ", b"x" * 70, b" y", b">"])),
    piece=st.integers(1, 100),
    spills=st.frozensets(st.integers(0, 10)),
)
def test_spilled_or_not_the_same_is_stored(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    piece: int,
    spills: frozenset[int],
) -> None:
    content = b"".join(line + b"\r\n" for line in lines)
    memory = MemoryUse()
    folder = tmp_path_factory.mktemp("spool")
    whole, spilled = FileStaging(folder, memory), FileStaging(folder, memory)
    expected = take(whole, content, len(content) or 1)
    assert take(spilled, content, piece, spills) == expected
    block, _, body = expected.partition(b"|")
    unquoted = mbox.Unquoter()
    assert block + unquoted.encode(body) + unquoted.end() == content.replace(b"\r\n", b"\n")
    whole.discard()
    spilled.discard()
    assert memory.octets == 0
    assert list(folder.iterdir()) == []


def test_memory_is_counted_and_given_back(make: Make, memory: MemoryUse) -> None:
    one, two = make(), make()
    one.write(CONTENT)
    assert memory.octets > 0
    two.write(b"Subject: no end of the header yet\r\n")
    assert memory.octets >= len(CONTENT)
    one.finish()
    one.discard()
    one.discard()
    assert 0 < memory.octets <= 40
    two.discard()
    assert memory.octets == 0


def test_spilling_frees_the_memory(make: Make, memory: MemoryUse) -> None:
    one = make()
    one.write(b"A: b\r\n\r\n")
    line = b"x" * 998 + b"\r\n"
    while not one.overfull:
        one.write(line)
    assert staging.MEMORY_OCTETS < memory.octets < staging.MEMORY_OCTETS + 2000
    one.spill()
    assert memory.octets == 0
    assert not one.overfull
    one.write(line)
    assert memory.octets == 999
    one.discard()
    assert memory.octets == 0


def test_much_memory_in_all_makes_each_message_overfull(make: Make, memory: MemoryUse) -> None:
    memory.add(staging.MEMORY_OCTETS_IN_ALL)
    one = make()
    assert not one.overfull
    one.write(CONTENT)
    assert one.overfull
    one.spill()
    assert not one.overfull


def test_a_message_that_ends_in_its_header(make: Make, memory: MemoryUse) -> None:
    one = make()
    one.write(b"Subject: tea\r\n")
    message = one.finish()
    assert message.header is not None
    assert (message.header_block, stored(message)) == (b"Subject: tea\n", b"")
    one.discard()
    assert memory.octets == 0


def test_an_empty_message(make: Make) -> None:
    message = make().finish()
    assert message.header is not None
    assert (message.header_block, stored(message), message.body.octets) == (b"", b"", 0)


def test_a_body_starts_where_no_header_is(make: Make) -> None:
    one = make()
    one.write(b"not a field\r\nFrom x\r\n\r\n")
    message = one.finish()
    assert message.header_block == b""
    assert stored(message) == b"not a field\n>From x\n\n"


@pytest.mark.parametrize("piece", [1000, 70_000, 10**6])
def test_an_endless_header_is_bounded(make: Make, memory: MemoryUse, piece: int) -> None:
    content = b"A: b\r\n" * 100 + b"C: " + b"x" * (2 * staging.MEMORY_OCTETS) + b"\r\n\r\nx\r\n"
    one = make()
    for start, end in pieces(content, piece):
        one.write(content[start:end])
        if one.overfull:
            one.spill()
        assert memory.octets <= staging.MEMORY_OCTETS + 2 * piece
    assert one.finish().header is None
    one.discard()
    assert memory.octets == 0


def test_a_body_outlives_its_staging(make: Make) -> None:
    """A message whose sender has gone may just be being stored."""
    one = make()
    one.write(CONTENT)
    one.spill()
    one.write(b"more\r\n")
    message = one.finish()
    before = stored(message)
    one.discard()
    assert stored(message) == before
    assert before.endswith(b"more\n")


def test_a_spilled_message_leaves_no_descriptor_behind(make: Make) -> None:
    gc.collect()
    before = os.listdir("/proc/self/fd")
    one = make()
    one.write(CONTENT)
    one.spill()
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    one.discard()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_spilling_where_there_is_no_folder(tmp_path: Path, memory: MemoryUse) -> None:
    one = FileStaging(tmp_path / "gone", memory)
    one.write(CONTENT)
    with pytest.raises(OSError, match="gone"):
        one.spill()
    one.discard()
    assert memory.octets == 0


def test_when_memory_is_used_up_every_body_goes_to_a_file(tmp_path: Path) -> None:
    memory = MemoryUse(most=1000)
    first, second = FileStaging(tmp_path, memory), FileStaging(tmp_path, memory)
    first.write(b"Subject: x\r\n\r\n" + b"x" * 900)
    assert not first.overfull
    second.write(b"Subject: x\r\n\r\n" + b"x" * 200)
    assert first.overfull
    assert second.overfull
    second.spill()
    assert not second.overfull
    assert memory.octets < 1000


def test_when_memory_is_used_up_there_are_no_long_headers(tmp_path: Path) -> None:
    """A header cannot go to the file before it is whole, so ten thousand of them would not fit."""
    one = FileStaging(tmp_path, MemoryUse(most=1000))
    one.write(b"X: " + b"x" * (HEADER_OCTETS - 3))
    assert not one.overfull
    one.write(b"x")
    assert one.overfull
    with pytest.raises(OSError, match="no memory for a header"):
        one.spill()


def test_octets_that_come_in_pairs_take_no_more_memory(make: Make) -> None:
    """Twenty-five times as much it would be, of all the messages that are bounded together."""
    one = make()
    one.write(b"Subject: tea\r\n\r\n")
    tracemalloc.start()
    try:
        for _ in range(50_000):
            one.write(b"xy")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 200_000
    assert stored(one.finish()) == b"\n" + b"xy" * 50_000

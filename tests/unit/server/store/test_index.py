"""The index file's octets: whatever happens to them, what is read from them is true or nothing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.post import MORE

from mailserver.store import index
from mailserver.store.index import ENTRY_SIZE, HEADER_SIZE, Entry, Index, Listing

INODE = 4711


def entries(*lengths: int, start: int = 0) -> list[Entry]:
    made = []
    for n, length in enumerate(lengths):
        made.append(Entry(start, length, length + 3, b"digest%06d" % n, 1, n))
        start += length
    return made


THREE = entries(100, 1, 2**40)
END = THREE[-1].end
WHOLE = index.pack_header(INODE, END, 9) + index.pack(THREE)


def test_what_was_packed_is_unpacked() -> None:
    assert index.unpack(WHOLE, INODE) == Index(THREE, END, 9)
    assert len(WHOLE) == HEADER_SIZE + 3 * ENTRY_SIZE


def test_a_listing_has_sizes_and_entries_apart() -> None:
    listing = Listing(WHOLE, INODE)
    assert listing.sizes == [entry.octets for entry in THREE]
    assert [listing[0], listing[-1]] == [THREE[0], THREE[-1]]
    assert listing.end == THREE[-1].end
    assert Listing.of(THREE).entries == THREE
    torn = Listing(WHOLE[:-1], INODE)
    assert len(torn.sizes) == 2
    assert torn[-1] == THREE[1]
    with pytest.raises(IndexError):
        torn[2]


def test_an_index_cut_at_any_octet_gives_the_whole_entries() -> None:
    for size in range(len(WHOLE)):
        found = index.unpack(WHOLE[:size], INODE)
        assert found.entries == THREE[: max(0, size - HEADER_SIZE) // ENTRY_SIZE]
        assert found.settled == (END if size >= HEADER_SIZE else 0)


def test_another_files_index_says_nothing() -> None:
    assert index.unpack(WHOLE, INODE + 1) == Index([], 0)
    assert index.unpack(b"x" + WHOLE[1:], INODE) == Index([], 0)
    assert index.unpack(bytes(len(WHOLE)), INODE) == Index([], 0)


def test_zeros_in_place_of_an_entry_end_the_list() -> None:
    for position in range(3):
        start = HEADER_SIZE + position * ENTRY_SIZE
        torn = WHOLE[:start] + bytes(ENTRY_SIZE) + WHOLE[start + ENTRY_SIZE :]
        assert index.unpack(torn, INODE).entries == THREE[:position]


def test_entries_that_do_not_join_end_the_list() -> None:
    gap = [*entries(100, 100), *entries(100, start=201)]
    octets = index.pack_header(INODE, 301, 9) + index.pack(gap)
    assert index.unpack(octets, INODE).entries == gap[:2]


def test_the_first_record_may_stand_behind_something_else() -> None:
    late = entries(10, 10, start=7)
    assert index.unpack(index.pack_header(INODE, 27, 9) + index.pack(late), INODE).entries == late


@settings(max_examples=300 * MORE, deadline=None)
@given(octets=st.binary(max_size=5 * ENTRY_SIZE))
def test_garbage_gives_neighbours_or_nothing(octets: bytes) -> None:
    found = index.unpack(index.pack_header(INODE, 5, 9) + octets, INODE).entries
    assert len(found) <= len(octets) // ENTRY_SIZE
    for one, next_one in itertools.pairwise(found):
        assert one.end == next_one.offset
        assert one.length > 0
    assert index.unpack(octets, INODE) == Index([], 0)


def test_how_much_is_settled_is_changed_in_place() -> None:
    octets = bytearray(WHOLE)
    octets[index.SETTLED_OFFSET : HEADER_SIZE] = index.pack_settled(77, 8)
    assert index.unpack(bytes(octets), INODE) == Index(THREE, 77, 8)


def test_unique_ids_tell_equal_records_apart() -> None:
    same = [entry._replace(digest=b"x" * 12) for entry in entries(5, 5, 5)]
    joined = index.join(same[:1], same[1:])
    assert [entry.ordinal for entry in joined] == [1, 2, 3]
    assert [entry.unique_id for entry in joined] == ["78" * 12, "78" * 12 + "-2", "78" * 12 + "-3"]


def test_known_entries_keep_their_ordinals() -> None:
    same = [entry._replace(digest=b"x" * 12) for entry in entries(5, 5)]
    known = [same[0]._replace(ordinal=4)]
    assert [entry.ordinal for entry in index.join(known, same[1:])] == [4, 5]


def test_equal_records_that_were_announced_blindly_are_told_apart() -> None:
    same = [entry._replace(digest=b"x" * 12) for entry in entries(5, 5, 5, 5)]
    same[1] = same[1]._replace(ordinal=2)
    found = index.unpack(index.pack_header(INODE, 20, 9) + index.pack(same), INODE).entries
    assert [entry.ordinal for entry in found] == [1, 2, 3, 4]
    again = index.unpack(index.pack_header(INODE, 20, 9) + index.pack(found), INODE).entries
    assert again == found


def test_the_beginning_is_bounded() -> None:
    first = b"x" * index.BEGINNING_OCTETS
    assert index.beginning(first + b"y") == index.beginning(first)
    assert index.beginning(first[:-1] + b"y") != index.beginning(first)

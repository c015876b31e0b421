"""The journal's form: what is packed comes out, and nothing else does."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mailserver.store import journal
from mailserver.store.journal import APART, BLOCK, Put

NUMBERS = st.integers(0, 2**64 - 1)
USERS = st.text("abcé-", min_size=1, max_size=20)
DIGESTS = st.binary(min_size=12, max_size=12)


@st.composite
def contents(draw: st.DrawFn) -> tuple[list[Put], list[list[bytes]]]:
    """Puts, and the bodies that they name."""
    bodies = draw(st.lists(st.lists(st.binary(max_size=3000), max_size=3), max_size=4))
    puts = draw(
        st.lists(
            st.builds(
                Put,
                *(USERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, DIGESTS, st.binary(max_size=3000)),
                st.integers(0, len(bodies) - 1) if bodies else st.just(APART),
            ),
            max_size=6,
        )
    )
    return puts, bodies


def packed(epoch: int, batches: list[tuple[list[Put], list[list[bytes]]]], first: int = 0) -> bytes:
    return b"".join(journal.pack(epoch, n, *one) for n, one in enumerate(batches, first))


def puts(octets: bytes) -> list[list[Put]]:
    return [[put for put, _ in batch.puts] for batch in journal.batches(octets)]


@given(st.lists(contents(), max_size=4), NUMBERS)
def test_what_is_packed_comes_out(
    batches: list[tuple[list[Put], list[list[bytes]]]], epoch: int
) -> None:
    octets = packed(epoch, batches)
    assert len(octets) % BLOCK == 0
    found = list(journal.batches(octets + bytes(BLOCK)))
    assert [[put for put, _ in batch.puts] for batch in found] == [puts for puts, _ in batches]
    assert all(batch.epoch == epoch for batch in found)
    for batch, (_, bodies) in zip(found, batches, strict=True):
        for put, (at, length) in batch.puts:
            body = b"".join(bodies[put.body]) if put.body != APART else b""
            assert octets[at : at + length] == body


@given(contents(), contents(), st.data())
def test_a_batch_that_was_cut_is_none(
    one: tuple[list[Put], list[list[bytes]]],
    other: tuple[list[Put], list[list[bytes]]],
    data: st.DataObject,
) -> None:
    """Some of its blocks never reached the disk: there is what was there before."""
    first, second = journal.pack(7, 0, *one), bytearray(journal.pack(7, 1, *other))
    length = len(second.rstrip(b"\0"))
    blocks = list(pairwise([*range(0, length, BLOCK), length]))
    missing = data.draw(st.sets(st.sampled_from(blocks), min_size=1))
    before = data.draw(st.sampled_from([b"\0", b"x"])) * BLOCK
    for start, end in missing:
        second[start:end] = before[: end - start]
    if bytes(second) == journal.pack(7, 1, *other):
        return  # what was missing were zeros anyway
    assert puts(first + bytes(second)) == [one[0]]


@given(contents(), contents())
def test_an_older_epoch_is_not_read(
    one: tuple[list[Put], list[list[bytes]]], other: tuple[list[Put], list[list[bytes]]]
) -> None:
    assert puts(packed(1, [one]) + packed(2, [other], first=1)) == [one[0]]
    assert puts(packed(1, [one]) + packed(1, [other], first=2)) == [one[0]]
    assert puts(packed(1, [one], first=1)) == []


@given(st.binary(max_size=9000))
def test_anything_else_is_nothing(octets: bytes) -> None:
    assert puts(octets) == []
    assert puts(journal.MAGIC + octets) == []

"""Transparency: DotDecoder and DotEncoder on any cuts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.wire.dots import ContentFault, DotDecoder, DotEncoder

END = b"\r\n.\r\n"
# what could go wrong: line ends and full stops in all neighbourhoods
good = st.lists(st.sampled_from([b"\r\n", b".", b"..", b"a", b"\xff", b".\r\n", b"bcd"])).map(
    b"".join
)
any_octets = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"\0", b"a", b"\r\n.", b"\r\n.\r"])
).map(b"".join)
cuts = st.lists(st.integers(0, 60), max_size=6)


def pieces(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({min(place, len(data)) for place in places} | {len(data)})
    return [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def decode(data: bytes, places: list[int], limit: int = 10**6) -> tuple[DotDecoder, bytes]:
    """The decoder at the end, and all content."""
    decoder = DotDecoder(limit)
    content = b""
    for number, piece in enumerate(parts := pieces(data, places)):
        content += decoder.decode(piece)
        if decoder.rest is not None:
            decoder.rest += b"".join(parts[number + 1 :])
            break
    return decoder, content


def encode(content: bytes, places: list[int]) -> bytes:
    encoder = DotEncoder()
    return b"".join(encoder.encode(piece) for piece in pieces(content, places)) + encoder.end()


@given(good, cuts, cuts)
def test_content_comes_out_as_it_went_in(
    content: bytes, some: list[int], others: list[int]
) -> None:
    """RFC 5321 4.5.2; content without a last CRLF gets one."""
    sent = encode(content, some)
    decoder, received = decode(sent + b"NOOP\r\n", others)
    expected = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
    assert received == expected
    assert decoder.octets == len(expected)
    assert decoder.rest == b"NOOP\r\n"
    assert decoder.fault is None


@given(good, cuts)
def test_encoded_content_ends_only_at_its_end(content: bytes, places: list[int]) -> None:
    sent = b"\r\n" + encode(content, places)
    assert sent.find(END) == len(sent) - len(END)


@given(any_octets, cuts)
def test_a_fault_is_found_if_and_only_if_there_is_one(data: bytes, places: list[int]) -> None:
    data += b"x" + END + b"rest"
    decoder, content = decode(data, places)
    true_end = (b"\r\n" + data).find(END)
    stuffed = data[:true_end]
    bare = re.search(rb"(?<!\r)\n|\r(?!\n)", stuffed)
    assert decoder.rest == data[true_end + 3 :]
    if bare:
        assert decoder.fault is ContentFault.BARE_LINE_END
    elif b"\0" in stuffed:
        assert decoder.fault is ContentFault.NUL
    else:
        assert decoder.fault is None
        assert content == (b"\r\n" + stuffed).replace(b"\r\n.", b"\r\n")[2:]
    if not (bare or b"\0" in stuffed):
        assert decoder.octets == len(content)


@pytest.mark.parametrize(
    ("sent", "content", "rest"),
    [
        (b".\r\n", b"", b""),
        (b"\r\n.\r\n", b"\r\n", b""),
        (b"a\r\n.\r\n", b"a\r\n", b""),
        (b"..\r\n.\r\n", b".\r\n", b""),
        (b"...\r\n.\r\n", b"..\r\n", b""),
        (b".a\r\n.\r\n", b"a\r\n", b""),
        (b"a.\r\n.\r\n", b"a.\r\n", b""),
        (b"a\r\n..\r\n.\r\n", b"a\r\n.\r\n", b""),
        (b"a\r\n.b\r\n.\r\n", b"a\r\nb\r\n", b""),
        (b"a\r\n. \r\n.\r\n", b"a\r\n \r\n", b""),
        (b".\r\n.\r\n", b"", b".\r\n"),
        (b"a\r\n.\r\nNOOP\r\n", b"a\r\n", b"NOOP\r\n"),
    ],
)
def test_transparency_by_hand(sent: bytes, content: bytes, rest: bytes) -> None:
    for places in ([], list(range(len(sent)))):
        decoder, found = decode(sent, places)
        assert (found, decoder.rest, decoder.fault) == (content, rest, None)


@pytest.mark.parametrize(
    "fake",
    [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\n.\r\r\n", b"\n.\r"],
)
def test_a_fake_end_is_no_end(fake: bytes) -> None:
    decoder, content = decode(b"a" + fake + b"b\r\n.\r\n", list(range(20)))
    assert decoder.fault is ContentFault.BARE_LINE_END
    assert decoder.rest == b""
    assert content in (b"", b"a", b"a\r\n")


@pytest.mark.parametrize(("octets", "fault"), [(9, None), (10, None), (11, ContentFault.TOO_BIG)])
def test_size_limit_counts_the_content_only(octets: int, fault: ContentFault | None) -> None:
    """RFC 1870 5: neither the added full stops nor the end count."""
    sent = b".." + b"x" * (octets - 3) + b"\r\n.\r\n"
    for places in ([], list(range(len(sent)))):
        decoder, _ = decode(sent, places, limit=10)
        assert decoder.fault is fault
        assert decoder.octets == octets
        assert decoder.rest == b""


@given(any_octets, cuts)
def test_the_worst_fault_is_told_wherever_it_was_cut(data: bytes, places: list[int]) -> None:
    data += b"x" + END
    assert decode(data, places, limit=5)[0].fault is decode(data, [], limit=5)[0].fault


def test_content_over_the_limit_is_not_handed_on() -> None:
    decoder = DotDecoder(10)
    assert decoder.decode(b"x" * 11) == b""
    assert decoder.decode(b"y" * 1000) == b""
    assert decoder.fault is ContentFault.TOO_BIG
    assert decoder.rest is None

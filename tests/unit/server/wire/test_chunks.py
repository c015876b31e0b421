"""Content in counted chunks (RFC 3030 2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.wire.chunks import ChunkDecoder
from mailserver.wire.dots import ContentFault


def decoded(
    chunks: list[bytes], pieces: int = 1 << 30, limit: int = 1000
) -> tuple[ContentFault | None, bytes]:
    """All chunks, the last one marked, each cut into pieces and with something behind it."""
    decoder = ChunkDecoder(limit)
    content = b""
    for number, chunk in enumerate(chunks, 1):
        assert not decoder.complete
        content += decoder.begin(len(chunk), number == len(chunks))
        octets = chunk + b"NOOP\r\n"
        while not decoder.ended:
            piece, octets = octets[:pieces], octets[pieces:]
            content += decoder.decode(piece)
        assert (decoder.rest or b"") + octets == b"NOOP\r\n"
    assert decoder.complete
    return decoder.fault, content


@pytest.mark.parametrize("pieces", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("chunks", "content"),
    [
        ([b""], b""),
        ([b"a\r\n"], b"a\r\n"),
        ([b"a"], b"a\r\n"),
        ([b"a", b""], b"a\r\n"),
        ([b"a\r", b"\n"], b"a\r\n"),
        ([b"a\r", b"\nb"], b"a\r\nb\r\n"),
        ([b"a\r", b"", b"\n", b""], b"a\r\n"),
        ([b"\r\n.\r\n", b".\r\n"], b"\r\n.\r\n.\r\n"),
    ],
)
def test_chunks_make_lines(chunks: list[bytes], content: bytes, pieces: int) -> None:
    assert decoded(chunks, pieces) == (None, content)


@pytest.mark.parametrize("pieces", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("chunks", "fault"),
    [
        ([b"a\nb"], ContentFault.BARE_LINE_END),
        ([b"a\rb"], ContentFault.BARE_LINE_END),
        ([b"a\r"], ContentFault.BARE_LINE_END),
        ([b"a\r", b"b"], ContentFault.BARE_LINE_END),
        ([b"a\r", b""], ContentFault.BARE_LINE_END),
        ([b"a", b"\n"], ContentFault.BARE_LINE_END),
        ([b"a\r\r\n"], ContentFault.BARE_LINE_END),
        ([b"\0"], ContentFault.NUL),
    ],
)
def test_what_is_no_line_is_a_fault(chunks: list[bytes], fault: ContentFault, pieces: int) -> None:
    assert decoded(chunks, pieces)[0] is fault


@pytest.mark.parametrize(("octets", "fault"), [(9, None), (10, None), (11, ContentFault.TOO_BIG)])
def test_the_limit_counts_all_chunks(octets: int, fault: ContentFault | None) -> None:
    chunks = [b"a: b\r\n", b"x" * (octets - 6)]
    assert decoded(chunks, limit=10)[0] is fault


@given(st.lists(st.sampled_from([b"a", b"\r\n", b"\r", b"\n", b".", b"\0"]), max_size=9), st.data())
def test_the_same_content_however_it_is_cut(words: list[bytes], data: st.DataObject) -> None:
    content = b"".join(words)
    places = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4)))
    cut = [content[a:b] for a, b in zip([0, *places], [*places, len(content)], strict=True)]
    fault, whole = decoded([content])
    other_fault, again = decoded(cut, data.draw(st.integers(1, 5)))
    assert fault is other_fault
    assert fault or again == whole

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailapp.dots import DotDecoder

CASES = [
    (b".\r\n", b""),
    (b"a\r\n.\r\n", b"a\r\n"),
    (b"..\r\n.\r\n", b".\r\n"),
    (b"...\r\n.\r\n", b"..\r\n"),
    (b"a\r\n..b\r\n.\r\n", b"a\r\n.b\r\n"),
    (b"\r\n.\r\n", b"\r\n"),
    (b"a.\r\n.\r\n", b"a.\r\n"),
    (b"a\r\n.b\r\n.\r\n", b"a\r\nb\r\n"),
    (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n"),
    (b"a\r.\r\n.\r\n", b"a\r.\r\n"),
    (b"\r\n\r\n..\r\n\r\n.\r\n", b"\r\n\r\n.\r\n\r\n"),
]


def decode(chunks: list[bytes]) -> tuple[bytes, bytes, bool]:
    decoder, text = DotDecoder(), b""
    for at, chunk in enumerate(chunks):
        text += decoder.feed(chunk)
        if decoder.finished:
            return text, decoder.rest + b"".join(chunks[at + 1 :]), True
    return text, b"", False


@pytest.mark.parametrize(("sent", "meant"), CASES)
def test_whole(sent: bytes, meant: bytes) -> None:
    assert decode([sent]) == (meant, b"", True)


@pytest.mark.parametrize(("sent", "meant"), CASES)
def test_split_at_every_position_with_trailing_octets(sent: bytes, meant: bytes) -> None:
    sent += b"+OK next\r\n"
    for at in range(len(sent) + 1):
        assert decode([sent[:at], sent[at:]]) == (meant, b"+OK next\r\n", True)


@pytest.mark.parametrize(("sent", "meant"), CASES)
def test_octet_by_octet(sent: bytes, meant: bytes) -> None:
    assert decode([sent[at : at + 1] for at in range(len(sent))]) == (meant, b"", True)


@given(st.lists(st.sampled_from([b"", b".", b"..", b"a", b".a", b"\r", b"a\n.", b" ."])), st.data())
def test_what_a_server_stuffs_comes_back(lines: list[bytes], data: st.DataObject) -> None:
    meant = b"".join(line + b"\r\n" for line in lines)
    stuffed = b"".join((b"." + line if line[:1] == b"." else line) + b"\r\n" for line in lines)
    sent = stuffed + b".\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))
    chunks = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    assert decode(chunks)[0] == meant


def test_an_end_that_does_not_come() -> None:
    assert decode([b"a\r\n..\r\n", b".\r"]) == (b"a\r\n.", b"", False)


def test_feeding_after_the_end_is_refused() -> None:
    decoder = DotDecoder()
    decoder.feed(b".\r\n")
    with pytest.raises(ValueError, match="ended"):
        decoder.feed(b"more")

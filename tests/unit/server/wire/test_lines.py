"""LineBuffer against a reference that sees all octets at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailserver.wire.lines import ENDLESS_OCTETS, LineBuffer, LineFault

LIMIT = 12
octets = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"bc", b"\0", b"x" * LIMIT])).map(
    b"".join
)


def reference(data: bytes, limit: int) -> list[bytes | LineFault]:
    """The lines that are complete."""
    found: list[bytes | LineFault] = []
    for line in data.split(b"\n")[:-1]:
        if len(line) + 1 > limit:
            found.append(LineFault.TOO_LONG)
        else:
            found.append(line[:-1] if line.endswith(b"\r") else LineFault.BARE_LF)
    return found


def read_all(lines: LineBuffer) -> list[bytes | LineFault]:
    found = []
    while (line := lines.next_line()) is not None:
        found.append(line)
    return found


@given(st.lists(octets))
def test_lines_do_not_depend_on_the_cuts(chunks: list[bytes]) -> None:
    lines = LineBuffer(LIMIT)
    found = []
    for chunk in chunks:
        lines.feed(chunk)
        found += read_all(lines)
        assert len(lines) <= LIMIT
    assert found == reference(b"".join(chunks), LIMIT)


def test_a_line_may_be_as_long_as_the_limit() -> None:
    """RFC 5321 4.5.3.1.4: the CRLF counts."""
    for octets, expected in ((9, b"x" * 9), (10, b"x" * 10), (11, LineFault.TOO_LONG)):
        lines = LineBuffer(LIMIT)
        lines.feed(b"x" * octets + b"\r\n")
        assert lines.next_line() == expected
        assert lines.next_line() is None


def test_an_endless_line_takes_no_memory_and_is_reported_once() -> None:
    lines = LineBuffer(LIMIT)
    for _ in range(1000):
        lines.feed(b"x" * 1000)
        assert lines.next_line() is None
        assert len(lines) == 0
    lines.feed(b"\r\nNOOP\r\n")
    assert read_all(lines) == [LineFault.TOO_LONG, b"NOOP"]


def test_a_line_that_does_not_end_is_reported_on_the_way() -> None:
    lines = LineBuffer(LIMIT)
    assert not lines.in_line
    lines.feed(b"x" * ENDLESS_OCTETS)
    assert lines.next_line() is None
    assert lines.in_line
    lines.feed(b"x")
    assert lines.next_line() is LineFault.ENDLESS
    lines.feed(b"\r\n")
    assert lines.next_line() is LineFault.TOO_LONG
    assert not lines.in_line


def test_only_crlf_ends_a_line() -> None:
    """No other octet that Python's splitlines() takes for a line end does."""
    text = b"a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\r h"
    lines = LineBuffer(100)
    lines.feed(text + b"\r\n")
    assert lines.next_line() == text
    lines.feed(b"bare\n")
    assert lines.next_line() is LineFault.BARE_LF


def test_what_waits_can_be_taken_whole() -> None:
    lines = LineBuffer(100)
    assert lines.first_octet() is None
    lines.feed(b"DATA\r\ncontent\nas it is")
    assert lines.first_octet() == ord("D")
    assert lines.next_line() == b"DATA"
    assert lines.take_all() == b"content\nas it is"
    assert lines.take_all() == b""
    assert lines.first_octet() is None
    lines.feed(b"QUIT\r\n")
    assert lines.next_line() == b"QUIT"

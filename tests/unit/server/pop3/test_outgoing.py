"""TOP and transparency on the way out, on any cuts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailserver.pop3.outgoing import OutgoingMessage, TopOfMessage

messages = st.lists(st.sampled_from(["", ".", "..", "a", "Subject: x", ".b"]), min_size=1).map(
    lambda lines: "".join(f"{line}\r\n" for line in lines).encode()
)
cuts = st.lists(st.integers(0, 60), max_size=6)


def pieces(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({min(place, len(data)) for place in places} | {len(data)})
    return [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def reference(message: bytes, body_lines: int) -> bytes:
    """RFC 1939 7: header, empty line, and so many lines of the body."""
    if message.startswith(b"\r\n"):
        header, body = b"", message[2:]
    elif b"\r\n\r\n" in message:
        header, _, body = message.partition(b"\r\n\r\n")
        header += b"\r\n"
    else:
        return message
    return header + b"\r\n" + b"".join(body.splitlines(keepends=True)[:body_lines])


@given(messages, st.integers(0, 8), cuts)
def test_top_is_what_a_reference_says(message: bytes, body_lines: int, places: list[int]) -> None:
    top = TopOfMessage(body_lines)
    passed = b"".join(top.take(piece) for piece in pieces(message, places))
    assert passed == reference(message, body_lines)


@given(messages, st.none() | st.integers(0, 8), cuts)
def test_sent_octets_are_those_of_the_message_with_its_full_stops(
    message: bytes, body_lines: int | None, places: list[int]
) -> None:
    outgoing = OutgoingMessage(body_lines)
    sent = b"".join(outgoing.encode(piece) for piece in pieces(message, places)) + outgoing.end()
    assert sent.endswith(b"\r\n.\r\n") or sent == b".\r\n"
    unstuffed = [line[line.startswith(b".") :] for line in sent[:-3].splitlines(keepends=True)]
    wanted = message if body_lines is None else reference(message, body_lines)
    assert b"".join(unstuffed) == wanted


def test_the_empty_line_is_found_wherever_it_is_cut() -> None:
    message = b"Subject: x\r\n\r\none\r\ntwo\r\n"
    for first in range(len(message)):
        for second in range(first, len(message)):
            top = TopOfMessage(1)
            parts = (message[:first], message[first:second], message[second:])
            assert b"".join(map(top.take, parts)) == b"Subject: x\r\n\r\none\r\n"


def test_no_more_is_wanted_when_the_top_is_complete() -> None:
    outgoing = OutgoingMessage(1)
    outgoing.encode(b"Subject: x\r\n\r\n")
    assert not outgoing.complete
    assert outgoing.encode(b"one\r\ntwo\r\n") == b"one\r\n"
    assert outgoing.complete
    assert outgoing.encode(b"three\r\n") == b""
    assert not OutgoingMessage(None).complete

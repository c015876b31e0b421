"""Messages for servers that take no octets above 127: against Python's own parser."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.message import entities
from mailserver.message.entities import Head, Kind, TooMuch, walk
from mailserver.message.seven_bit import CannotRecode, recoded

UMLAUT = "Grüße = .\t\r\n.\r\nFrom here \r\n".encode()
PLAIN = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"


def chunks(octets: bytes, size: int) -> Iterator[bytes]:
    return (octets[at : at + size] for at in range(0, len(octets), size))


def in_seven_bits(content: bytes, size: int = 1 << 20) -> bytes:
    again, octets = recoded(lambda: chunks(content, size))
    made = b"".join(again())
    assert len(made) == octets
    assert made.isascii()
    assert all(len(line) <= 76 or line in content for line in made.split(b"\r\n"))
    assert made.count(b"\n") == made.count(b"\r\n")
    return made


def texts(content: bytes) -> list[tuple[str, bytes]]:
    """Of each leaf: its type, and what it says."""
    parsed: Message = email.message_from_bytes(content, policy=email.policy.SMTP)
    return [
        (part.get_content_type(), part.get_payload(decode=True))
        for part in parsed.walk()
        if not part.is_multipart()
    ]


def test_a_plain_text() -> None:
    content = b"Subject: x\r\n" + PLAIN + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + UMLAUT
    assert in_seven_bits(content) == (
        b"Subject: x\r\n" + PLAIN + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"Gr=C3=BC=C3=9Fe =3D .=09\r\n=2E\r\nFrom here=20\r\n"
    )


def test_nobody_said_that_it_is_mime() -> None:
    """RFC 1428."""
    made = in_seven_bits(b"Subject: x\r\n\r\n\xff\xfe\r\n")
    assert made == (
        b"Subject: x\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n\r\n=FF=FE\r\n"
    )
    assert in_seven_bits(b"\r\n\xff\r\n").endswith(b"\r\n\r\n=FF\r\n")


def multipart(kind: str, *parts: bytes, boundary: str = "b", head: bytes = b"") -> bytes:
    begin = f'Content-Type: multipart/{kind};\r\n boundary="{boundary}"\r\n'.encode() + head
    inside = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in parts)
    return begin + b"\r\npreamble\r\n" + inside + b"--%s--\r\nepilogue\r\n" % boundary.encode()


ASCII_PART = b"Content-Type: text/html\r\nContent-Transfer-Encoding: 7bit\r\n\r\n<p>=\r\n"
EIGHT_BIT = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + UMLAUT
BINARY = (
    b"Content-Transfer-Encoding: 8bit\r\nContent-Type: image/x-odd\r\n\r\n\x80\xff  \r\n \x01\r\n"
)
ENCODED = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0K\r\n"
NO_HEADER = b"\r\nh\xe9\r\n"


def test_only_what_has_them_is_changed() -> None:
    inner = multipart("alternative", ASCII_PART, EIGHT_BIT, boundary="inner")
    message = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    message += b"Subject: inside\r\n" + PLAIN + b"\r\n" + UMLAUT
    content = b"MIME-Version: 1.0\r\n" + multipart(
        "mixed",
        *(inner, BINARY, ENCODED, NO_HEADER, message),
        head=b"Content-Transfer-Encoding: 8bit\r\n",
    )
    for size in (1, 7, 1 << 20):
        made = in_seven_bits(content, size)
        assert ASCII_PART in made
        assert ENCODED in made
        assert b"\r\npreamble\r\n" in made
        assert made.endswith(b"epilogue\r\n")
        assert b"8bit\r\n" not in made.replace(b"unknown-8bit", b"")
        assert made.count(b"quoted-printable") == 4
        assert texts(made) == texts(content)


def test_seven_bits_stay_to_the_octet() -> None:
    content = multipart("mixed", ASCII_PART, ENCODED)
    assert in_seven_bits(content) == content


def test_a_digest_is_made_of_messages() -> None:
    content = multipart("digest", b"\r\nSubject: a\r\n" + PLAIN + b"\r\n" + UMLAUT)
    made = in_seven_bits(content)
    assert b"\r\n\r\nSubject: a\r\n" in made
    assert texts(made) == texts(content)


def test_a_line_of_a_megabyte() -> None:
    line = b"\xc3\xbc" * 500_000
    content = PLAIN + b"\r\n" + line + b"\r\nx" * 50_000 + b"\r\n"
    assert texts(in_seven_bits(content)) == texts(content)


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: \xc3\xbc\r\n\r\nx\r\n",
        multipart("signed", EIGHT_BIT),
        multipart("mixed", multipart("encrypted", EIGHT_BIT, boundary="inner")),
        multipart("mixed", b"Content-Type: message/partial\r\n\r\n\xff\r\n"),
        b"Content-Type: multipart/mixed\r\n\r\n\xff\r\n",  # without a boundary
        multipart("mixed", ASCII_PART).replace(b"preamble", b"\xff"),
        multipart("mixed", ASCII_PART, boundary="\xff"),
        PLAIN + b"Content-Transfer-Encoding: base64\r\n\r\n\xff\r\n",
        PLAIN + b"Content-Transfer-Encoding: x-odd\r\n\r\n\xff\r\n",
        multipart("mixed", *[NO_HEADER] * entities.ENTITIES_LIMIT),
    ],
)
def test_what_cannot_be_recoded(content: bytes) -> None:
    with pytest.raises(CannotRecode):
        recoded(lambda: iter([content]))


def test_a_header_without_an_end() -> None:
    with pytest.raises(TooMuch):
        list(walk(iter([b"X: y\r\n" * (entities.HEAD_LIMIT // 6 + 1)])))


def test_so_deep_and_no_deeper() -> None:
    content = EIGHT_BIT
    for depth in range(entities.DEPTH_LIMIT):
        content = multipart("mixed", content, boundary=f"b{depth}")
    assert b"quoted-printable" in in_seven_bits(content)
    with pytest.raises(CannotRecode):
        recoded(lambda: iter([multipart("mixed", content)]))


leaves = st.sampled_from([ASCII_PART, EIGHT_BIT, BINARY, ENCODED, NO_HEADER])
trees = st.recursive(
    leaves,
    lambda inside: st.tuples(
        st.lists(inside, min_size=1, max_size=3), st.text("abc-'=", min_size=1, max_size=9)
    ).map(lambda made: multipart("mixed", *made[0], boundary=f"{made[1]}{len(made[0])}")),
)


@given(trees.filter(lambda tree: not re.search(rb"(--[^\r]*\d)\r\n.*\n--[^\r]*\1", tree, re.S)))
def test_any_tree(tree: bytes) -> None:
    assert texts(in_seven_bits(b"MIME-Version: 1.0\r\n" + tree)) == texts(tree)


words = st.sampled_from(
    [
        *(b"--b", b"--b--", b"\r\n", b"\r\n", b"\xff", b" ", b"x"),
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Transfer-Encoding: 8bit\r\n",
    ]
)


@given(st.lists(words).map(b"".join), st.integers(1, 9))
def test_nothing_is_lost_and_nothing_twice(content: bytes, size: int) -> None:
    pieces = list(walk(chunks(content, size)))
    assert b"".join(piece.octets for piece in pieces) == content
    assert [piece.number for piece in pieces if isinstance(piece, Head)] == list(
        range(sum(isinstance(piece, Head) for piece in pieces))
    )
    again = list(walk([content]))
    assert again == pieces
    try:
        made, octets = recoded(lambda: iter([content]))
    except CannotRecode:
        return
    assert sum(map(len, made())) == octets


def test_kinds() -> None:
    content = multipart(
        "mixed", ASCII_PART, b"Content-Type: message/delivery-status\r\n\r\nx: y\r\n"
    )
    kinds = [piece.kind for piece in walk([content]) if isinstance(piece, Head)]
    assert kinds == [Kind.COMPOSITE, Kind.LEAF, Kind.OPAQUE]

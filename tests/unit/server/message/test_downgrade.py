"""A header in ASCII for programs that know nothing else (RFC 6856 2.1, RFC 6858)."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.message.downgrade import NOWHERE, AsciiHeader, ascii_header
from mailserver.message.header import OCTET_LIMIT


def as_read(header: bytes, name: str) -> str:
    """What a mail program shows of a field."""
    message = email.message_from_bytes(header + b"\r\n", policy=email.policy.default)
    return str(message[name])


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("Subject: Grüße", "Grüße"),
        ("Subject: " + "Καλημέρα κόσμε! " * 20 + "end", "Καλημέρα κόσμε! " * 20 + "end"),
        ("Subject: one\r\n  Grüße", "one  Grüße"),
        ("X-Note: ü", "ü"),
        ('From: "Grüße, \\"X\\" Müller" <a@b>', '"Grüße, \\"X\\" Müller" <a@b>'),
        ("To: a@b, Müller <m@x>,\r\n c@d", "a@b, Müller <m@x>, c@d"),
        ("Cc: мария@пример.рф", f'"мария@пример.рф" {NOWHERE}'),
        ("Cc: ü <ü@x>, (b, c) b@c", f'"ü <ü@x>" {NOWHERE}, b@c'),
        ("To: Freunde: ü@x, y@z;", f'"Freunde: ü@x, y@z;" {NOWHERE}'),
        ('To: ü "open, <x', f'"ü \\"open, <x" {NOWHERE}'),
    ],
)
def test_what_a_person_reads_is_kept(field: str, shown: str) -> None:
    name = field.partition(":")[0]
    header = ascii_header(f"Date: now\r\n{field}\r\nFrom: z@z\r\n".encode())
    assert header.isascii()
    assert header.startswith(b"Date: now\r\n")
    assert header.endswith(b"\r\nFrom: z@z\r\n")
    assert as_read(header, name) == shown
    assert all(len(line) <= 78 for line in header.split(b"\r\n"))


def test_the_boundary_is_not_lost_with_a_file_name() -> None:
    field = 'Content-Type: multipart/mixed; name="Grüße; a.txt"; boundary="ü"; x=y\r\n'
    message = email.message_from_bytes(ascii_header(field.encode()), policy=email.policy.default)
    assert message.get_content_type() == "multipart/mixed"
    assert message["Content-Type"].params == {"name": "Grüße; a.txt", "boundary": "ü", "x": "y"}


@pytest.mark.parametrize(
    "field", ["Received: for <ü@x>; now", "Return-Path: <ü@x>", "Ünknown: x", "no field, ü"]
)
def test_other_fields_are_left_out(field: str) -> None:
    assert ascii_header(f"A: b\r\n{field}\r\n folded\r\nC: d\r\n".encode()) == b"A: b\r\nC: d\r\n"


def test_octets_that_are_not_utf8_stay() -> None:
    header = b"Subject: caf\xe9\r\nTo: a\r\n"
    assert ascii_header(header) == header


PIECES = ["Subject: ü", "To: ü@x", "\r\n", "\r\n", "\r\n", " ", "\n", "\r", "a: b", "Grüße", "."]


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.lists(st.integers(0, 60), max_size=4))
def test_however_it_is_cut(pieces: list[str], places: list[int]) -> None:
    """The header is made ASCII, the body never changes."""
    content = "".join(pieces).encode()
    begin = 0 if content.startswith(b"\r\n") else content.find(b"\r\n\r\n") + 2
    header = content[:begin] if begin != 1 else content
    ends = [*sorted(min(place, len(content)) for place in places), len(content)]
    sieve = AsciiHeader()
    cut = [content[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    made = b"".join(map(sieve.take, cut)) + sieve.end()
    assert made == ascii_header(header) + content[len(header) :]


@given(st.binary(max_size=200))
def test_any_octets(header: bytes) -> None:
    made = ascii_header(header)
    if header.isascii():
        assert made == header


def test_a_header_without_end_is_not_collected_for_ever() -> None:
    sieve = AsciiHeader()
    line = "X-A: ü\r\n".encode() * 1000
    taken = b"".join(sieve.take(line) for _ in range(OCTET_LIMIT // len(line) + 2))
    assert taken.startswith(b"X-A: =?utf-8?")
    assert taken.endswith(line)


def test_hostile_fields_take_no_time() -> None:
    """Each of these made a worse pattern take hours."""
    for text in ('"' * 40_000, "(" * 40_000, "<" * 40_000, '"a' * 20_000 + "\\", ";a=" * 15_000):
        for name in ("To", "Content-Type", "Subject"):
            assert ascii_header(f"{name}: ü{text}\r\n".encode()).isascii()

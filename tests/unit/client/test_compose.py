from __future__ import annotations

import email
import email.policy
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailapp import compose
from mailapp.compose import Draft, FieldProblem

NOW = datetime(2026, 11, 23, 14, 5, 9, tzinfo=timezone(timedelta(hours=1)))


def message_of(subject: str = "x", *body: str) -> bytes:
    draft = Draft("alice@mailserver", ("bob@mailserver", "carol@mailserver"), subject, body)
    return compose.to_message(draft, NOW, "id@mailserver")


def read(message: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(message, policy=email.policy.default)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "text",
    [
        "alice@mailserver",
        "a.b+c@example.org",
        "o'neil@ex-ample.co.uk",
        "x@[192.0.2.1]",
        "x@[IPv6:2001:db8::1]",
        "l" * 64 + "@d",
        "a@" + "d" * 63,
    ],
)
def test_addresses_that_are_right(text: str) -> None:
    assert compose.address(f" {text} ") == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no address"),
        ("bob", "no @"),
        ("@mailserver", "no username"),
        ("bob@", "no domain"),
        ("bob smith@mailserver", "no valid username"),
        (".bob@mailserver", "no valid username"),
        ("b..ob@mailserver", "no valid username"),
        ("a@b@c", "no valid username"),
        ("Bob <bob@mailserver", "no valid username"),
        ("bob@mail_server", "no valid domain"),
        ("bob@-x", "no valid domain"),
        ("bob@a..b", "no valid domain"),
        ("bob@[300.1.1.1]", "no valid domain"),
        ("bob@[IPv6:fe80::1%eth0]", "no valid domain"),
        ("bob@" + "d" * 64, "no valid domain"),
        ("bob@" + ".".join(["d" * 60] * 5), "no valid domain"),
        ("l" * 65 + "@d", "longer than 64"),
        ("bob@mailserver\r\nBcc: eve@x", "control character"),
        ("bob@mailserver\x00", "control character"),
        ("b\x1bob@mailserver", "control character"),
        ("böb@mailserver", "no valid username"),
        ("\udcffbob@mailserver", "no valid text"),
    ],
)
def test_addresses_that_are_wrong(text: str, why: str) -> None:
    with pytest.raises(FieldProblem, match=why):
        compose.address(text)


def test_a_name_around_an_address_is_left_out() -> None:
    assert compose.addresses("Bob <bob@x>, <carol@x>, dave@x") == ("bob@x", "carol@x", "dave@x")


@pytest.mark.parametrize(
    "text", ["To: x@y", "content-type: a/b", "no colon", "A B: x", "X:", "X: a\r\nTo: b", "X: \x1b"]
)
def test_header_lines_that_nobody_may_add(text: str) -> None:
    with pytest.raises(FieldProblem):
        compose.header_field(text)


def test_recipients() -> None:
    assert compose.addresses("a@x, b@x ,a@x") == ("a@x", "b@x")
    with pytest.raises(FieldProblem, match="no address"):
        compose.addresses("a@x,")
    hundred = ",".join(f"u{n}@x" for n in range(100))
    assert len(compose.addresses(hundred)) == 100
    with pytest.raises(FieldProblem, match="101 recipients"):
        compose.addresses(hundred + ",last@x")


@pytest.mark.parametrize("text", ["", "a" * 49, "ü" * 50, "漢" * 50])
def test_subjects_that_are_right(text: str) -> None:
    assert compose.subject(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ü" * 51, "has 51 characters"),
        ("a\r\nBcc: eve@x", "control character U\\+000D"),
        ("a\nb", "control"),
        ("a\x9bb", "U\\+009B"),
        ("a\u2028b", "U\\+2028"),
    ],
)
def test_subjects_that_are_wrong(text: str, why: str) -> None:
    with pytest.raises(FieldProblem, match=why):
        compose.subject(text)


@pytest.mark.parametrize("text", ["a\0b", "a\rb", "a\nb", "\udcff"])
def test_body_lines_that_are_wrong(text: str) -> None:
    with pytest.raises(FieldProblem):
        compose.body_line(text)


def test_an_ascii_message_word_for_word() -> None:
    assert message_of("Lab 3", "Hello", "", ".dot") == (
        b"From: alice@mailserver\r\n"
        b"To: bob@mailserver,\r\n carol@mailserver\r\n"
        b"Subject: Lab 3\r\n"
        b"Date: Mon, 23 Nov 2026 14:05:09 +0100\r\n"
        b"Message-ID: <id@mailserver>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\nHello\r\n\r\n.dot\r\n"
    )


@pytest.mark.parametrize(("octets", "encoding"), [(998, b"7bit"), (999, b"quoted-printable")])
def test_lines_of_998_octets_are_the_limit(octets: int, encoding: bytes) -> None:
    assert b"Encoding: " + encoding in message_of("x", "a" * octets)


@given(
    st.text(st.characters(categories=["L", "N", "P", "S", "Zs", "So"]), max_size=50),
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"))),
)
def test_any_text_arrives(subject: str, body: list[str]) -> None:
    subject = compose.subject(subject)
    message = message_of(subject, *map(compose.body_line, body))
    lines = message.split(b"\r\n")
    assert b"\r" not in b"".join(lines)
    assert b"\n" not in b"".join(lines)
    assert max(map(len, lines)) <= 998
    assert message.isascii()
    found = read(message)
    assert str(found["Subject"]) == subject
    assert found.defects == []
    text = found.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert text.decode().replace("\r\n", "\n") == "".join(f"{line}\n" for line in body)


def test_what_looks_encoded_arrives_as_typed() -> None:
    subject = "=?utf-8?q?tricky?="
    assert str(read(message_of(subject))["Subject"]) == subject

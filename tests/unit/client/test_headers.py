from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailapp import headers, people
from mailapp.headers import Headers, decode, decode_words, with_plain_domains


def block(text: str) -> Headers:
    lines = text.replace("\n", "\r\n").encode("utf-8", "surrogateescape").splitlines(keepends=True)
    return headers.read_headers(lines)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
        ("=?utf-8?b?R3LDvMOfZQ?=", "Grüße"),  # padding forgotten
        ("=?iso-8859-1?q?K=F6ln?= am =?utf-8?q?Rhein?=", "Köln am Rhein"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?=E6=BC?= =?utf-8?q?=A2?=", "漢"),  # one character cut in two
        ("=?utf-8*en?q?a_b?=", "a b"),
        ("=?utf-8?q?with space?=", "with space"),
        ("=?nonsense?q?=FC?=", "ü"),
        ("=?idna?q?abc?=", "abc"),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        ("=?utf-8?b?A?=", "=?utf-8?b?A?="),
        ("plain", "plain"),
    ],
)
def test_encoded_words(raw: str, text: str) -> None:
    assert decode_words(raw) == text


@given(st.text())
def test_decoding_never_fails(text: str) -> None:
    decode_words(text)
    decode_words(f"=?utf-8?q?{text}?=")


@given(st.binary())
def test_any_octets_are_a_header_block(octets: bytes) -> None:
    found = headers.read_headers(octets.splitlines(keepends=True))
    people.sender(found)
    headers.received(found)
    decode(octets)


def test_a_folded_field_is_one_line() -> None:
    assert block("Subject: one\n two\n\tthree\n\nno: header\n").text("subject") == "one two\tthree"


def test_octets_that_are_not_utf8_are_latin1() -> None:
    assert decode(b" K\xf6ln\r\n") == "Köln"


def test_a_value_is_bounded_and_so_is_the_number_of_fields() -> None:
    found = headers.read_headers([b"Subject: " + b"x" * 100_000 + b"\r\n"])
    assert len(found.text("subject")) == headers.MAX_VALUE_OCTETS - 1
    found = headers.read_headers([b"To: a@b\r\n"] * 20_000 + [b"Subject: end\r\n"])
    assert len(found.texts("to")) == headers.MAX_FIELDS_OF_A_NAME
    assert found.counts["to"] == 20_000
    assert found.text("subject") == "end"


@pytest.mark.parametrize(
    ("field", "who"),
    [
        ("From: bob@mailserver", "bob@mailserver"),
        ("From: Bob <bob@mailserver>", "Bob"),
        ('From: "Bob, the Builder" <bob@mailserver>', "Bob, the Builder"),
        ("From: <bob@mailserver>", "bob@mailserver"),
        ('From: "boss@bank.example" <eve@evil.example>', "eve@evil.example"),
        ("From: =?utf-8?q?J=C3=BCrgen?= <j@x>", "Jürgen"),
        ("X: y", ""),
    ],
)
def test_sender(field: str, who: str) -> None:
    assert people.sender(block(field + "\n\n")) == who


STAMPED = """\
Received: from client by mailserver with ESMTP id 1
\tfor <bob@mailserver>; Mon, 23 Nov 2026 14:06:00 +0000
From: alice@mailserver
Subject: x
Received: "2026-11-23 : 14 : 05"; Mon, 23 Nov 2026 14:05:09 +0000
Date: Mon, 23 Nov 2026 13:00:00 +0000
"""


def test_the_servers_stamp_is_when_it_came() -> None:
    assert headers.received(block(STAMPED)) == "2026-11-23 : 14 : 05"


def test_a_stamp_that_is_not_behind_the_subject_is_the_senders() -> None:
    forged = 'Received: "1999-01-01 : 00 : 00"; x\n' + STAMPED
    assert headers.received(block(forged)) == "2026-11-23 : 14 : 05"


@pytest.mark.parametrize(
    ("text", "when"),
    [
        (
            "Received: x; Mon, 23 Nov 2026 14:05:09 +0000\nDate: Mon, 01 Jan 2024 00:00:00 +0000",
            "14",
        ),
        ("Received: nonsense\nDate: Mon, 23 Nov 2026 14:05:09 +0000", "14"),
        ("Date: Mon, 23 Nov 2026 16:05:09 +0200", "14"),
    ],
)
def test_without_a_stamp_the_newest_date_counts(
    text: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert headers.received(block(text + "\n\n")) == f"2026-11-23 : {when} : 05"


@pytest.mark.parametrize(
    "date",
    [
        *("", "yesterday", "Mon, 99 Nov 2026 99:99:99 +0000", "Mon, 1 Jan 99999999 00:00:00 +0000"),
        *("Mon, 1 Jan 1 00:00:00 +9999", "9" * 5000, "Mon, 1 Jan 2026 00:00:00 +999999999"),
    ],
)
def test_dates_that_are_none(date: str) -> None:
    assert headers.received(block(f"Date: {date}\n\n")) == ""


def test_a_domain_of_other_letters_is_shown_in_ascii_too() -> None:
    assert with_plain_domains("p <a@раypal.com>") == "p <a@раypal.com (xn--ypal-43d9g.com)>"
    assert with_plain_domains("a@paypal.com, b@x") == "a@paypal.com, b@x"
    assert with_plain_domains("a@" + "я" * 100) == "a@" + "я" * 100

"""The header block, as far as the server reads it (RFC 5322 2.2, RFC 2047)."""

from __future__ import annotations

import time
from encodings import _cache  # type: ignore[attr-defined] # where the leak was

import pytest

from mailserver.message.header import _CHARSETS, OCTET_LIMIT, decode_text, read_header


@pytest.mark.parametrize(
    ("content", "end", "fields", "subject", "separated"),
    [
        (b"", 0, 0, "", True),
        (b"\nbody\n", 0, 0, "", True),
        (b"Subject: x\n", 11, 1, "x", True),
        (b"Subject: x\n\nbody\n", 11, 1, "x", True),
        (b"SUBJECT:x\nFrom: a\n\n", 18, 2, "x", True),
        (b"Subject : x\n\n", 12, 1, "x", True),
        (b"Subject:\n\n", 9, 1, "", True),
        (b"Subject: a\n b\n\tc\n\n", 17, 1, "a b\tc", True),
        (b"From: a\nSubject: one\nSubject: two\n\n", 34, 3, "one", True),
        (b"X-Subject: no\nSubjects: no\n\n", 27, 2, "", True),
        (b"X: a\n subject: no\n\n", 18, 1, "", True),
        (b"From alice Mon Nov 23 14:05:09 2026\nSubject: x\n\n", 47, 1, "x", True),
        (b">From alice Mon Nov 23 14:05:09 2026\nSubject: x\n\n", 48, 1, "x", True),
        (b"Subject: x\nno field\nTo: a\n\n", 11, 1, "x", False),
        (b"no field\nSubject: x\n\n", 0, 0, "", False),
        (b" continues nothing\nSubject: x\n\n", 0, 0, "", False),
        (b"Subject: x\n\nSubject: body\n", 11, 1, "x", True),
        (b"\xff: x\n\n", 0, 0, "", False),
        (b": no name\n\n", 0, 0, "", False),
    ],
)
def test_header_blocks(
    content: bytes, end: int, fields: int, subject: str, separated: bool
) -> None:
    found = read_header(content)
    assert (found.end, found.fields, found.subject, found.separated) == (
        end,
        fields,
        subject,
        separated,
    )


def test_a_field_goes_behind_the_whole_subject() -> None:
    content = b"From: a\nSubject: one\n two\nTo: b\n\nbody\n"
    assert content[read_header(content).after_subject :].startswith(b"To: b\n")
    no_subject = b"From: a\nTo: b\n\nbody\n"
    assert no_subject[read_header(no_subject).after_subject :] == b"\nbody\n"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b" plain \n", "plain"),
        (b"\xc3\xbc\n", "ü"),
        (b"\xfc\n", "\ufffd"),
        (b"=?utf-8?q?=C3=BC_ber?=", "ü ber"),
        (b"=?UTF-8?B?w7xiZXI=?=", "über"),
        (b"=?iso-8859-1*de?Q?=FC?=", "ü"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?a?=\n =?utf-8?q?b?=\n", "ab"),
        (b"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        (b"=?no-such-charset?q?a?=", "=?no-such-charset?q?a?="),
        (b"=?hex?q?6161?=", "=?hex?q?6161?="),
        (b"=?unicode_escape?q?\\q?=", "=?unicode_escape?q?\\q?="),
        (b"=?utf-8?b?A?=", "=?utf-8?b?A?="),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?q?a", "=?utf-8?q?a"),
        (b"=?utf-8?q?a b?=", "=?utf-8?q?a b?="),
        ("=?utf-8?q?ü?=".encode(), "=?utf-8?q?ü?="),
    ],
)
def test_texts_are_decoded(raw: bytes, text: str) -> None:
    assert decode_text(raw) == text


def filled(beginning: bytes, piece: bytes, ending: bytes) -> bytes:
    return beginning + piece * ((OCTET_LIMIT - len(beginning) - len(ending)) // len(piece)) + ending


HOSTILE = {
    "one long word in a From_ line": filled(b"From ", b"a", b"\nSubject: x\n\n"),
    "words in a From_ line": filled(b"From ", b"a ", b"\nSubject: x\n\n"),
    "quoted From_ line": filled(b"", b">", b"From \nSubject: x\n\n"),
    "one long name": filled(b"", b"a", b"\n\n"),
    "one long name with its colon": filled(b"", b"a", b":\n\n"),
    "spaces before the colon": filled(b"Subject", b" ", b"\n\n"),
    "spaces before each colon": filled(b"", b"a   :\n", b"\n"),
    "tiny fields": filled(b"", b"a:\n", b"\n"),
    "one field in many lines": filled(b"Subject: x\n", b" \n", b"\n"),
    "many subjects": filled(b"", b"Subject:\n", b"\n"),
    "subjects that are none": filled(b"X: y\n", b" subject\n", b"\n"),
    "encoded words": filled(b"Subject: ", b"=?utf-8?q?a?= ", b"\n\n"),
    "beginnings of encoded words": filled(b"Subject: ", b"=?", b"\n\n"),
    "half encoded words": filled(b"Subject: ", b"=?a?q?", b"\n\n"),
    "ends of encoded words": filled(b"Subject: ", b"?= ", b"\n\n"),
    "spaces between encoded words": filled(b"Subject: =?a?q?b?=", b" ", b"=?a?q?b?=\n\n"),
    "a slow codec": filled(b"Subject: =?punycode?q?", b"a-b9", b"?=\n\n"),
    "slow codecs": filled(b"Subject: ", b"=?punycode?q?" + b"a-b9" * 480 + b"?= ", b"\n\n"),
    "a deep charset name": filled(b"Subject: =?", b"a", b"?q?b?=\n\n"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_takes_linear_time(name: str) -> None:
    """Security row 23 and 64: 256 KB, whatever stands in them, are read in no time."""
    start = time.perf_counter()
    read_header(HOSTILE[name])
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize("charset", sorted(_CHARSETS))
def test_every_charset_is_known(charset: str) -> None:
    assert not decode_text(f"=?{charset.upper()}?b?YWJjZA==?=".encode()).startswith("=?")


def test_names_of_charsets_take_no_memory() -> None:
    """Python remembers each codec that it did not find, for ever."""
    names = b" ".join(b"=?x%d?q?a?=" % number for number in range(10_000))
    before = len(_cache)
    assert decode_text(names).count("=?x") == 10_000
    assert len(_cache) == before

"""Who wrote it, by From: one domain or none, whatever a forger writes there."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.trust.author import NoAuthor, author_domain
from mailserver.trust.canonical import fields_of


def author(*values: str) -> str:
    block = "".join(f"From: {value}\n" for value in values)
    return author_domain(fields_of(block.encode()))


@pytest.mark.parametrize(
    ("value", "domain"),
    [
        ("alice@example.org", "example.org"),
        ("Alice <alice@Example.ORG>", "example.org"),
        ('"Alice, of <eve@evil.test>" <alice@example.org>', "example.org"),
        ("Alice (on eve@evil.test) <alice@example.org>", "example.org"),
        ("<alice@example.org> (eve@evil.test)", "example.org"),
        ("alice@example.org,\n bob@example.org", "example.org"),
        ("Us: alice@example.org, Bob <bob@example.org>;", "example.org"),
        ('"a@evil.test"@example.org', "example.org"),
        ("=?utf-8?q?a=40evil.test?= <alice@example.org>", "example.org"),
        ("alice@bücher.example", "xn--bcher-kva.example"),
        ("alice@example.org.", "example.org"),
    ],
)
def test_one_author(value: str, domain: str) -> None:
    assert author(value) == domain


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Alice",
        "<>",
        "alice@example.org, eve@evil.test",
        "Alice <alice@example.org>, <eve@evil.test>",
        "alice@example.org <eve@evil.test> bob@example.org",
        "<alice@example.org> eve@evil.test",
        "Alice <alice@example.org",
        "Alice (alice@example.org",
        '"Alice <alice@example.org>',
        "@example.org",
        "alice@",
        "alice@[192.0.2.1]",
        "alice@exa mple.org",
        "alice@..",
        ", ".join(f"a{n}@example.org" for n in range(65)),
    ],
)
def test_no_author(value: str) -> None:
    with pytest.raises(NoAuthor):
        author(value)


def test_two_from_fields_have_no_author() -> None:
    with pytest.raises(NoAuthor, match="2 From fields"):
        author("alice@example.org", "alice@example.org")
    with pytest.raises(NoAuthor, match="0 From fields"):
        author()


@given(st.text('ab@.<>(),;:"\\ ', max_size=40))
def test_anything_is_read_or_refused(value: str) -> None:
    with suppress(NoAuthor):
        assert author(value).isascii()


def test_reading_takes_linear_time() -> None:
    for piece in ("(", ")", '"', "\\", "<", "@", ",", 'a"', '"a" ', "(a)"):
        with pytest.raises(NoAuthor):
            author(piece * 60_000)

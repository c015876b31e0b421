"""Addresses of MAIL and RCPT (RFC 5321 4.1.2, 4.1.3)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.wire import address
from mailserver.wire.address import Mailbox
from mailserver.wire.cursor import Cursor, SyntaxProblem

LABEL = "a" * 63
GOOD = {
    "<alice@mailserver>": ("alice", "mailserver"),
    "<a@b>": ("a", "b"),
    "<alice.liddell@example.org>": ("alice.liddell", "example.org"),
    "<a.b.c.d@e.f.g.h>": ("a.b.c.d", "e.f.g.h"),
    "<alice+lists@example.org>": ("alice+lists", "example.org"),
    "<alice-@example.org>": ("alice-", "example.org"),
    "<!#$%&'*+-/=?^_`{|}~@example.org>": ("!#$%&'*+-/=?^_`{|}~", "example.org"),
    "<user%elsewhere@example.org>": ("user%elsewhere", "example.org"),
    "<elsewhere!user@example.org>": ("elsewhere!user", "example.org"),
    "<a/b@example.org>": ("a/b", "example.org"),
    "<123@456>": ("123", "456"),
    "<alice@1.2.3.4>": ("alice", "1.2.3.4"),
    "<alice@xn--bcher-kva.example>": ("alice", "xn--bcher-kva.example"),
    '<"alice"@example.org>': ("alice", "example.org"),
    '<"a b"@example.org>': ("a b", "example.org"),
    '<"a@b"@example.org>': ("a@b", "example.org"),
    '<"a\\"b"@example.org>': ('a"b', "example.org"),
    '<"a\\\\b"@example.org>': ("a\\b", "example.org"),
    '<"\\a"@example.org>': ("a", "example.org"),
    '<"<>"@example.org>': ("<>", "example.org"),
    '<""@example.org>': ("", "example.org"),
    '<".."@example.org>': ("..", "example.org"),
    "<alice@[192.0.2.1]>": ("alice", "[192.0.2.1]"),
    "<alice@[IPv6:2001:db8::1]>": ("alice", "[IPv6:2001:db8::1]"),
    "<alice@[ipv6:::1]>": ("alice", "[ipv6:::1]"),
    "<alice@[IPv6:::ffff:192.0.2.1]>": ("alice", "[IPv6:::ffff:192.0.2.1]"),
    "<@one.example:alice@example.org>": ("alice", "example.org"),
    "<@one.example,@two.example:alice@example.org>": ("alice", "example.org"),
    f"<{'a' * 64}@example.org>": ("a" * 64, "example.org"),
    f"<a@{LABEL}.{LABEL}.{LABEL}.{'a' * 60}>": ("a", f"{LABEL}.{LABEL}.{LABEL}.{'a' * 60}"),
}
BAD = [
    "",
    "alice",
    "alice@example.org",
    "<alice>",
    "<alice@>",
    "<@example.org>",
    "<>x",
    "<@>",
    "<alice@example.org",
    "< alice@example.org>",
    "<alice @example.org>",
    "<alice@ example.org>",
    "<alice@example.org >",
    "<<alice@example.org>>",
    "<alice@@example.org>",
    "<alice@example@org>",
    "<.alice@example.org>",
    "<alice.@example.org>",
    "<a..b@example.org>",
    "<../alice@example.org>",
    "<.mailserver@example.org>",
    "<alice@.example.org>",
    "<alice@example.org.>",
    "<alice@example..org>",
    "<alice@-example.org>",
    "<alice@example-.org>",
    "<alice@exam_ple.org>",
    "<alice@example.org,bob@example.org>",
    "<alice,bob@example.org>",
    "<al;ice@example.org>",
    "<alice@example.org;id>",
    "<(comment)alice@example.org>",
    "<alice:x@example.org>",
    "<alice[x]@example.org>",
    "<al\\ice@example.org>",
    '<al"ice@example.org>',
    '<"alice@example.org>',
    '<"alice"x@example.org>',
    '<"alice".bob@example.org>',
    '<"a\\',
    '<"a\x01b"@example.org>',
    "<alice@[192.0.2.256]>",
    "<alice@[192.0.2]>",
    "<alice@[192.0.2.1>",
    "<alice@[]>",
    "<alice@[2001:db8::1]>",
    "<alice@[IPv6:192.0.2.1]>",
    "<alice@[IPv6:2001:db8::1%eth0]>",
    "<alice@[IPv6:12345::]>",
    "<@one.example alice@example.org>",
    "<@one.example,two.example:alice@example.org>",
    "<@one.example:@two.example:alice@example.org>",
    f"<{'a' * 65}@example.org>",
    f"<a@{'a.' * 127}aa>",
    f"<@{'b.' * 120}b:alice@example.org>",
    "<alice@example.org\r\nRCPT TO:<bob@example.org>",
]


def read(text: str) -> Mailbox:
    cursor = Cursor(text)
    found = address.path(cursor)
    if not cursor.at_end():
        raise cursor.problem("the end")
    return found


def test_there_are_enough_examples() -> None:
    assert len(GOOD) + len(BAD) >= 60


@pytest.mark.parametrize("text", GOOD)
def test_good_addresses(text: str) -> None:
    assert read(text) == Mailbox(*GOOD[text])


@pytest.mark.parametrize("text", BAD)
def test_bad_addresses(text: str) -> None:
    with pytest.raises(SyntaxProblem) as caught:
        read(text)
    assert 0 <= caught.value.position <= len(text)
    assert str(caught.value) == (
        f"expected {caught.value.expected} at position {caught.value.position + 1}"
    )


@pytest.mark.parametrize("octets", [63, 64, 65])
def test_length_of_a_local_part(octets: int) -> None:
    """RFC 5321 4.5.3.1.1; quoting counts."""
    for local in ("a" * octets, '"' + "a" * (octets - 2) + '"'):
        if octets <= 64:
            assert read(f"<{local}@b>").domain == "b"
        else:
            with pytest.raises(SyntaxProblem, match="at most 64"):
                read(f"<{local}@b>")


@pytest.mark.parametrize(("octets", "good"), [(254, True), (255, True), (256, False)])
def test_length_of_a_domain(octets: int, good: bool) -> None:
    """RFC 5321 4.5.3.1.2."""
    domain = ("a." * 128)[: octets - 2] + "bb" if octets % 2 else ("a." * 128)[: octets - 1] + "b"
    domain = domain.replace("..", ".a")
    assert len(domain) == octets
    cursor = Cursor(domain)
    if good:
        assert address.domain(cursor) == domain
    else:
        with pytest.raises(SyntaxProblem, match="at most 255"):
            address.domain(cursor)


@pytest.mark.parametrize(("octets", "good"), [(255, True), (256, True), (257, False)])
def test_length_of_a_path(octets: int, good: bool) -> None:
    """RFC 5321 4.5.3.1.3; the angle brackets count."""
    path = (
        "<" + "a" * 60 + "@" + ".".join(["b" * 40] * 4) + "." + "c" * (octets - 60 - 163 - 4) + ">"
    )
    assert len(path) == octets
    if good:
        assert read(path).local_part == "a" * 60
    else:
        with pytest.raises(SyntaxProblem, match="at most 256"):
            read(path)


def test_the_null_reverse_path_and_postmaster() -> None:
    """RFC 5321 4.5.5 and 4.1.1.3."""
    assert address.reverse_path(Cursor("<>")).mailbox is None
    assert str(address.reverse_path(Cursor("<>"))) == ""
    assert str(address.reverse_path(Cursor("<a@b>"))) == "a@b"
    for text in ("<postmaster>", "<Postmaster>", "<POSTMASTER>"):
        assert address.forward_path(Cursor(text)).mailbox == Mailbox("postmaster", "")
    with pytest.raises(SyntaxProblem):
        address.reverse_path(Cursor("<postmaster>"))
    with pytest.raises(SyntaxProblem):
        address.forward_path(Cursor("<>"))


printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


@given(printable)
def test_a_written_mailbox_reads_as_the_same(local_part: str) -> None:
    found = Mailbox(local_part, "example.org")
    assert read(f"<{found}>") == found


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read(text)
    except SyntaxProblem:
        return
    assert all(" " <= character <= "~" for character in str(found))


def test_a_path_of_64_kilobytes_is_refused_at_once() -> None:
    for text in (
        "<" + "a" * 65536,
        '<"' + "\\a" * 32768,
        "<" + "@a," * 20000,
        "<a@" + "a." * 32768,
    ):
        start = time.perf_counter()
        with pytest.raises(SyntaxProblem):
            read(text)
        assert time.perf_counter() - start < 1

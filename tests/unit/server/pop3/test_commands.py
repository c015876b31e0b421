"""Command lines to values (RFC 1939 3, RFC 2449 4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.pop3 import replies
from mailserver.pop3.commands import (
    LINE_LIMIT,
    Apop,
    Auth,
    Capa,
    Dele,
    Lang,
    List,
    Noop,
    Pass,
    Quit,
    Refused,
    Retr,
    Rset,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
    Utf8,
    read_command,
)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"USER alice", User("alice")),
        (b"user  alice ", User("alice")),
        (b"PASS two words ", Pass("two words ")),
        ("PASS ü".encode(), Pass("ü")),
        (b"CAPA", Capa()),
        (b"APOP al ice " + b"0f" * 16, Apop("al ice", "0f" * 16)),
        (b"AUTH", Auth("", None)),
        (b"auth plain", Auth("PLAIN", None)),
        (b"AUTH PLAIN =", Auth("PLAIN", b"")),
        (b"AUTH PLAIN AGEAYg==", Auth("PLAIN", b"\0a\0b")),
        (b"STLS", Stls()),
        (b"UTF8", Utf8()),
        (b"LANG", Lang("")),
        (b"LANG *", Lang("*")),
        (b"LANG en-GB", Lang("en-gb")),
        (b"QUIT ", Quit()),
        (b"STAT", Stat()),
        (b"LIST", List(None)),
        (b"LIST 3", List(3)),
        (b"UIDL", Uidl(None)),
        (b"UIDL 003", Uidl(3)),
        (b"RETR 1", Retr(1)),
        (b"RETR " + b"9" * 240, Retr(int("9" * 240))),
        (b"TOP 1 0", Top(1, 0)),
        (b"top 2  10", Top(2, 10)),
        (b"DELE 5", Dele(5)),
        (b"NOOP", Noop()),
        (b"RSET", Rset()),
    ],
)
def test_commands_are_read(line: bytes, command: object) -> None:
    assert read_command(line) == command


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"", replies.UNKNOWN_COMMAND),
        (b" STAT", replies.UNKNOWN_COMMAND),
        (b"STATS", replies.UNKNOWN_COMMAND),
        (b"GET /", replies.HTTP),
        (b"USER \xff", replies.NOT_UTF8),
        (b"USER a\x1b", replies.CONTROL_CHARACTER),
        (b"USER a\x7f", replies.CONTROL_CHARACTER),
        (b"STAT\r", replies.CONTROL_CHARACTER),
        (b"USER", replies.ARGUMENT_MISSING),
        (b"PASS ", replies.ARGUMENT_MISSING),
        (b"NOOP x", replies.NO_ARGUMENT),
        (b"STLS now", replies.NO_ARGUMENT),
        (b"UTF8 USER", replies.NO_ARGUMENT),
        (b"APOP " + b"0f" * 16, replies.DIGEST_EXPECTED),
        (b"APOP alice " + b"0F" * 16, replies.DIGEST_EXPECTED),
        (b"APOP alice " + b"0f" * 15, replies.DIGEST_EXPECTED),
        (b"AUTH PLAIN =A", replies.NOT_BASE64),
        (b"AUTH PLAIN A", replies.NOT_BASE64),
        (b"AUTH PLAIN AAA=BBB=", replies.NOT_BASE64),
        (b"AUTH PLAIN AAAA=", replies.NOT_BASE64),
        (b"AUTH PLAIN AAAA BBBB", replies.NOT_BASE64),
        ("AUTH PLAIN üüü".encode(), replies.NOT_BASE64),
        (b"LANG de en", replies.NO_SUCH_LANGUAGE),
        (b"RETR", replies.NUMBER_EXPECTED),
        (b"RETR -1", replies.NUMBER_EXPECTED),
        (b"RETR +1", replies.NUMBER_EXPECTED),
        (b"RETR 1_0", replies.NUMBER_EXPECTED),
        ("RETR ²".encode(), replies.NUMBER_EXPECTED),
        ("RETR ١".encode(), replies.NUMBER_EXPECTED),
        ("RETR \u00a01".encode(), replies.NUMBER_EXPECTED),
        ("LIST \u2003".encode(), replies.NUMBER_EXPECTED),
        (b"TOP 1", replies.NUMBER_EXPECTED),
        (b"TOP 1 2 3", replies.NUMBER_EXPECTED),
        (b"LIST 1 2", replies.NUMBER_EXPECTED),
    ],
)
def test_what_is_no_command_is_refused(line: bytes, reply: str) -> None:
    with pytest.raises(Refused) as caught:
        read_command(line)
    assert caught.value.reply == reply


@given(st.binary(max_size=LINE_LIMIT))
def test_any_line_is_a_command_or_refused(line: bytes) -> None:
    try:
        read_command(line)
    except Refused as refused:
        assert refused.reply in vars(replies).values()  # noqa: PT017


def test_replies_fit_their_line_and_hold_no_control_character() -> None:
    """RFC 1939 3: 512 octets with CRLF."""
    texts = [text for name, text in vars(replies).items() if name.isupper()]
    assert len(texts) > 15
    for text in texts:
        octets = replies.err(text)
        assert octets.startswith(b"-ERR ")
        assert len(octets) <= 512
        assert octets[:-2].decode("ascii").isprintable()
    assert replies.ok() == b"+OK\r\n"
    assert replies.ok("x") == b"+OK x\r\n"


def test_response_codes_are_those_of_the_standards() -> None:
    """RFC 2449 8.1, RFC 3206 4."""
    codes = {t[: t.find("]") + 1] for t in vars(replies).values() if str(t).startswith("[")}
    assert codes == {"[AUTH]", "[IN-USE]", "[LOGIN-DELAY]", "[SYS/PERM]", "[SYS/TEMP]"}

"""Every reply as it goes over the wire (RFC 5321 4.2, RFC 2034, RFC 3463)."""

from __future__ import annotations

import re

import pytest

from mailserver.smtp import replies, usage
from mailserver.smtp.replies import Reply

NAMED = {name: value for name, value in vars(replies).items() if isinstance(value, Reply)}
LONG = "d" * 255
MADE = {
    "greeting": replies.greeting(LONG),
    "closing": replies.closing(LONG),
    "helo_ok": replies.helo_ok(LONG, "c" * 255),
    "ehlo_ok": replies.ehlo_ok(LONG, "c" * 255, ("PIPELINING", "SIZE 50000000")),
    "message_ok": replies.message_ok("3f2a9c"),
    "challenge": replies.challenge("Yg=="),
    "verified": replies.verified("bob@mailserver"),
    "wait_for_auth": replies.wait_for_auth(0.5),
    **{f"help {topic}": usage.about(topic) for topic in ("", *usage.USAGE)},
    "with_detail": replies.BAD_SENDER.with_detail("x" * 2000),
}
# RFC 5321 4.2: *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
LINE = re.compile(rb"([2-5][0-5][0-9])([- ])([\t -~]*)\r\n")
STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})")


def lines_of(octets: bytes) -> list[re.Match[bytes]]:
    lines = list(LINE.finditer(octets))
    assert b"".join(line[0] for line in lines) == octets
    return lines


@pytest.mark.parametrize("name", [*NAMED, *MADE])
@pytest.mark.parametrize("extended", [False, True])
def test_replies_follow_the_grammar(name: str, extended: bool) -> None:
    reply = (NAMED | MADE)[name]
    lines = lines_of(reply.encode(extended))
    assert {int(line[1]) for line in lines} == {reply.code}
    assert [line[2] for line in lines] == [b"-"] * (len(lines) - 1) + [b" "]
    assert all(len(line[0]) <= 512 for line in lines)


@pytest.mark.parametrize("name", [*NAMED, *MADE])
def test_enhanced_codes_are_of_the_same_class(name: str) -> None:
    """RFC 2034 4: the first digits agree; 220, 354 and the answers to HELO and EHLO have none."""
    reply = (NAMED | MADE)[name]
    plain, extended = reply.encode(False), reply.encode(True)
    if not reply.enhanced:
        assert reply.code in (220, 250, 334, 354)
        assert plain == extended
        return
    status = STATUS.fullmatch(reply.enhanced)
    assert status
    assert status[1] == str(reply.code)[0]
    for line in lines_of(extended):
        assert line[3].startswith(reply.enhanced.encode() + b" ")
    assert reply.enhanced.encode() not in plain


def test_the_fixed_replies() -> None:
    """Word for word as they were ordered."""
    assert replies.greeting("mailserver").encode(False) == b"220 mailserver Service Ready\r\n"
    assert replies.closing("mailserver").encode(False) == (
        b"221 mailserver Service closing transmission channel\r\n"
    )
    assert replies.SENDER_OK.encode(False).startswith(b"250 OK ")
    assert replies.START_INPUT.encode(True) == (b"354 Start mail input; end with <CRLF>.<CRLF>\r\n")
    assert replies.NO_SUCH_USER.encode(False) == b"550 No such user\r\n"
    assert replies.NO_SUCH_USER.encode(True) == b"550 5.1.1 No such user\r\n"


def test_all_250_begin_with_ok_but_for_ehlo() -> None:
    for name, reply in (NAMED | MADE).items():
        if reply.code == 250 and name not in ("ehlo_ok", "verified"):
            assert reply.text.startswith("OK "), name


def test_a_reply_in_several_lines() -> None:
    reply = Reply(250, "2.0.0", "one\ntwo")
    assert reply.encode(False) == b"250-one\r\n250 two\r\n"
    assert reply.encode(True) == b"250-2.0.0 one\r\n250 2.0.0 two\r\n"


def test_a_text_that_is_too_long_is_cut() -> None:
    octets = Reply(501, "5.5.4", "x" * 600).encode(True)
    assert len(octets) == 512
    assert octets.endswith(b"x\r\n")


def test_only_the_greeting_goes_on_and_the_answers_to_hello_have_no_status() -> None:
    """RFC 2034 4: all others of 2xx, 4xx and 5xx have one."""
    without = {name for name, reply in (NAMED | MADE).items() if not reply.enhanced}
    assert without == {"greeting", "helo_ok", "ehlo_ok", "START_INPUT", "challenge"}


def test_utf8_only_where_the_client_asked_for_it() -> None:
    """RFC 6531 3.7.4.2: the reply to VRFY; all others are ASCII."""
    assert replies.verified("bøb@b").encode(False) == "250 <bøb@b>\r\n".encode()
    assert all(reply.text.isascii() for reply in (NAMED | MADE).values())

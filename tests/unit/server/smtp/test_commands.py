"""Command lines to values (RFC 5321 4.1.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.smtp import replies
from mailserver.smtp.commands import (
    Data,
    Ehlo,
    Helo,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Refused,
    Rset,
    Vrfy,
    read_command,
)
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath

ALICE = ReversePath(Mailbox("alice", "mailserver"))


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"EHLO client", Ehlo("client")),
        (b"ehlo  client ", Ehlo("client")),
        (b"HELO [192.0.2.1]", Helo("[192.0.2.1]")),
        (b"MAIL FROM:<alice@mailserver>", Mail(ALICE, None, False)),
        (b"mail from: <alice@mailserver>", Mail(ALICE, None, False)),
        (b"MAIL FROM:<>", Mail(ReversePath(None), None, False)),
        (b"MAIL FROM:<alice@mailserver> SIZE=5", Mail(ALICE, 5, False)),
        (b"MAIL FROM:<alice@mailserver> BODY=8BITMIME", Mail(ALICE, None, True)),
        (b"MAIL FROM:<alice@mailserver> body=7bit size=005", Mail(ALICE, 5, False)),
        (b"RCPT TO:<postmaster>", Rcpt(ForwardPath(Mailbox("postmaster", "")))),
        (b"RCPT TO: <a@b>", Rcpt(ForwardPath(Mailbox("a", "b")))),
        (b"DATA", Data()),
        (b"RSET ", Rset()),
        (b"NOOP anything", Noop()),
        (b"VRFY bob", Vrfy("bob")),
        (b"HELP", Help("")),
        (b"HELP MAIL", Help("MAIL")),
        (b"QUIT", Quit()),
    ],
)
def test_commands_are_read(line: bytes, command: object) -> None:
    assert read_command(line) == command


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"", replies.UNKNOWN_COMMAND),
        (b"NOOPS", replies.UNKNOWN_COMMAND),
        (b"MAILFROM:<a@b>", replies.UNKNOWN_COMMAND),
        (b"get / HTTP/1.1", replies.UNKNOWN_COMMAND),
        (b"GET / HTTP/1.1", replies.HTTP),
        (b"PRI * HTTP/2.0", replies.HTTP),
        (b"Host: x", replies.HTTP),
        (b"NOOP \x80", replies.NOT_ASCII),
        (b"NOOP \x7f", replies.CONTROL_CHARACTER),
        (b"NOOP\r", replies.CONTROL_CHARACTER),
        (b"MAIL FROM:<a@b>\0", replies.CONTROL_CHARACTER),
        (b"EHLO", replies.BAD_HELLO),
        (b"EHLO " + b"a" * 256, replies.BAD_HELLO),
        (b"EHLO a\x20b", replies.BAD_HELLO),
        (b"VRFY", replies.ARGUMENT_MISSING),
        (b"DATA x", replies.NO_ARGUMENT),
        (b"MAIL FROM:<a@b> X", replies.UNKNOWN_PARAMETER),
        (b"MAIL FROM:<a@b> =1", replies.BAD_SENDER),
        (b"MAIL FROM:<a@b> SIZE==1", replies.BAD_SENDER),
        (b"MAIL FROM:<a@b> SIZE=1=", replies.BAD_SENDER),
        (b"MAIL FROM:<a@b>  SIZE=1", replies.BAD_SENDER),
        (b"MAIL FROM:<a@b> SIZE=x", replies.BAD_PARAMETER),
        (b"MAIL FROM:<a@b> BODY", replies.BAD_PARAMETER),
        (b"RCPT TO:<a>", replies.BAD_RECIPIENT),
        (b"RCPT FROM:<a@b>", replies.BAD_RECIPIENT),
    ],
)
def test_what_is_no_command_is_refused(line: bytes, reply: replies.Reply) -> None:
    with pytest.raises(Refused) as caught:
        read_command(line)
    assert caught.value.reply.code == reply.code
    assert caught.value.reply.text.startswith(reply.text)


def test_an_octet_in_quotes_is_no_unicode_digit() -> None:
    """What str.isdigit() takes beyond 0 to 9 is not ASCII and never gets that far."""
    with pytest.raises(Refused) as caught:
        read_command("MAIL FROM:<a@b> SIZE=²".encode())
    assert caught.value.reply is replies.NOT_ASCII


@given(st.binary(max_size=600))
def test_any_line_is_a_command_or_refused(line: bytes) -> None:
    try:
        read_command(line)
    except Refused as refused:
        assert refused.reply.code in (421, 500, 501, 555)  # noqa: PT017


@given(st.sampled_from(["MAIL FROM:<a@b> ", "RCPT TO:<a@b> "]), st.text("AB=<1 -", max_size=40))
def test_parameters_of_any_form_are_refused_or_read(beginning: str, rest: str) -> None:
    try:
        read_command((beginning + rest).encode())
    except Refused as refused:
        assert refused.reply.code in (501, 555)  # noqa: PT017
    else:
        assert not rest.strip(" ")

"""Command lines to values (RFC 5321 4.1.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.message.envelope import MailParameters, Notify, RcptParameters, Return
from mailserver.smtp import replies
from mailserver.smtp.commands import (
    Auth,
    Bdat,
    Data,
    Ehlo,
    Expn,
    Helo,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    read_command,
)
from mailserver.smtp.replies import Refused
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath

ALICE = ReversePath(Mailbox("alice", "mailserver"))
AB = ForwardPath(Mailbox("a", "b"))


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"EHLO client", Ehlo("client")),
        (b"ehlo  client ", Ehlo("client")),
        (b"HELO [192.0.2.1]", Helo("[192.0.2.1]")),
        (b"MAIL FROM:<alice@mailserver>", Mail(ALICE)),
        (b"mail from: <alice@mailserver>", Mail(ALICE)),
        (b"MAIL FROM:<>", Mail(ReversePath(None))),
        (b"MAIL FROM:<alice@mailserver> SIZE=5", Mail(ALICE, MailParameters(octets=5))),
        (
            b"MAIL FROM:<alice@mailserver> BODY=8BITMIME",
            Mail(ALICE, MailParameters(eight_bit=True)),
        ),
        (b"MAIL FROM:<alice@mailserver> body=7bit size=005", Mail(ALICE, MailParameters(octets=5))),
        (b"RCPT TO:<postmaster>", Rcpt(ForwardPath(Mailbox("postmaster", "")))),
        (b"RCPT TO: <a@b>", Rcpt(ForwardPath(Mailbox("a", "b")))),
        (
            b"MAIL FROM:<alice@mailserver> RET=hdrs ENVID=QQ+2B1 SMTPUTF8 REQUIRETLS AUTH=<>",
            Mail(ALICE, MailParameters(None, False, True, Return.HEADER, "QQ+1", True)),
        ),
        (
            b"MAIL FROM:<alice@mailserver> AUTH=e+3Dmc2@example.com RET=FULL",
            Mail(ALICE, MailParameters(returned=Return.FULL)),
        ),
        (
            "MAIL FROM:<ålice@mailserver> SMTPUTF8".encode(),
            Mail(ReversePath(Mailbox("ålice", "mailserver")), MailParameters(utf8=True)),
        ),
        (
            "RCPT TO:<bøb@bücher.example>".encode(),
            Rcpt(ForwardPath(Mailbox("bøb", "bücher.example"))),
        ),
        (b"RCPT TO:<a@b> NOTIFY=never", Rcpt(AB, RcptParameters(frozenset()))),
        (
            b"RCPT TO:<a@b> NOTIFY=Success,DELAY ORCPT=RFC822;a+2Bx@b",
            Rcpt(AB, RcptParameters(frozenset((Notify.SUCCESS, Notify.DELAY)), "RFC822;a+x@b")),
        ),
        (b"RCPT TO:<a@b> ORCPT=utf-8;\\x{E5}@b", Rcpt(AB, RcptParameters(None, "utf-8;å@b"))),
        ("RCPT TO:<a@b> ORCPT=utf-8;å@b".encode(), Rcpt(AB, RcptParameters(None, "utf-8;å@b"))),
        (b"DATA", Data()),
        (b"BDAT 0", Bdat(0, False)),
        (b"bdat 00012345678901234567 last", Bdat(12345678901234567, True)),
        (b"STARTTLS", StartTls()),
        (b"AUTH plain", Auth("PLAIN", None)),
        (b"AUTH SCRAM-SHA-256 =", Auth("SCRAM-SHA-256", b"")),
        (b"AUTH PLAIN AGEAYg==", Auth("PLAIN", b"\0a\0b")),
        (b"AUTH PLAIN " + b"A" * 12000, Auth("PLAIN", b"\0" * 9000)),
        (b"RSET ", Rset()),
        (b"NOOP anything", Noop()),
        (b"VRFY bob", Vrfy("bob")),
        (b"VRFY smtputf8", Vrfy("smtputf8")),
        ("VRFY bøb smtputf8".encode(), Vrfy("bøb", utf8=True)),
        (b"EXPN staff of us", Expn("staff of us")),
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
        (b"MAIL \x80", replies.NOT_UTF8),
        ("MAIL FROM:<å@b>".encode(), replies.SENDER_NOT_ASCII),
        ("MAIL FROM:<a\u202eb@b> SMTPUTF8".encode(), replies.CONTROL_CHARACTER),
        (b"NOOP " + b"x" * 1186, replies.LINE_TOO_LONG),
        (b"AUTH", replies.BAD_AUTH),
        (b"AUTH a.b", replies.BAD_AUTH),
        (b"AUTH PLAIN a", replies.BAD_BASE64),
        (b"AUTH PLAIN ==", replies.BAD_BASE64),
        (b"AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ==", replies.BAD_BASE64),
        (b"AUTH PLAIN AAAA=", replies.BAD_BASE64),
        (b"BDAT", replies.BAD_CHUNK),
        (b"BDAT -1", replies.BAD_CHUNK),
        (b"BDAT 1 1", replies.BAD_CHUNK),
        (b"BDAT LAST", replies.BAD_CHUNK),
        (b"BDAT " + b"9" * 21, replies.BAD_CHUNK),
        (b"STARTTLS now", replies.NO_ARGUMENT),
        (b"EXPN", replies.ARGUMENT_MISSING),
        (b"NOOP \x7f", replies.CONTROL_CHARACTER),
        (b"NOOP\r", replies.CONTROL_CHARACTER),
        (b"MAIL FROM:<a@b>\0", replies.CONTROL_CHARACTER),
        (b"EHLO", replies.BAD_HELLO),
        (b"EHLO " + b"a" * 256, replies.BAD_HELLO),
        (b"EHLO a\x20b", replies.BAD_HELLO),
        (b"VRFY", replies.ARGUMENT_MISSING),
        (b"DATA x", replies.NO_ARGUMENT),
        (b"MAIL FROM:<a@b> X", replies.UNKNOWN_PARAMETER),
        (b"MAIL FROM:<a@b> =1", replies.BAD_PARAMETERS),
        (b"MAIL FROM:<a@b> SIZE==1", replies.BAD_PARAMETERS),
        (b"MAIL FROM:<a@b> SIZE=1=", replies.BAD_PARAMETERS),
        (b"MAIL FROM:<a@b>  SIZE=1", replies.BAD_PARAMETERS),
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


@pytest.mark.parametrize("line", ["MAIL FROM:<a@b> SIZE=²", "MAIL FROM:<a@b> SIZE=٣", "BDAT ٣"])
def test_digits_are_those_of_ascii(line: str) -> None:
    """str.isdigit() takes more."""
    with pytest.raises(Refused) as caught:
        read_command(line.encode())
    assert caught.value.reply.code in (500, 501)


@given(st.binary(max_size=600))
def test_any_line_is_a_command_or_refused(line: bytes) -> None:
    try:
        read_command(line)
    except Refused as refused:
        assert refused.reply.code in (421, 500, 501, 550, 555)  # noqa: PT017


@given(st.sampled_from(["MAIL FROM:<a@b> ", "RCPT TO:<a@b> "]), st.text("AB=<1 -", max_size=40))
def test_parameters_of_any_form_are_refused_or_read(beginning: str, rest: str) -> None:
    try:
        read_command((beginning + rest).encode())
    except Refused as refused:
        assert refused.reply.code in (501, 555)  # noqa: PT017
    else:
        assert not rest.strip(" ")

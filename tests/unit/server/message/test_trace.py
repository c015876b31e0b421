"""The lines that the server adds (RFC 5321 4.4, RFC 4155)."""

from __future__ import annotations

import email.utils
import re
import time
from dataclasses import replace

import pytest

from mailserver.message import trace
from mailserver.message.envelope import Client, Envelope, MailParameters
from mailserver.wire.address import ReversePath

NOW = 1795442709
AT = trace.stamp(NOW)


def test_a_moment_in_three_forms() -> None:
    assert AT.date_time == "Mon, 23 Nov 2026 14:05:09 +0000"
    assert AT.ctime == "Mon Nov 23 14:05:09 2026"
    assert AT.stored == "2026-11-23 : 14 : 05"


@pytest.mark.parametrize("seconds", [0, 86_400 * 5, 951_782_400, NOW, 4_102_444_799])
def test_the_forms_are_those_of_the_standard_library(seconds: int) -> None:
    at = trace.stamp(seconds)
    assert email.utils.parsedate_to_datetime(at.date_time).timestamp() == seconds
    assert at.ctime == time.asctime(time.gmtime(seconds))
    assert at.stored == time.strftime("%Y-%m-%d : %H : %M", time.gmtime(seconds))


def test_from_line() -> None:
    assert trace.from_line("alice@mailserver", AT) == (
        b"From alice@mailserver Mon Nov 23 14:05:09 2026\n"
    )
    assert trace.from_line("", AT) == b"From MAILER-DAEMON Mon Nov 23 14:05:09 2026\n"
    assert trace.from_line('"a b"@c', AT) == b'From "a_b"@c Mon Nov 23 14:05:09 2026\n'


def test_return_path() -> None:
    assert trace.return_path("alice@mailserver") == b"Return-Path: <alice@mailserver>\n"
    assert trace.return_path("") == b"Return-Path: <>\n"


@pytest.mark.parametrize(
    ("client", "first_line", "tls"),
    [
        (
            Client("192.0.2.3", "client", True),
            b"Received: from client ([192.0.2.3]) by mailserver with ESMTP id 3f2a9c",
            b"",
        ),
        (
            Client("2001:db8::1", "client", False),
            b"Received: from client ([IPv6:2001:db8::1]) by mailserver with SMTP id 3f2a9c",
            b"",
        ),
        (
            Client("192.0.2.3", "client", True, "TLS_AES_128_GCM_SHA256"),
            b"Received: from client ([192.0.2.3]) by mailserver with ESMTPS id 3f2a9c",
            b" tls TLS_AES_128_GCM_SHA256",
        ),
    ],
)
def test_received(client: Client, first_line: bytes, tls: bytes) -> None:
    """RFC 5321 4.4, RFC 8314 4.3."""
    envelope = Envelope(client, ReversePath(None))
    line = trace.received(envelope, "mailserver", "3f2a9c", "bob@mailserver", AT)
    date = b"; Mon, 23 Nov 2026 14:05:09 +0000\n"
    assert line == first_line + b"\n\tfor <bob@mailserver>" + tls + date
    to_several = trace.received(envelope, "mailserver", "3f2a9c", "", AT)
    assert to_several == first_line + b"\n\t" + tls.strip() + date


@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize(
    ("tls", "user", "suffix"),
    [("", "", ""), ("TLS_X", "", "S"), ("", "alice", "A"), ("TLS_X", "alice", "SA")],
)
def test_how_it_came(utf8: bool, tls: str, user: str, suffix: str) -> None:
    """RFC 3848, RFC 6531 4.3."""
    client = Client("192.0.2.3", "c", True, tls, user)
    envelope = Envelope(client, ReversePath(None), MailParameters(utf8=utf8))
    assert trace.protocol(envelope) == ("UTF8SMTP" if utf8 else "ESMTP") + suffix
    hello = replace(envelope, client=replace(client, extended=False))
    assert trace.protocol(hello) == "SMTP"


def test_trace_lines_are_short_enough_to_be_sent() -> None:
    """RFC 5322 2.1.1: 998 octets, with the longest name, path and domain there can be."""
    client = Client("2001:db8:1111:2222:3333:4444:5555:6666", "a" * 255, True)
    lines = trace.received(
        Envelope(client, ReversePath(None)), "d" * 255, "f" * 30, "r" * 254, AT
    ).split(b"\n")
    assert max(map(len, lines)) <= 998


def test_stored_stamp() -> None:
    """The day, the hour and the minute in a form that is also an RFC 5322 trace field."""
    line = trace.stored_stamp(AT)
    assert line == b'Received: "2026-11-23 : 14 : 05"; Mon, 23 Nov 2026 14:05:09 +0000\n'
    assert re.fullmatch(rb'Received: "[^"\\]*"; .*\n', line)


def test_hops() -> None:
    block = b"Received: a\n\tReceived: folded\nX-Received: no\nreceived : b\nSubject: Received: c\n"
    assert trace.hops(block) == 2

"""Reports, as Python's own parser reads them."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest

from mailserver.message.envelope import MailParameters, RcptParameters, Recipient
from mailserver.message.outcome import Fate, Outcome
from mailserver.message.report import About, Action, Fact, header_of, report
from mailserver.wire.address import ForwardPath, Mailbox

NOW = 1795442709.5
HEADER = b"From: alice@a.test\r\nSubject: one\r\n"
LONG = Outcome(Fate.PERMANENT, "5.7.1", "550 5.7.1 " + "because of this " * 20, "mx.b.test")


def fact(local: str, action: Action = Action.FAILED, **more: float) -> Fact:
    path = ForwardPath(Mailbox(local, "b.test"))
    recipient = Recipient(path, RcptParameters(None, "rfc822;old+bob@old.test"))
    return Fact(action, recipient, LONG, **more)


def made(*facts: Fact, original: bytes = HEADER, whole: bool = False) -> bytes:
    about = About("id-1", NOW - 3600, MailParameters(envelope_id="id 1"), "alice@a.test")
    return report(about, facts, original, whole=whole, own_name="a.test", now=NOW)


def parsed(octets: bytes) -> tuple[EmailMessage, list[EmailMessage]]:
    assert octets.count(b"\n") == octets.count(b"\r\n")
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))
    found = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    assert found.defects == []
    return found, found.get_payload()  # type: ignore[return-value]


def test_a_failure() -> None:
    octets = made(fact("bob", last_try=NOW - 60), fact("carol"))
    found, (text, status, original) = parsed(octets)
    assert found.get_content_type() == "multipart/report"
    assert found["From"] == "Mail Delivery System <MAILER-DAEMON@a.test>"
    assert found["Subject"] == "Your message could not be delivered"
    assert found["Auto-Submitted"] == "auto-replied"
    words = text.get_content().replace("\r\n", "\n")
    assert "<bob@b.test>" in words
    assert "<carol@b.test>" in words
    assert words.startswith(
        "This is the mail server a.test. Your message\n\n    Subject: one\n"
        "    Sent: Mon, 23 Nov 2026 13:05:09 +0000\n\ncould not be delivered"
    )
    assert "by its rules.\n    mx.b.test said: 550 5.7.1 because of this" in words
    of_message, bob, carol = status.get_payload()
    assert of_message["Original-Envelope-Id"] == "id+201"
    assert of_message["Arrival-Date"] == "Mon, 23 Nov 2026 13:05:09 +0000"
    assert bob["Original-Recipient"] == "rfc822; old+bob@old.test"
    assert bob["Final-Recipient"] == "rfc822; bob@b.test"
    assert (bob["Action"], bob["Status"]) == ("failed", "5.7.1")
    assert bob["Remote-MTA"] == "dns; mx.b.test"
    assert bob["Diagnostic-Code"].startswith("smtp; 550 5.7.1 because of this because")
    assert bob["Last-Attempt-Date"] == "Mon, 23 Nov 2026 14:04:09 +0000"
    assert carol["Last-Attempt-Date"] is None
    assert original.get_content_type() == "text/rfc822-headers"
    assert b"Subject: one\r\n\r\n--" in octets


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        (b"Subject: =?utf-8?q?B=C3=BCro?=\r\n", "Subject: Büro\n"),
        (b"Subject: a\r\n b\x1b[2Jc\r\n", "Subject: a b?[2Jc\n"),
        (b"From: a@b.test\r\n", ""),
    ],
)
def test_a_person_sees_which_message_it_was(field: bytes, shown: str) -> None:
    _, (text, _, _) = parsed(made(fact("bob"), original=field))
    quoted = text.get_content().replace("\r\n", "\n").partition("Your message\n\n    ")[2]
    assert quoted.replace("\n    ", "\n").startswith(f"{shown}Sent: ")


def test_a_delay_says_until_when_it_is_tried() -> None:
    _, (text, status, _) = parsed(made(fact("bob", Action.DELAYED, until=NOW + 86_400)))
    assert "given up on Tue, 24 Nov 2026 14:05:09" in text.get_content()
    fields = status.get_payload()[1]
    assert fields["Will-Retry-Until"] == "Tue, 24 Nov 2026 14:05:09 +0000"
    assert fields["Action"] == "delayed"


def test_a_message_that_holds_the_boundary() -> None:
    first = made(fact("bob"))
    line = next(part for part in first.split(b"\r\n") if part.startswith(b"--"))
    octets = made(fact("bob"), original=HEADER + b"\r\n" + line + b"\r\ntext\r\n", whole=True)
    _, parts = parsed(octets)
    assert len(parts) == 3
    assert parts[2].get_content_type() == "message/rfc822"


def test_addresses_beyond_ascii() -> None:
    """RFC 6533."""
    octets = made(fact("büro"), original="Subject: büro\r\n".encode())
    found, (text, status, original) = parsed(octets)
    assert found.get_param("report-type") == "global-delivery-status"
    assert status.get_content_type() == "message/global-delivery-status"
    assert original.get_content_type() == "message/global-headers"
    assert "<büro@b.test>" in text.get_content()
    assert "Final-Recipient: utf-8; büro@b.test\r\n".encode() in octets


@pytest.mark.parametrize(
    ("beginning", "header"),
    [
        (b"A: b\r\n\r\ntext", b"A: b\r\n"),
        (b"\r\ntext", b""),
        (b"A: b\r\nC: d\r\n", b"A: b\r\nC: d\r\n"),
        (b"A: b\r\nC", b"A: b\r\n"),
        (b"A: " + b"b" * 100_000, b""),
        (b"A: b\r\n" * 20_000, b"A: b\r\n" * 10_922),
    ],
)
def test_the_header_of_a_message(beginning: bytes, header: bytes) -> None:
    assert header_of(beginning) == header

"""What is added to a submitted message (RFC 6409 8.2, 8.3), and what is taken out."""

from __future__ import annotations

import pytest

from mailserver.message import submission, trace

AT = trace.stamp(1795442709)
DATE = b"Date: Mon, 23 Nov 2026 14:05:09 +0000\n"
ID = b"Message-ID: <1@mailserver>\n"


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        (b"", DATE + ID),
        (b"Subject: x\n", DATE + ID),
        (b"Date: x\n", ID),
        (b"Subject: x\ndate \t: x\n", ID),
        (b"MESSAGE-ID:\n", DATE),
        (b"X-Date: x\nResent-Message-ID: x\n", DATE + ID),
        (b"Subject: x\n Date: x\n", DATE + ID),
        (b"Message-Id: x\nDate: y\n", b""),
    ],
)
def test_missing_fields(header: bytes, missing: bytes) -> None:
    assert submission.missing_fields(header, AT, "1", "mailserver") == missing


@pytest.mark.parametrize(
    ("block", "left"),
    [
        (b"To: b\nBcc: c\nSubject: x\n", b"To: b\nSubject: x\n"),
        (b"BCC :\n", b""),
        (b"Bcc: c,\n d,\n\te\nResent-bcc: f\nX-Bcc: g\n", b"X-Bcc: g\n"),
        (b"Subject: Bcc: c\n bcc: d\n", b"Subject: Bcc: c\n bcc: d\n"),
        (b"", b""),
    ],
)
def test_nobody_reads_bcc(block: bytes, left: bytes) -> None:
    assert submission.without_bcc(block) == left

"""What a server changes in a message that a user submits (RFC 6409 8)."""

from __future__ import annotations

import re

from mailserver.message.trace import Stamp

_BCC = re.compile(
    rb"^(?:resent-)?bcc[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE
)
_DATE = re.compile(rb"^date[ \t]*:", re.IGNORECASE | re.MULTILINE)
_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:", re.IGNORECASE | re.MULTILINE)


def without_bcc(header_block: bytes) -> bytes:
    """Its header without what the other recipients are not to see (RFC 5322 3.6.3), where the
    user's program left it in. LF line ends."""
    return _BCC.sub(b"", header_block)


def missing_fields(header_block: bytes, at: Stamp, message_id: str, domain: str) -> bytes:
    """The Date (8.2) and the Message-ID (8.3) that the header lacks, LF line ends."""
    missing = b""
    if not _DATE.search(header_block):
        missing += f"Date: {at.date_time}\n".encode()
    if not _MESSAGE_ID.search(header_block):
        missing += f"Message-ID: <{message_id}@{domain}>\n".encode()
    return missing

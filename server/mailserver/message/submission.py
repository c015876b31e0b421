"""What a server adds to a message that a user submits (RFC 6409 8)."""

from __future__ import annotations

import re

from mailserver.message.trace import Stamp

_DATE = re.compile(rb"^date[ \t]*:", re.IGNORECASE | re.MULTILINE)
_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:", re.IGNORECASE | re.MULTILINE)


def missing_fields(header_block: bytes, at: Stamp, message_id: str, domain: str) -> bytes:
    """The Date (8.2) and the Message-ID (8.3) that the header lacks, LF line ends."""
    missing = b""
    if not _DATE.search(header_block):
        missing += f"Date: {at.date_time}\n".encode()
    if not _MESSAGE_ID.search(header_block):
        missing += f"Message-ID: <{message_id}@{domain}>\n".encode()
    return missing

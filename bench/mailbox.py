"""mbox files: one made for reading, and the messages in one that grows."""

from __future__ import annotations

import os
from pathlib import Path

SEPARATOR = b"\n\nFrom "
MESSAGE_OCTETS = 4096
CHUNK = 1 << 20


def mailbox_of(messages: int) -> bytes:
    """An mbox of messages of about 4 KB, the same octets at every call."""
    return b"".join(_message(number) for number in range(messages))


def _message(number: int) -> bytes:
    head = (
        f"From bob@mailserver Mon Nov 23 14:{number // 60 % 60:02}:{number % 60:02} 2026\n"
        "Return-Path: <bob@mailserver>\n"
        f"Date: Mon, 23 Nov 2026 14:{number // 60 % 60:02}:{number % 60:02} +0000\n"
        "From: bob@mailserver\n"
        "To: alice@mailserver\n"
        f"Message-ID: <{number}@mailserver>\n"
        f"Subject: number {number}\n"
        "\n"
    ).encode()
    line = b"x" * 71 + b"\n"
    return head + line * ((MESSAGE_OCTETS - len(head)) // len(line)) + b"\n"


class MailboxCounter:
    """Counts the messages of an mbox that others append to; reads each octet once.

    smtp-source's lines begin with a digit or an X, so a line that begins with "From " after a
    blank line is a separator and nothing else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._found = 0
        self._tail = b"\n\n"  # the file's first line has no blank line before it

    def count(self) -> int:
        """Messages whose separator was in the file at the call; 0 when there is no file."""
        try:
            with self._path.open("rb") as file:
                end = os.fstat(file.fileno()).st_size
                file.seek(self._offset)
                while self._offset < end and (chunk := file.read(min(CHUNK, end - self._offset))):
                    self._scan(chunk)
        except FileNotFoundError:
            pass
        return self._found

    def _scan(self, chunk: bytes) -> None:
        self._offset += len(chunk)
        text = self._tail + chunk
        self._found += text.count(SEPARATOR)
        self._tail = text[-(len(SEPARATOR) - 1) :]

"""Messages as an mbox file (RFC 4155) in the form `mboxrd`: lines like its own are quoted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from mailapp import headers, people, saving
from mailapp.compose import FieldProblem, address
from mailapp.mailbox import Message

_PIECE_OCTETS = 65_536
_QUOTED = re.compile(rb">*From ")
NOBODY = "MAILER-DAEMON"


def export(messages: Iterable[Message], where: Path, name: str = "mail.mbox") -> Path:
    """A new file with these messages; each is closed when it is written. Raises OSError.

    `where` is a folder, or the path of the file; see `saving.save`.
    """
    return saving.save(where, name, _closing(messages))


def _closing(messages: Iterable[Message]) -> Iterator[bytes]:
    for message in messages:
        try:
            yield from mbox_pieces(message)
        finally:
            message.close()


def mbox_pieces(message: Message) -> Iterator[bytes]:
    """From-line, the message with newlines alone, and a blank line."""
    yield _from_line(message.headers)
    content = message.content
    content.seek(0)
    starts_line = True
    while piece := content.readline(_PIECE_OCTETS):
        if piece.endswith(b"\r"):
            piece += content.read(1)
        if starts_line and _QUOTED.match(piece):
            yield b">"
        starts_line = piece.endswith(b"\n")
        yield piece[:-2] + b"\n" if piece.endswith(b"\r\n") else piece
    yield b"\n" if starts_line else b"\n\n"


def _from_line(found: headers.Headers) -> bytes:
    """`From sender Mon Nov 23 14:05:00 2026`: as far as the header says it."""
    try:
        sender = address(people.first_sender(found).address)
        sender.encode("ascii")
    except (FieldProblem, UnicodeEncodeError):
        sender = NOBODY
    try:
        stamp = headers.received(found).replace(" : ", "T", 1).replace(" ", "")
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        moment = datetime.fromtimestamp(0, UTC)
    return f"From {sender} {moment.ctime()}\n".encode("ascii")

"""One POP3 session as a person sees it: a list, messages, marks; deletions when one leaves."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from mailapp import headers
from mailapp.mime import Structure, read_structure
from mailapp.pop3 import Pop3Client


@dataclass(frozen=True)
class Summary:
    """A line of the list. Texts are decoded, not yet visible."""

    number: int
    sender: str
    received: str  # `YYYY-MM-DD : HH : MM`, or empty
    subject: str


class Message:
    """A message fetched into a file that has no name and goes with the object."""

    def __init__(self, number: int, content: BinaryIO) -> None:
        self.number = number
        self.content = content
        self.structure: Structure = read_structure(content)

    @property
    def headers(self) -> headers.Headers:
        """The fields of the message's own header block."""
        return self.structure.parts[0].headers

    def close(self) -> None:
        """Give the file back."""
        self.content.close()


@dataclass(frozen=True)
class Farewell:
    """What leaving did: how many were deleted, and which not, with the server's words."""

    deleted: int
    refused: tuple[tuple[int, str], ...] = ()


class Mailbox:
    """An open session. Methods raise `Pop3Error`s; after all but `Refused` it is over."""

    def __init__(self, client: Pop3Client) -> None:
        self._client = client
        self.marked: set[int] = set()
        self.count, self.octets = client.count()

    def summaries(self, numbers: Sequence[int]) -> list[Summary]:
        """The list's lines for these messages; only header blocks are fetched."""
        return self._client.headers(numbers, _summary)

    def size(self, number: int) -> int:
        """The octets of a message."""
        return self._client.size(number)

    def open(self, number: int) -> Message:
        """Fetch a message. Raises OSError when there is no room for it."""
        content = tempfile.TemporaryFile()  # noqa: SIM115 - the message closes it
        try:
            self._client.retrieve(number, content.write)
            return Message(number, content)
        except BaseException:
            content.close()
            raise

    def header_lines(self, number: int) -> Iterator[str]:
        """All header lines with their newlines, decoded; a long line comes in pieces."""
        with tempfile.TemporaryFile() as content:
            self._client.retrieve_header(number, content.write)
            content.seek(0)
            starts_line = True
            while piece := content.readline(headers.MAX_VALUE_OCTETS):
                if starts_line and piece in (b"\r\n", b"\n"):
                    return
                starts_line = piece.endswith(b"\n")
                yield headers.decode_line(piece) + ("\n" if starts_line else "")

    def mark(self, numbers: Iterable[int]) -> None:
        """To be deleted when one leaves."""
        self.marked.update(numbers)

    def unmark(self, numbers: Iterable[int]) -> None:
        """To be kept."""
        self.marked.difference_update(numbers)

    def leave(self) -> Farewell:
        """DELE for the marked messages, then QUIT: now the server deletes (RFC 1939 6)."""
        refused = tuple(self._client.delete(sorted(self.marked)))
        self._client.quit()
        return Farewell(len(self.marked) - len(refused), refused)

    def abandon(self) -> None:
        """Drop the session: nothing is deleted."""
        self._client.close()


def _summary(number: int, block: bytes | None) -> Summary:
    if block is None:
        return Summary(number, "", "", "(the server does not show this message)")
    found = headers.read_headers(io.BytesIO(block))
    return Summary(number, headers.sender(found), headers.received(found), found.text("subject"))

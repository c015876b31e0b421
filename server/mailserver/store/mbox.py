"""The mailbox file: mbox with mboxrd quoting (RFC 4155), LF line ends. Octets to octets, no I/O.

A record is a From_ line, the message with each line that matches `>*From ` behind one more `>`,
and an empty line. Quoting can be undone exactly, so what comes out is what went in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

HEAD_OCTETS = 64 * 1024
"""How far into a record its header is looked for by `digest`."""
DIGEST_OCTETS = 12

RECORD_START = b"From "
_BOUNDARY = b"\n\n" + RECORD_START
_RARE = _BOUNDARY[:3]
"""Its beginning: found in half the time, or less, and seldom anything else."""
# Both match where a ">" comes or goes, and what comes is a constant: much faster than a template.
_QUOTABLE = re.compile(rb"^(?=>*From )", re.M)
_QUOTED = re.compile(rb"^>(?=>*From )", re.M)
_LONE_LF = re.compile(rb"(?<!\r)\n")
# Fields that other programs write into a stored message; they say nothing of the message itself.
_VOLATILE = re.compile(
    rb"\n(?:X-)?(?:Status|Keywords|UID|IMAP|IMAPbase|Content-Length|Lines):"
    rb"[^\n]*(?:\n[ \t][^\n]*)*(?=\n)",
    re.IGNORECASE,
)
"""Each with the line end before it, which is quicker to find than a line's beginning."""


class Quoter:
    """Adds the quoting to content that comes in chunks cut anywhere."""

    _pattern, _replacement = _QUOTABLE, b">"

    def __init__(self) -> None:
        self._held = b""  # the last octets, when they may be the beginning of "From "
        self._line_start = True  # nothing but ">" on this line so far

    def encode(self, chunk: bytes) -> bytes:
        """The chunk with its quoting, as far as it is certain."""
        octets = self._held + chunk
        last_line = octets.rfind(b"\n") + 1
        line_start = self._line_start
        ready, self._held = octets, b""
        if last_line or line_start:
            start = octets[last_line:]
            held = self._undecided(start)
            self._line_start = held is not None
            if held:
                ready, self._held = octets[: -len(held)], held
        if RECORD_START not in ready:
            return ready
        if line_start:
            return self._pattern.sub(self._replacement, ready)
        end = ready.find(b"\n") + 1 or len(ready)
        return ready[:end] + self._pattern.sub(self._replacement, ready[end:])

    def end(self) -> bytes:
        """What was held back: the content ends here."""
        held, self._held = self._held, b""
        return held

    def _undecided(self, line: bytes) -> bytes | None:
        """The octets at the line's end that may become "From ", or None when they cannot."""
        word = line.lstrip(b">")
        return word if RECORD_START.startswith(word) and word != RECORD_START else None


class Unquoter(Quoter):
    """Takes the quoting off again."""

    _pattern, _replacement = _QUOTED, b""

    def _undecided(self, line: bytes) -> bytes | None:
        word = super()._undecided(line)
        if word is None or len(word) == len(line):
            return word
        return b">" + word  # the last ">" is the one to take off


class ContentReader:
    """Turns the stored form of a message, in chunks, into its content with CRLF line ends."""

    def __init__(self) -> None:
        self._unquoter = Unquoter()
        self._after_cr = False

    def read(self, stored: bytes) -> bytes:
        """Content for this chunk, as far as it is certain."""
        return self._with_crlf(self._unquoter.encode(stored))

    def end(self) -> bytes:
        """What was held back: the message ends here."""
        return self._with_crlf(self._unquoter.end())

    def _with_crlf(self, octets: bytes) -> bytes:
        # Our own records hold no CR. A foreign file may have CRLF already: it stays as it is.
        if b"\r" not in octets and not self._after_cr:
            return octets.replace(b"\n", b"\r\n")
        if self._after_cr and octets.startswith(b"\n"):
            first, octets = b"\n", octets[1:]
        else:
            first = b""
        if octets or first:
            self._after_cr = octets.endswith(b"\r")
        return first + _LONE_LF.sub(b"\r\n", octets)


def quote(content: bytes) -> bytes:
    """The stored form of whole content with LF line ends."""
    return _QUOTABLE.sub(b">", content) if RECORD_START in content else content


def message_span(record: bytes) -> tuple[int, int]:
    """Where the message starts and ends in a record: behind the From_ line, before the empty line.

    Foreign records may lack the empty line or the last line end.
    """
    start = record.find(b"\n") + 1 or len(record)
    end = len(record)
    if record.endswith(b"\n\n") and end - 1 >= start:
        end -= 1
    return start, end


def digest(record: Iterable[bytes]) -> bytes:
    """What a record is recognised by, from its chunks; the first has HEAD_OCTETS or all of it.

    Other programs' status fields do not count, so that a unique id survives them.
    """
    state = hashlib.sha256()
    chunks = iter(record)
    head = next(chunks, b"")[:]
    header_end = head.find(b"\n\n") + 1 or len(head)
    header = _VOLATILE.sub(b"", head[:header_end])
    if len(header) < header_end:
        head = header + head[header_end:]
    state.update(head)
    for chunk in chunks:
        state.update(chunk)
    return state.digest()[:DIGEST_OCTETS]


def digest_of(record: bytes) -> bytes:
    """The same for one that is in memory."""
    return digest((record[:HEAD_OCTETS], record[HEAD_OCTETS:]))


def record_starts(chunks: Iterable[bytes]) -> Iterator[int]:
    """Offsets of the records in a mailbox file's octets: From_ lines at its start or behind an
    empty line. Nothing else ends a record; no length that a message claims is believed."""
    position = 0  # of `octets` in the file
    octets = b"\n\n"  # as if an empty line stood before the file
    position -= len(octets)
    for chunk in chunks:
        octets += chunk
        found = octets.find(_RARE)
        while found >= 0:
            if octets.startswith(_BOUNDARY, found):
                yield position + found + 2
            found = octets.find(_RARE, found + 2)
        keep = min(len(octets), len(_BOUNDARY) - 1)
        position += len(octets) - keep
        octets = octets[-keep:]


def read_record(record: bytes) -> bytes:
    """The message in a whole record, CRLF line ends, quoting undone."""
    start, end = message_span(record)
    message = record[start:end]
    if b">From " in message:
        message = _QUOTED.sub(b"", message)
    if b"\r" in message:
        return _LONE_LF.sub(b"\r\n", message)
    return message.replace(b"\n", b"\r\n")

"""A message for reading: its headers, what is attached, and its text. Streamed, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator

from mailapp import content
from mailapp.headers import Headers, with_plain_domains
from mailapp.mailbox import Message
from mailapp.mime import MAX_PARTS, Part
from mailapp.render import cut, octets, visible_line

MAX_ADDRESS_COLUMNS = 2000
_ADDRESS_FIELDS = ("From", "To", "Cc")


def pieces(message: Message) -> Iterator[str]:
    """The whole view with newlines; not yet `visible` where it is the message's own text."""
    parts = message.structure.parts
    shown = content.parts_to_show(parts)
    yield f"\nMessage {message.number}\n"
    yield from header_lines(message.headers)
    is_shown = set(shown)
    for at, part in enumerate(parts):
        is_other_form = part.content_type == "text/html" and not part.is_attachment
        if part.is_leaf and at not in is_shown and not is_other_form:
            yield _attachment(part)
    yield "\n"
    if not shown:
        yield "(This message has no text to show.)\n"
    inside = 0
    embedded = _embedded_messages(parts)
    for order, at in enumerate(shown):
        if order:
            yield "\n"
        if embedded[at] not in (inside, 0):
            yield "--- Attached message ---\n"
            yield from header_lines(parts[embedded[at]].headers)
            yield "\n"
        inside = embedded[at]
        yield from _whole_lines(content.text_of(message.content, parts[at]))
    if message.structure.is_cut:
        yield f"\n(This message has more than {MAX_PARTS:,} parts; the rest is not shown.)\n"


def body(message: Message) -> Iterator[str]:
    """The text alone, in chunks: what a reply quotes. Not yet `visible`."""
    parts = message.structure.parts
    for at in content.parts_to_show(parts):
        yield from _whole_lines(content.text_of(message.content, parts[at]))


def _embedded_messages(parts: list[Part]) -> list[int]:
    """For each part the message it is in: 0 is the message itself, others are attached ones."""
    found: list[int] = []
    for at, part in enumerate(parts):
        begins = part.parent >= 0 and parts[part.parent].content_type == "message/rfc822"
        found.append(at if begins else found[part.parent] if part.parent >= 0 else 0)
    return found


def header_lines(headers: Headers) -> Iterator[str]:
    """From, To, Cc, Date and Subject, as far as they are there."""
    for name in _ADDRESS_FIELDS:
        if line := _address_line(headers, name):
            yield line
    for name in ("Date", "Subject"):
        if text := headers.text(name.lower()):
            yield f"{name}: {visible_line(text)}\n"


def _address_line(headers: Headers, name: str) -> str:
    texts = headers.texts(name.lower())
    if not texts:
        return ""
    line = visible_line(with_plain_domains(", ".join(text for text in texts if text)))
    rest = headers.counts[name.lower()] - len(texts)
    if rest or len(line) > MAX_ADDRESS_COLUMNS:
        line = cut(line, MAX_ADDRESS_COLUMNS) + f" (and {rest:,} more lines)" * bool(rest)
        line += " (headers shows them all)"
    return f"{name}: {line}\n"


def _attachment(part: Part) -> str:
    name = visible_line(part.file_name) or "(no name)"
    kind = visible_line(part.content_type)
    return f"Attachment: {name} ({kind}, about {octets(content.decoded_size(part))})\n"


def _whole_lines(text: Iterator[str]) -> Iterator[str]:
    """The text, ended by a newline if it is not."""
    last = ""
    for chunk in text:
        last = chunk or last
        yield chunk
    if last and not last.endswith("\n"):
        yield "\n"

"""A message for reading: its headers, what is attached, and its text. Streamed, piece by piece."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

from mailapp import content, saving
from mailapp.headers import Headers, with_plain_domains
from mailapp.mailbox import Message
from mailapp.mime import MAX_PARTS, Part
from mailapp.render import cut, octets, visible_line

MAX_ADDRESS_COLUMNS = 2000
_CHUNK_OCTETS = 65_536
_ADDRESS_FIELDS = ("From", "To", "Cc")


def pieces(
    message: Message, warnings: Iterable[str] = (), form: str = content.PLAIN
) -> Iterator[str]:
    """The whole view with newlines; not yet `visible` where it is the message's own text.

    `warnings` are why its sender may not be who it seems (`mailbox.warnings`), and `form` is what
    is taken where its text is there in several.
    """
    parts = message.structure.parts
    shown = content.parts_to_show(parts, form)
    yield f"\nMessage {message.number}\n"
    yield from header_lines(message.headers)
    for warning in warnings:
        yield f"Warning: {visible_line(warning)}\n"
    for item in saving.enclosed(message):
        yield attachment_line(item)
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


def has_html(message: Message) -> bool:
    """Whether there is something to see in the form HTML."""
    parts = message.structure.parts
    return any(
        parts[at].content_type == content.HTML for at in content.parts_to_show(parts, content.HTML)
    )


def body(message: Message, form: str = content.PLAIN) -> Iterator[str]:
    """The text alone, in chunks: what a reply quotes. Not yet `visible`."""
    parts = message.structure.parts
    for at in content.parts_to_show(parts, form):
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


def attachment_line(item: saving.Enclosed) -> str:
    """The number to save it by, its name, type and size."""
    name = visible_line(item.name) or "(no name)"
    kind = visible_line(item.content_type)
    return f"Attachment {item.number}: {name} ({kind}, about {octets(item.octets)})\n"


def source(message: Message) -> Iterator[str]:
    """The message as it came, in chunks; octets that are no UTF-8 as escapes. Not `visible` yet."""
    message.content.seek(0)
    octets_read = iter(lambda: message.content.read(_CHUNK_OCTETS), b"")
    return content.newlines(codecs.iterdecode(octets_read, "utf-8", "backslashreplace"))


def _whole_lines(text: Iterator[str]) -> Iterator[str]:
    """The text, ended by a newline if it is not."""
    last = ""
    for chunk in text:
        last = chunk or last
        yield chunk
    if last and not last.endswith("\n"):
        yield "\n"

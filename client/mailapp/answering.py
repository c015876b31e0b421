"""Replies and forwards as drafts. Pure: what a person then changes is theirs.

Their text begins with an empty line, which parts it from what is written above.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mailapp import headers, people
from mailapp.compose import MAX_SUBJECT_CHARACTERS, Attachment, Draft, FieldProblem, address
from mailapp.headers import Headers
from mailapp.people import Person

MAX_QUOTED_LINES = 2000
MAX_QUOTED_CHARACTERS = 900  # of one line
MAX_REFERENCES = 20
_REPLY = re.compile(r"\s*(re|aw|sv)\s*(\[\d+\])?\s*:\s*", re.IGNORECASE)
_FORWARD = re.compile(r"\s*(fwd?|wg)\s*:\s*", re.IGNORECASE)


def reply(own: str, found: Headers, text: Iterable[str], to_all: bool = False) -> Draft:
    """To who wrote it, or to all; the text is quoted. `own` is left out of the recipients."""
    asked = people.people(found.raw("reply-to")) or people.people(found.raw("from"))
    to = _addresses(asked, {own}) or _addresses(asked, set())
    others: tuple[str, ...] = ()
    if to_all:
        everybody = [*people.people(found.raw("to")), *people.people(found.raw("cc"))]
        others = _addresses(everybody, {own, *to})
    message_id = headers.message_id(found)
    thread = (*headers.references(found), message_id) if message_id else ()
    return Draft(
        own,
        to,
        _subject(found, "Re: ", _REPLY),
        ("", _introduction(found), *_quoted(text), ""),
        cc=others,
        in_reply_to=message_id,
        references=thread if len(thread) <= MAX_REFERENCES else (thread[0], *thread[-19:]),
    )


def forward(own: str, found: Headers, text: Iterable[str]) -> Draft:
    """Its text passed on, with who wrote it and when."""
    names = ("From", "Date", "Subject", "To", "Cc")
    texts = ((name, _one_line(found.text(name.lower()))) for name in names)
    fields = (f"{name}: {text}" for name, text in texts if text)
    body = ("", "---------- Forwarded message ----------", *fields, "", *_bounded(text))
    return Draft(own, (), _subject(found, "Fwd: ", _FORWARD), body)


def forward_whole(own: str, found: Headers, content: bytes) -> Draft:
    """The message itself as an attachment (RFC 2046 5.2.1)."""
    attached = Attachment("message.eml", "message/rfc822", content)
    return Draft(own, (), _subject(found, "Fwd: ", _FORWARD), ("",), attachments=(attached,))


def _addresses(asked: Iterable[Person], without: set[str]) -> tuple[str, ...]:
    """Those that can be written to, each once."""
    seen = {one.lower() for one in without}
    found = []
    for person in asked:
        try:
            valid = address(person.address)
        except FieldProblem:
            continue
        if valid.lower() not in seen:
            seen.add(valid.lower())
            found.append(valid)
    return tuple(found)


def _subject(found: Headers, prefix: str, already: re.Pattern[str]) -> str:
    subject = _one_line(found.text("subject"))
    kept = subject if already.match(subject) else prefix + subject
    return kept[:MAX_SUBJECT_CHARACTERS].strip()


def _introduction(found: Headers) -> str:
    when = found.text("date")
    return _one_line(f"{'On ' + when + ', ' if when else ''}{people.sender(found)} wrote:")


def _one_line(text: str) -> str:
    """Fit for a field and for a line of the body: no control character, no broken text."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _quoted(text: Iterable[str]) -> Iterator[str]:
    return (f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in _bounded(text))


def _bounded(text: Iterable[str]) -> Iterator[str]:
    """The lines of a text that comes in chunks, as many as a person would quote."""
    held, count = "", 0
    for chunk in text:
        *lines, held = (held + chunk).split("\n")
        for line in lines:
            if count == MAX_QUOTED_LINES:
                yield "[…]"
                return
            yield _one_line(line[:MAX_QUOTED_CHARACTERS]) if not line.isprintable() else line
            count += 1
        held = held[:MAX_QUOTED_CHARACTERS]
    if held:
        yield _one_line(held)

"""Replies as the client's side of SMTP reads them (RFC 5321 4.2), bounded."""

from __future__ import annotations

import re
from dataclasses import replace

from mailserver.message.outcome import Fate, Outcome
from mailserver.wire.lines import LineBuffer, LineFault
from mailserver.wire.value import value

LINE_LIMIT = 4096
"""Octets of a reply line; RFC 5321 4.5.3.1.5 lets servers send 512, some send more."""
LINES_LIMIT = 200
"""Lines of a reply."""
TEXT_LIMIT = 1000
"""Characters of a reply that are kept as the reason of a failure."""

_LINE = re.compile(rb"([2-5][0-9]{2})([ -]?)(.*)", re.DOTALL)
_STATUS = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?: |$)")


class NoReply(Exception):
    """What came is no reply of SMTP. Says why."""


@value(frozen=True, slots=True)
class ReceivedReply:
    """One whole reply."""

    code: int
    lines: tuple[str, ...]
    """Without code and hyphen; what cannot be seen stands as `?`."""

    @property
    def status(self) -> str:
        """RFC 2034's, or one made of the code."""
        found = _STATUS.match(self.lines[0])
        if found and found[1][0] == str(self.code)[0]:
            return found[1]
        return f"{self.code // 100}.0.0"

    @property
    def text(self) -> str:
        """On one line, with its code and one status, cut to a length that can be shown."""
        first, *others = self.lines
        words = [first, *(line.removeprefix(self.status).strip() for line in others)]
        return f"{self.code} {' '.join(filter(None, words))}".rstrip()[:TEXT_LIMIT]

    def outcome(self, said_by: str) -> Outcome:
        """What it means for a recipient, by its first digit (RFC 5321 4.3.2)."""
        if self.code < 300:
            return Outcome(Fate.DELIVERED, self.status, self.text, said_by)
        if self.code >= 500:
            return Outcome(Fate.PERMANENT, self.status, self.text, said_by)
        status = self.status if self.code >= 400 else "4.5.0"
        return Outcome(Fate.TEMPORARY, status, self.text, said_by)


def of_recipient(outcome: Outcome) -> Outcome:
    """What an answer to RCPT means: 552 for too many recipients is 452 (RFC 5321 4.5.3.1.10)."""
    if outcome.text.startswith("552") and outcome.status in ("5.0.0", "5.5.3"):
        return replace(outcome, fate=Fate.TEMPORARY, status=f"4{outcome.status[1:]}")
    return outcome


class ReplyReader:
    """Takes octets as they come and gives whole replies."""

    def __init__(self) -> None:
        self._lines = LineBuffer(LINE_LIMIT)
        self._code = 0
        self._texts: list[str] = []

    def feed(self, octets: bytes) -> None:
        """Take octets."""
        self._lines.feed(octets)

    def next_reply(self) -> ReceivedReply | None:
        """The next one, None when it is not whole yet; raises NoReply."""
        while (line := self._lines.next_line()) is not None:
            if isinstance(line, LineFault):
                raise NoReply(f"a reply with a fault: {line.value}")
            found = _LINE.fullmatch(line)
            # "250" alone is a reply, "2504" is none (RFC 5321 4.2)
            if found is None or (found[3] and not found[2]):
                raise NoReply(f"this is no reply: {_visible(line)[:80]}")
            code = int(found[1])
            if self._texts and code != self._code:
                raise NoReply(f"a reply with two codes, {self._code} and {code}")
            self._code = code
            self._texts.append(_visible(found[3]))
            if found[2] != b"-":
                texts, self._texts = self._texts, []
                return ReceivedReply(code, tuple(texts))
            if len(self._texts) >= LINES_LIMIT:
                raise NoReply(f"a reply of more than {LINES_LIMIT} lines")
        return None

    @property
    def waits(self) -> bool:
        """There are octets that were not given yet."""
        return len(self._lines) > 0 or bool(self._texts)


def _visible(octets: bytes) -> str:
    text = octets.decode("utf-8", "replace")
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "?" for character in text)

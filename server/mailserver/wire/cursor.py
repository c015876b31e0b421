"""A place in a command line: grammar rules take from it what they need or say what they miss."""

from __future__ import annotations

import re


class SyntaxProblem(Exception):
    """A line that does not follow its grammar: where, and what was expected there."""

    def __init__(self, position: int, expected: str) -> None:
        super().__init__(f"expected {expected} at position {position + 1}")
        self.position = position
        self.expected = expected


class Cursor:
    """Reads a text from left to right."""

    __slots__ = ("_ascii", "position", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self._ascii = text.isascii()

    def at_end(self) -> bool:
        """True when everything has been taken."""
        return self.position >= len(self.text)

    def peek(self) -> str:
        """The next character without taking it; empty at the end."""
        return self.text[self.position : self.position + 1]

    def take(self, literal: str) -> bool:
        """Take this very text if it comes next."""
        if not self.text.startswith(literal, self.position):
            return False
        self.position += len(literal)
        return True

    def take_word(self, word: str) -> bool:
        """Take this text if it comes next, in whatever case (RFC 5321 2.4)."""
        end = self.position + len(word)
        if self.text[self.position : end].upper() != word.upper():
            return False
        self.position = end
        return True

    def expect(self, literal: str, what: str = "") -> None:
        """Take this very text, or raise SyntaxProblem."""
        if not self.take(literal):
            raise self.problem(what or repr(literal))

    def take_match(self, pattern: re.Pattern[str]) -> str:
        """Take what the pattern matches here, perhaps nothing."""
        match = pattern.match(self.text, self.position)
        if match is None:
            return ""
        self.position = match.end()
        return match[0]

    def octets_since(self, start: int) -> int:
        """How much was taken since that position, in UTF-8."""
        if self._ascii:
            return self.position - start
        return len(self.text[start : self.position].encode())

    def problem(self, expected: str) -> SyntaxProblem:
        """The error of this place."""
        return SyntaxProblem(self.position, expected)

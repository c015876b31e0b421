"""The two ends of the conversation with a person, on a terminal or in a pipe."""

from __future__ import annotations

import io
import os
import shutil
import sys
import termios
from typing import TextIO

from mailapp.render import rows, visible, wrapped_words

PIPE_COLUMNS = 80
_PARTIAL_LINE = 4096  # characters of an unfinished line that a page keeps back


class EndOfInput(Exception):
    """Nobody is going to type anything more."""


class OutputClosed(Exception):
    """Nobody reads any more."""


class Terminal:
    """Lines in, text out. Whatever is written is made `visible` here, at the last door."""

    def __init__(self, source: TextIO, sink: TextIO) -> None:
        self._source = source
        self._sink = sink
        self.is_typed = source.isatty()  # by a person
        self.is_interactive = self.is_typed and sink.isatty()
        self._prompt = ""  # what is asked now

    @property
    def columns(self) -> int:
        """The width to fill; lines are one less, for a terminal wraps at its last column."""
        return max(40, shutil.get_terminal_size().columns) if self.is_interactive else PIPE_COLUMNS

    @property
    def lines(self) -> int:
        """The height of the screen."""
        return max(5, shutil.get_terminal_size().lines)

    def write(self, text: str) -> None:
        """Raises OutputClosed when the reader went away."""
        try:
            self._sink.write(visible(text))
        except OSError:
            raise OutputClosed from None

    def say(self, text: str) -> None:
        """Whole lines; on a terminal they are wrapped at words. Raises OutputClosed."""
        self.write(self._wrapped(text) + "\n")

    def _wrapped(self, text: str) -> str:
        if not self.is_interactive:
            return text
        lines = visible(text).split("\n")
        return "\n".join(row for one in lines for row in wrapped_words(one, self.columns - 1))

    def write_now(self, text: str) -> None:
        """`write`, to be seen at once. Raises OutputClosed."""
        self.write(text)
        self.flush()

    def interject(self, text: str) -> None:
        """From a signal handler: past the sink, which may be at work. What is asked, is again."""
        said = visible(f"\n{text}\n{self._prompt}")
        os.write(self._sink.fileno(), said.encode(self._sink.encoding, "backslashreplace"))

    def read_line(self, prompt: str = "") -> str:
        """A line without its end. Raises EndOfInput."""
        self._prompt = self._wrapped(prompt)
        self.write_now(self._prompt)
        try:
            line = self._source.readline()
        except OSError:  # the terminal is gone
            line = ""
        finally:
            self._prompt = ""
        if prompt and not (self.is_typed and line.endswith("\n")):
            self.write("\n")  # nobody pressed Enter: end the prompt's line here
        if not line:
            raise EndOfInput
        return line.removesuffix("\n").removesuffix("\r")

    def read_secret(self, prompt: str) -> str:
        """`read_line`, not shown while it is typed."""
        if not self.is_typed:
            return self.read_line(prompt)
        descriptor = self._source.fileno()
        before = termios.tcgetattr(descriptor)
        silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
        try:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, silent)
            line = self.read_line(prompt)
            self.write("\n")
            return line
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    def flush(self) -> None:
        """Raises OutputClosed when the reader went away."""
        try:
            self._sink.flush()
        except OSError:
            raise OutputClosed from None


def standard_terminal() -> Terminal:
    """Standard input and output; no octet and no character can make them raise.

    What is typed in no valid encoding arrives as lone surrogates, and is refused where it matters.
    """
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape", newline="\n")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return Terminal(sys.stdin, sys.stdout)


class StoppedReading(Exception):
    """The person has seen enough of this text."""


class Pager:
    """A long text page by page on a terminal, straight through in a pipe."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._partial = ""
        self._left = terminal.lines - 2

    def write(self, text: str) -> None:
        """Text in chunks of any size. Raises StoppedReading, EndOfInput, OutputClosed."""
        if not self._terminal.is_interactive:
            self._terminal.write(text)
            return
        *whole, self._partial = (self._partial + visible(text)).split("\n")
        for line in whole:
            self._write_line(line, "\n")
        if len(self._partial) > _PARTIAL_LINE:
            cut = len(self._partial) - len(self._partial) % self._terminal.columns
            self._write_line(self._partial[:cut], "")
            self._partial = self._partial[cut:]

    def end(self) -> None:
        """The text is complete; end its last line."""
        if self._partial:
            self._write_line(self._partial, "\n")
            self._partial = ""

    def _write_line(self, line: str, end: str) -> None:
        pieces = rows(line, self._terminal.columns)
        for at, piece in enumerate(pieces):
            if self._left <= 0:
                self._pause()
            self._terminal.write(piece + (end if at == len(pieces) - 1 else ""))
            self._left -= 1

    def _pause(self) -> None:
        answer = self._terminal.read_line("-- Enter: next page, q: stop here -- ")
        if answer.strip().lower() in {"q", "quit"}:
            raise StoppedReading
        self._left = self._terminal.lines - 2

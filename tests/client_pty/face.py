"""The full screen in a pseudo-terminal, with a screen model that says what a person sees."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence

import pexpect
import pyte

DEADLINE_SECONDS = 20.0
KEYS = {
    "Enter": "\r",
    "Tab": "\t",
    "Esc": "\x1b",
    "Up": "\x1b[A",
    "Down": "\x1b[B",
    "Home": "\x1b[H",
} | {f"Ctrl-{letter}": chr(ord(letter) - 64) for letter in "ACDEKLUWZ"}


class Face:
    """One run of the client; `columns` x `rows` is its terminal."""

    def __init__(
        self,
        command: Sequence[str],
        env: dict[str, str],
        columns: int = 80,
        rows: int = 24,
        folder: str | None = None,
        patience_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._patience = patience_seconds
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self.raw = ""
        self.child: pexpect.spawn[str] = pexpect.spawn(
            command[0],
            list(command[1:]),
            encoding="utf-8",
            timeout=patience_seconds,
            cwd=folder,
            dimensions=(rows, columns),
            env=env,
        )
        self.child.delaybeforesend = None  # type: ignore[assignment]

    @property
    def rows(self) -> list[str]:
        """What is seen, row by row."""
        width, height = self.screen.columns, self.screen.lines
        shown = [[self.screen.buffer[y][x].data for x in range(width)] for y in range(height)]
        return ["".join(row).rstrip() for row in shown]

    @property
    def text(self) -> str:
        """All rows."""
        return "\n".join(self.rows)

    def waits_for(self, *texts: str, without: str = "") -> str:
        """Returns what is seen once all of these are."""
        return self.waits_until(
            lambda: (
                all(text in self.text for text in texts) and not (without and without in self.text)
            ),
            str(texts),
        )

    def waits_until(self, condition: Callable[[], bool], what: str) -> str:
        """Returns what is seen once it is so: a screen may come in pieces."""
        deadline = time.monotonic() + self._patience
        while not condition():
            assert time.monotonic() < deadline, f"no {what} in:\n{self.text}"
            try:
                octets = self.child.read_nonblocking(65_536, timeout=1)
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                raise AssertionError(f"it ended; no {what} in:\n{self.text}") from None
            self.raw += octets
            self._stream.feed(octets)
        return self.text

    def types(self, *keys: str) -> None:
        """Names of KEYS, or text."""
        for key in keys:
            self.child.send(KEYS.get(key, key))

    def ends(self) -> int:
        """The exit status, once it is over."""
        self.child.expect(pexpect.EOF)
        self.raw += self.child.before or ""
        self.child.wait()
        return int(self.child.exitstatus if self.child.exitstatus is not None else -1)

    def close(self) -> None:
        """Whatever state it is in."""
        end(self.child)


def end(child: pexpect.spawn[str]) -> None:
    """Whatever it does, and at once: pexpect's own way waits after each attempt."""
    if child.closed:
        return
    if child.isalive():
        child.kill(signal.SIGKILL)
        child.wait()
    child.ptyproc.delayafterclose = 0
    child.close()

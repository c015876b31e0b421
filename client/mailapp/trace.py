"""The dialogue with a server, line by line, for whoever looks on: `--trace`, the live view, doctor.

Secrets are hidden here, before anybody sees the line. Texts are raw: show them by `render`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mailapp.value import value

CLIENT, SERVER, NOTE = "C", "S", "*"
HIDDEN = "********"
MAX_CONTENT_LINES = 40  # of a message or a listing; then only octets are counted
MAX_LINE_CHARACTERS = 1000


@value(frozen=True)
class Line:
    """One line of a dialogue."""

    moment: datetime  # knows its zone
    protocol: str  # `SMTP` or `POP3`
    who: str  # CLIENT, SERVER, or NOTE for what happened to the connection
    text: str
    state: str  # the session's, such as `AUTHORIZATION`


Watch = Callable[[Line], object]


def nobody(_: Line) -> None:
    """Looks on, and sees nothing."""


class Trace:
    """What one connection tells of itself. `state` is the session's, kept up by its client."""

    def __init__(self, protocol: str, watch: Watch, state: str = "") -> None:
        self.protocol = protocol
        self.state = state
        self._watch = watch

    def client(self, line: str) -> None:
        """A line that was sent; a password in it is hidden by the one who says it."""
        self.tell(CLIENT, line)

    def server(self, line: str) -> None:
        """A line that came."""
        self.tell(SERVER, line)

    def note(self, text: str) -> None:
        """Connected, encrypted, closed."""
        self.tell(NOTE, text)

    def content(self, who: str) -> Content:
        """For mail, or a listing, on its way."""
        return Content(self, who)

    def tell(self, who: str, text: str) -> None:
        """A line of either side."""
        moment = datetime.now().astimezone()
        self._watch(Line(moment, self.protocol, who, text[:MAX_LINE_CHARACTERS], self.state))


class Content:
    """Octets on their way, of which the first lines are shown and the others counted."""

    def __init__(self, trace: Trace, who: str) -> None:
        self._trace = trace
        self._who = who
        self._held = b""
        self._lines = 0
        self._rest = 0

    def feed(self, octets: bytes) -> None:
        """The next octets, cut anywhere."""
        if self._lines >= MAX_CONTENT_LINES:
            self._rest += len(octets)
            return
        *lines, self._held = (self._held + octets).split(b"\n")
        shown = lines[: MAX_CONTENT_LINES - self._lines]
        for line in shown:
            self._trace.tell(self._who, line.removesuffix(b"\r").decode("utf-8", "replace"))
        self._lines += len(shown)
        self._rest += sum(len(line) + 1 for line in lines[len(shown) :])
        if self._lines >= MAX_CONTENT_LINES or len(self._held) > MAX_LINE_CHARACTERS:
            self._rest += len(self._held)
            self._held = b""

    def end(self) -> None:
        """That was all."""
        if self._rest or self._held:
            rest = self._rest + len(self._held)
            self._trace.note(f"… {rest:,} octets more")


def as_text(line: Line) -> str:
    """A line as `--trace` writes it: `14:05:09.123 POP3 C: STAT`. Not yet visible."""
    clock = line.moment.strftime("%H:%M:%S.%f")[:-3]
    return f"{clock} {line.protocol} {line.who}: {line.text}"

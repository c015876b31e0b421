"""Mail servers on loopback addresses that take messages, put them off, refuse them or cut the line;
and that know what they said.

`Sink.answered` has a line for each recipient whose fate was said, or decided without a word:
when the sender hears of it is what the kills are about.
"""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

from tests.torture.oracle import Violation, fingerprint

ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4")
NEVER = "never"
"""How addresses begin that are always refused."""
SECONDS = 20.0
"""A sender that says nothing for so long hangs."""


class Fate(Enum):
    """What the sender was told, at the end."""

    TAKEN = "taken"
    REFUSED = "refused"
    TAKEN_IN_SILENCE = "taken, and the line was cut"


@dataclass
class Answer:
    """To one recipient of one transaction."""

    address: str
    fate: Fate
    last: bool = True
    """The sender has not gone on, on this connection."""


class Odd(Enum):
    """What may happen in a session; mostly nothing does."""

    GREETING = b"421 busy"
    MAIL = b"451 not now"
    RCPT = b"450 greylisted"
    DATA = b"452 full"
    CUT_IN_CONTENT = b"cut"
    END = b"451 no room"
    REFUSE = b"554 not this one"
    CUT = b"cut, and forgotten"
    KEEP_AND_CUT = b"cut, and kept"


ODDITY = 0.15
"""How many of the transactions are odd."""


@dataclass
class Sink:
    """Servers at ADDRESSES, all at one port; the last one is away until `behave`."""

    dice: random.Random
    expected: Callable[[str], str]
    """The fingerprint of the body that an address is to get."""
    answered: list[Answer] = field(default_factory=list)
    ended: int = 0
    """Transactions that came to their final dot."""
    strange: list[BaseException] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._good = False
        self._sessions: list[threading.Thread] = []
        self._listening = list(_bind(ADDRESSES))
        self.port = self._listening[0].getsockname()[1]
        for one in self._listening[:-1]:
            self._listen(one)

    def _listen(self, bound: socket.socket) -> None:
        bound.listen(100)
        threading.Thread(target=self._accept, args=(bound,), daemon=True).start()

    def behave(self) -> None:
        """From now on all is taken, but for those who never get anything."""
        self._good = True
        self._listen(self._listening[-1])

    def close(self) -> None:
        for one in self._listening:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def wait_alone(self) -> None:
        """Every session is over: the sender is dead."""
        for session in self._sessions:
            session.join(SECONDS)
            if session.is_alive():
                raise Violation("a connection of a dead server goes on")
        self._sessions.clear()

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = listening.accept()
                session = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                session.start()
                self._sessions.append(session)

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(SECONDS)
            with connection, connection.makefile("rb") as lines:
                _Session(self, connection, lines).run()
        except (ConnectionError, EOFError):
            pass
        except BaseException as problem:  # noqa: BLE001 - the test shows it
            self.strange.append(problem)

    def oddity(self) -> Odd | None:
        """Of the next transaction."""
        with self._lock:
            if self._good or self.dice.random() > ODDITY:
                return None
            return self.dice.choice(list(Odd))

    def slowness(self) -> float:
        """Seconds until the answer to the final dot."""
        with self._lock:
            return 0.0 if self._good else self.dice.choice([0.0, 0.0, 0.005, 0.02])

    def say_of(self, addresses: list[str], fate: Fate) -> list[Answer]:
        """Before the answer is sent: it may arrive at once."""
        answers = [Answer(address, fate) for address in addresses]
        with self._lock:
            self.answered += answers
        return answers

    def count_end(self) -> None:
        with self._lock:
            self.ended += 1


def _bind(addresses: tuple[str, ...]) -> Iterator[socket.socket]:
    port = 0
    for address in addresses:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
        port = bound.getsockname()[1]
        yield bound


class _Session:
    """One connection."""

    def __init__(self, sink: Sink, connection: socket.socket, lines: Iterator[bytes]) -> None:
        self._sink = sink
        self._connection = connection
        self._lines = lines
        self._odd: Odd | None = None
        self._recipients: list[str] = []
        self._last: list[Answer] = []

    def run(self) -> None:
        self._odd = self._sink.oddity()
        if self._odd is Odd.GREETING:
            return self._say(self._odd.value)
        self._say(b"220 sink")
        for line in self._lines:
            verb = line[:4].upper()
            if verb == b"QUIT":
                return self._say(b"221 bye")
            if verb == b"DATA":
                if not self._data():
                    return None
            else:
                self._say(self._answer(verb, line))
        return None

    def _answer(self, verb: bytes, line: bytes) -> bytes:
        if verb == b"EHLO":
            return b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME"
        if verb == b"MAIL":
            for answer in self._last:  # the sender has gone on: it has taken note of these
                answer.last = False
            self._last, self._recipients = [], []
            self._odd = self._sink.oddity()
            return Odd.MAIL.value if self._odd is Odd.MAIL else b"250 sender"
        if verb == b"RCPT":
            if self._odd is Odd.MAIL:
                return b"503 no sender"
            address = line.partition(b"<")[2].partition(b">")[0].decode()
            if address.startswith(NEVER):
                self._last += self._sink.say_of([address], Fate.REFUSED)
                return b"550 5.1.1 never"
            if self._odd is Odd.RCPT:
                self._odd = None  # the others of the message get it
                return Odd.RCPT.value
            self._recipients.append(address)
            return b"250 recipient"
        return b"250 well"

    def _data(self) -> bool:
        """False: that was the last word on this connection."""
        if not self._recipients:
            self._say(b"554 nobody")
            return True
        if self._odd is Odd.DATA:
            self._say(Odd.DATA.value)
            return True
        self._say(b"354 go")
        content = self._content()
        if self._odd is Odd.CUT_IN_CONTENT:
            return False
        if pause := self._sink.slowness():
            threading.Event().wait(pause)
        self._check(content)
        try:
            return self._end()
        finally:
            self._sink.count_end()

    def _end(self) -> bool:
        match self._odd:
            case Odd.CUT:
                return False
            case Odd.KEEP_AND_CUT:
                self._last += self._sink.say_of(self._recipients, Fate.TAKEN_IN_SILENCE)
                return False
            case Odd.END:
                self._say(Odd.END.value)
            case Odd.REFUSE:
                self._last += self._sink.say_of(self._recipients, Fate.REFUSED)
                self._say(Odd.REFUSE.value)
            case _:
                self._last += self._sink.say_of(self._recipients, Fate.TAKEN)
                self._say(b"250 taken")
        return True

    def _content(self) -> bytes:
        found = []
        for line in self._lines:
            if line == b".\r\n":
                return b"".join(found)
            found.append(line.removeprefix(b"."))
            if self._odd is Odd.CUT_IN_CONTENT and len(found) > 3:
                return b""
        raise EOFError

    def _check(self, content: bytes) -> None:
        body = fingerprint(content.partition(b"\r\n\r\n")[2])
        for address in self._recipients:
            if self._sink.expected(address) != body:
                raise Violation(f"{address} gets what is not its message")

    def _say(self, reply: bytes) -> None:
        self._connection.sendall(reply + b"\r\n")

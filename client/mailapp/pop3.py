"""A small streaming POP3 client (RFC 1939, 2449, 2595, 5034).

One connection, synchronous; `cancel` may be called from another thread. A message of any size, with
lines of any length, goes to a sink in chunks and is never held whole; status lines are bounded.
What a server says unasked ends the connection.
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from mailapp import sasl
from mailapp.link import Link, Tls, first_use
from mailapp.pop3_wire import (
    MAX_STATUS_OCTETS,
    BadArgument,
    Cancelled,
    ConnectionLost,
    LoginRefused,
    MailboxInUse,
    Pop3Error,
    Pop3Wire,
    ProtocolError,
    Refused,
    Sink,
)
from mailapp.trace import HIDDEN

__all__ = [
    "MAX_STATUS_OCTETS",
    "BadArgument",
    "Cancelled",
    "ConnectionLost",
    "LoginRefused",
    "MailboxInUse",
    "Pop3Client",
    "Pop3Error",
    "ProtocolError",
    "Refused",
    "open_session",
]

T = TypeVar("T")

MAX_COMMAND_OCTETS = 255  # RFC 2449 4, with the CRLF
MAX_CAPABILITIES_OCTETS = 65_536
MAX_LISTING_OCTETS = 400_000_000  # of UIDL or LIST, for MAX_MESSAGES
MAX_HEADER_OCTETS = 1_048_576  # of each message in a list
MAX_MESSAGES = 10_000_000
WINDOW = 100  # commands under way at a time where PIPELINING is offered (RFC 2449 6.6)
MANY = 400  # from so many messages on, UIDL and LIST are asked for all at once
_UNIQUE_ID = re.compile(r"[!-~]{1,70}")  # RFC 1939 7


def open_session(host: str, port: int, link: Link, user: str, password: str) -> Pop3Client:
    """Connect and log in. Raises Unreachable (Unsafe too) or a Pop3Error; all is closed then."""
    client = first_use(link, lambda link: Pop3Client(host, port, link))
    try:
        client.login(user, password)
    except BaseException:
        client.close()
        raise
    return client


class Pop3Client:
    """One session. Everything but `Refused` and `BadArgument` also closes the connection."""

    def __init__(self, host: str, port: int, link: Link | None = None) -> None:
        """Connect, read greeting and capabilities, encrypt. Raises Unreachable or a Pop3Error."""
        link = link or Link()
        self._wire = Pop3Wire(host, port, link)
        try:
            if link.tls is Tls.IMPLICIT:
                self._wire.start_tls()
            self._wire.be_patient()
            self.greeting = self._wire.read_status()
            self.capabilities = self._ask_for_capabilities()
            if self._wire.wants_tls("STLS" in self.capabilities):
                self._ask("STLS")
                self._wire.start_tls()
                self.capabilities = self._ask_for_capabilities()  # RFC 2595 4
        except BaseException:
            self.close()
            raise

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS is in use."""
        return isinstance(self._wire.connection, ssl.SSLSocket)

    @property
    def _window(self) -> int:
        return WINDOW if "PIPELINING" in self.capabilities else 1

    def close(self) -> None:
        """Drop the connection without QUIT: nothing is deleted."""
        self._wire.close()

    def cancel(self) -> None:
        """From another thread: what is under way ends with Cancelled, and the session with it."""
        self._wire.cancel()

    def login(self, user: str, password: str) -> None:
        """SASL (RFC 5034) where it is offered, else USER and PASS (RFC 1939 7).

        Raises LoginRefused, MailboxInUse, Refused, BadArgument or ClearPassword.
        """
        for argument in (user, password):
            _line(("USER", argument))
        offered = self.capabilities.get("SASL", ())
        ways = sasl.mechanisms(offered, user, password, self.is_encrypted)
        try:
            for mechanism in ways:
                if self._is_accepted(mechanism, is_last=mechanism is ways[-1]):
                    break
            else:
                self._wire.check_password_is_safe()
                self._ask("USER", user)
                self._ask("PASS", password, shown=f"PASS {HIDDEN}")
        except Refused as refusal:
            problem = _login_problem(refusal)
            problem.is_encrypted = self.is_encrypted
            raise problem from None
        self._wire.trace.state = "TRANSACTION"

    def _is_accepted(self, mechanism: sasl.Mechanism, is_last: bool) -> bool:
        """A server may offer SCRAM and yet not have the keys of this account: then the next."""
        if mechanism.shows_password:
            self._wire.check_password_is_safe()
        try:
            self._authenticate(mechanism)
        except Refused as refusal:
            if is_last or refusal.code not in {"", "AUTH"}:
                raise
            return False
        return True

    def _authenticate(self, mechanism: sasl.Mechanism) -> None:
        """AUTH with its challenges (RFC 5034 4). Raises Refused or ProtocolError."""
        first = base64.b64encode(mechanism.first()).decode()
        words = ("AUTH", mechanism.name, first)
        is_sent = len(" ".join(words)) + 2 <= MAX_COMMAND_OCTETS
        shown = " ".join([*words[:2], HIDDEN] if is_sent else words[:2])
        self._wire.send(_line(words if is_sent else words[:2]), shown)
        with self._wire.closing_on_error():
            while True:
                indicator, text = self._wire.read_reply()
                if indicator == "+OK":
                    break
                try:
                    challenge = base64.b64decode(text, validate=True)
                    response = mechanism.next(challenge) if is_sent else mechanism.first()
                except (sasl.BadChallenge, binascii.Error) as problem:
                    raise ProtocolError(f"the login was broken off: {problem}") from problem
                is_sent = True
                self._wire.send(base64.b64encode(response) + b"\r\n", HIDDEN)
            if not mechanism.accepted():
                raise ProtocolError("the server says yes without showing that it is itself")

    def _ask_for_capabilities(self) -> dict[str, tuple[str, ...]]:
        """CAPA (RFC 2449 5): names in capitals to their arguments; empty when it is not known."""
        listing = _Bounded(MAX_CAPABILITIES_OCTETS, "list of capabilities")
        try:
            self._ask_for_lines(("CAPA",), listing.add)
        except Refused:
            return {}
        words = [line.split() for line in listing.text().upper().split("\r\n")]
        return {line[0]: tuple(line[1:]) for line in words if line}

    def count(self) -> tuple[int, int]:
        """STAT: how many messages there are, and their octets altogether."""
        text = self._ask("STAT")
        with self._wire.closing_on_error():
            count, octets = _two_numbers(text)
            if count > MAX_MESSAGES:
                raise ProtocolError(f"the server claims to hold {count} messages")
        return count, octets

    def sizes(self, numbers: Sequence[int]) -> list[int]:
        """LIST: the octets of these messages as they will be sent; 0 where it is refused."""
        found = self._listing("LIST", numbers)
        with self._wire.closing_on_error():
            return [_two_numbers(f"{n} {found.get(n, '0')}")[1] for n in numbers]

    def unique_ids(self, numbers: Sequence[int]) -> list[str]:
        """UIDL: a name that never changes for each; empty where the server gives none."""
        try:
            found = self._listing("UIDL", numbers)
        except Refused:
            return [""] * len(numbers)
        return [found[n] if _UNIQUE_ID.fullmatch(found.get(n, "")) else "" for n in numbers]

    def _listing(self, verb: str, numbers: Sequence[int]) -> dict[int, str]:
        """The second word for each number, by as few round trips as can be."""
        if len(numbers) <= (MANY if self._window > 1 else 1):

            def answer(number: int) -> tuple[int, str]:
                try:
                    words = self._wire.read_status().split()
                except Refused:
                    return number, ""
                return number, words[1] if len(words) > 1 else ""

            found = dict(self._pipeline(numbers, lambda n: (verb, str(n)), answer))
            return {number: word for number, word in found.items() if word}
        listing = _Bounded(MAX_LISTING_OCTETS, f"answer to {verb}")
        self._ask_for_lines((verb,), listing.add)
        lines = (line.split() for line in listing.text().split("\r\n"))
        return {
            int(words[0]): words[1]
            for words in lines
            if len(words) > 1 and re.fullmatch("[0-9]{1,9}", words[0])
        }

    def retrieve(self, number: int, sink: Sink) -> None:
        """RETR: write the message to the sink, chunk by chunk.

        When the sink raises an OSError (a full disk), the rest is read and thrown away, so that
        the session stays usable; then the error is raised.
        """
        self._ask_for_lines(("RETR", str(number)), sink)

    def retrieve_header(self, number: int, sink: Sink) -> None:
        """TOP n 0: write the header block to the sink; the whole message where TOP is missing."""
        self._ask_for_lines(self._header_command(number), sink)

    def headers(self, numbers: Sequence[int], read: Callable[[int, bytes | None], T]) -> list[T]:
        """What `read` makes of each message's header block, asked for in one go where possible.

        A block is cut at MAX_HEADER_OCTETS; it is None when the server refuses to give it.
        """

        def answer(number: int) -> T:
            block = bytearray()

            def collect(chunk: bytes) -> None:
                block.extend(chunk[: MAX_HEADER_OCTETS - len(block)])

            try:
                self._wire.read_status()
                self._wire.read_lines(collect)
            except Refused:
                return read(number, None)
            return read(number, bytes(block))

        return list(self._pipeline(numbers, self._header_command, answer))

    def delete(self, numbers: Sequence[int]) -> list[tuple[int, str]]:
        """DELE for each number; returns those refused and the server's words for it."""

        def answer(number: int) -> tuple[int, str] | None:
            try:
                self._wire.read_status()
            except Refused as refusal:
                return number, str(refusal)
            return None

        answers = self._pipeline(numbers, lambda number: ("DELE", str(number)), answer)
        return [refused for refused in answers if refused is not None]

    def quit(self) -> None:
        """QUIT: the server deletes now (RFC 1939 6). Raises Refused when it could not."""
        if self._wire.trace.state == "TRANSACTION":
            self._wire.trace.state = "UPDATE"
        try:
            self._ask("QUIT")
        finally:
            self.close()

    def _header_command(self, number: int) -> tuple[str, ...]:
        has_top = "TOP" in self.capabilities or not self.capabilities
        return ("TOP", str(number), "0") if has_top else ("RETR", str(number))

    def _ask(self, *words: str, shown: str = "") -> str:
        """Send one command; return the text behind `+OK`."""
        self._wire.send(_line(words), shown)
        with self._wire.closing_on_error():
            return self._wire.read_status()

    def _ask_for_lines(self, words: tuple[str, ...], sink: Sink) -> None:
        self._wire.send(_line(words))
        with self._wire.closing_on_error():
            self._wire.read_status()
            full = self._wire.read_lines(sink)
        if full is not None:
            raise full

    def _pipeline(
        self,
        numbers: Sequence[int],
        command: Callable[[int], tuple[str, ...]],
        answer: Callable[[int], T],
    ) -> Iterator[T]:
        for start in range(0, len(numbers), self._window):
            batch = numbers[start : start + self._window]
            self._wire.send(b"".join(_line(command(number)) for number in batch))
            with self._wire.closing_on_error():
                answers = [answer(number) for number in batch]
            yield from answers


class _Bounded:
    """A listing as it comes, that has to end."""

    def __init__(self, most: int, what: str) -> None:
        self._octets = bytearray()
        self._most = most
        self._what = what

    def add(self, chunk: bytes) -> None:
        if len(self._octets) + len(chunk) > self._most:
            raise ProtocolError(f"the server's {self._what} does not end")
        self._octets += chunk

    def text(self) -> str:
        return self._octets.decode("ascii", "replace")


def _line(words: tuple[str, ...]) -> bytes:
    """One command line; refuses what could end it early or become another command."""
    text = " ".join(words)
    if any(character < " " or character == "\x7f" for character in text):
        raise BadArgument("control characters are not allowed in a user name or password")
    try:
        line = text.encode() + b"\r\n"
    except UnicodeEncodeError:
        raise BadArgument("the user name or password is not valid text") from None
    if len(line) > MAX_COMMAND_OCTETS:
        raise BadArgument("the user name or password is too long")
    return line


def _two_numbers(text: str) -> tuple[int, int]:
    words = text.split()
    if len(words) < 2 or not all(re.fullmatch("[0-9]{1,18}", word) for word in words[:2]):
        raise ProtocolError(f"two numbers expected, but the server said {text[:60]!r}")
    return int(words[0]), int(words[1])


def _login_problem(refusal: Refused) -> Refused:
    """Tell a wrong password from a mailbox that cannot be opened now (RFC 2449 8.1, RFC 3206)."""
    if refusal.code == "IN-USE":
        return MailboxInUse(str(refusal), refusal.code)
    if refusal.code.startswith("SYS/") or refusal.code == "LOGIN-DELAY":
        return refusal
    return LoginRefused(str(refusal), refusal.code)

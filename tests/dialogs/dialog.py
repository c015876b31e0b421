"""Conversations kept as files: reading a *.dialog.

A dialog file is what both sides of one connection say, in the order in which it makes sense to a
reader, after a few facts and before a few consequences:

    # What it shows, and the RFC clause.
    protocol: smtp                     or pop3; decides the default of `users`
    users: alice wonderland, bob x y   name and password, as in users.txt (default: see USERS)
    domain: mailserver                 of the server (default)
    limits: recipients=2               of smtp.service.Limits; commands hold for POP3 too
    offers: submission, verifies       of smtp.service.Service
    encrypted: yes                     it is a connection inside TLS
    clear passwords: no                none are taken without TLS
    subject: 100                       limit in characters, or "none"
    setting: catch_all = "bob"         a line of mailserver.toml; may be repeated
    locked: alice                      another POP3 session has this maildrop
    login delay: 60 alice              seconds between two POP3 logins; she had one just now
    mailbox alice:                     one message that lies there; may be repeated
      | Subject: hello
      |
      | text

    S: 220 mailserver Service Ready
    C: NOOP
    S: 250 OK nothing done
    (server closes)                    it does, without waiting for more; else it must go on

    bob has 1 message                  what is on the disk afterwards
    bob's mymailbox:                   the file itself, octet by octet
      | From alice@mailserver Mon Nov 23 14:05:09 2026
      ...

Each `C:` and `S:` line ends with CRLF. In `C:` lines and messages a backslash begins an octet that
cannot be seen: \\r \\n \\t \\0 \\xff, \\\\ for itself, and \\- at the end of a line for "no CRLF".
{3*ab} repeats. In `S:` lines {unique-id} stands for any unique id (RFC 1939 7), and the line
{extensions} for lines of the reply to EHLO.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mailserver.smtp.service import Limits, Service

FOLDER = Path(__file__).parent
USERS = "alice wonderland, bob builder"

_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|(.))|\{(\d+)\*([^}]*)\}")
_SINGLE = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\", "-": ""}
_WILD = {"{unique-id}": rb"[!-~]{1,70}", "{extensions}\r\n": rb"(?:250-[A-Z0-9][ -~]*\r\n)+"}


@dataclass
class Dialog:
    """One conversation and its facts."""

    name: str
    protocol: str = ""
    domain: str = "mailserver"
    users: dict[str, str] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    offers: dict[str, bool] = field(default_factory=dict)
    encrypted: bool = False
    subject: int | None = 100
    settings: list[str] = field(default_factory=list)
    locked: str = ""
    clear_passwords: bool = True
    login_delay: int = 0
    recent_login: str = ""
    mailboxes: list[tuple[str, bytearray]] = field(default_factory=list)
    """User and content with CRLF line ends, in the order of their arrival."""
    client: bytes = b""
    """All that the client says."""
    server: bytes = b""
    """All that the server says, with {unique-id} and {extensions} as they stand in the file."""
    closes: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    files: dict[str, bytearray] = field(default_factory=dict)
    """Content of a mailbox file, its lines with CRLF here."""

    def service(self) -> Service:
        """What an SMTP server offers here."""
        return Service(Limits(**self.limits), **self.offers)

    def says(self, answer: bytes) -> bool:
        """The server's octets are those of the dialog."""
        pattern = re.escape(self.server)
        for word, octets in _WILD.items():
            pattern = pattern.replace(re.escape(word.encode()), octets)
        return re.fullmatch(pattern, answer, re.DOTALL) is not None


def octets(text: str) -> bytes:
    """A text of a dialog file with its escapes resolved, one octet each above ASCII too."""

    def one(found: re.Match[str]) -> str:
        hexadecimal, letter, count, repeated = found.groups()
        if hexadecimal:
            return chr(int(hexadecimal, 16))
        if letter:
            return _SINGLE[letter]
        return _ESCAPE.sub(one, repeated) * int(count)

    return _ESCAPE.sub(one, text).encode("latin-1")


def line(text: str) -> bytes:
    """A line with its CRLF, unless it says that it has none."""
    return octets(text) + (b"" if text.endswith("\\-") else b"\r\n")


def read(path: Path) -> Dialog:
    """The dialog in a file; raises AssertionError with the line that cannot be understood."""
    dialog = Dialog(path.stem)
    block = bytearray()  # takes the lines of a mailbox or a file
    for number, utf8 in enumerate(path.read_text("utf-8").splitlines(), 1):
        text = utf8.encode("utf-8").decode("latin-1")  # an octet a character
        key, _, value = text.partition(":")
        if not text or text.startswith("#"):
            continue
        if text.startswith("  |"):
            block += line(text[4:])
        elif key == "C":
            dialog.client += line(value[1:])
        elif key == "S":
            dialog.server += line(value[1:])
        elif text == "(server closes)":
            dialog.closes = True
        elif match := re.fullmatch(r"mailbox (\S+):", utf8):
            block = bytearray()
            dialog.mailboxes.append((match[1], block))
        elif match := re.fullmatch(r"(\S+)'s mymailbox:", utf8):
            block = dialog.files[match[1]] = bytearray()
        elif match := re.fullmatch(r"(\S+) has (\d+) messages?", utf8):
            dialog.counts[match[1]] = int(match[2])
        else:
            assert key in _FACTS, f"{path.name}:{number}: what is {utf8!r}?"
            _FACTS[key](dialog, octets(value.strip()).decode())
    dialog.users = dialog.users or _users(USERS)
    assert dialog.protocol in ("smtp", "pop3"), f"{path.name}: which protocol?"
    assert dialog.server, f"{path.name}: the server says nothing"
    return dialog


def _users(value: str) -> dict[str, str]:
    return dict(user.split(" ", 1) for user in value.split(", "))


def _limits(value: str) -> dict[str, int]:
    return {name: int(number) for name, number in (w.split("=") for w in value.split(", "))}


def _offers(value: str) -> dict[str, bool]:
    return dict.fromkeys(value.split(", "), True)


def _yes(value: str) -> bool:
    assert value in ("yes", "no"), value
    return value == "yes"


def _login_delay(dialog: Dialog, value: str) -> None:
    seconds, dialog.recent_login = value.split(" ")
    dialog.login_delay = int(seconds)


def _fact(name: str, convert: Callable[[str], object]) -> Callable[[Dialog, str], None]:
    return lambda dialog, value: setattr(dialog, name, convert(value))


_FACTS: dict[str, Callable[[Dialog, str], None]] = {
    "protocol": _fact("protocol", str),
    "domain": _fact("domain", str),
    "users": _fact("users", _users),
    "limits": _fact("limits", _limits),
    "offers": _fact("offers", _offers),
    "encrypted": _fact("encrypted", _yes),
    "clear passwords": _fact("clear_passwords", _yes),
    "subject": _fact("subject", lambda value: None if value == "none" else int(value)),
    "setting": lambda dialog, value: dialog.settings.append(value),
    "locked": _fact("locked", str),
    "login delay": _login_delay,
}


def all_dialogs() -> list[Dialog]:
    """Those in this folder, by name."""
    return [read(path) for path in sorted(FOLDER.glob("*.dialog"))]

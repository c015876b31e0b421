"""Reverse-paths of mail that is forwarded: an address here that leads back to the sender (SRS).

    alice@b.test, forwarded by a.test          SRS0=hash=day=b.test=alice@a.test
    SRS0=…@b.test, by a.test too               SRS1=hash=b.test==…@a.test

The next server then asks a.test's SPF, and a report finds its way here, from where it goes on to
the sender. The hash keeps others from making such addresses: this server would be an open relay
for them. The day, of 1024, is when it was made; after some weeks the way back is closed. Letters
may change their case on the way. Nothing is stored but the secret.
"""

from __future__ import annotations

import base64
import hmac
import os
import re
from collections.abc import Callable
from pathlib import Path

from mailserver import durable
from mailserver.wire import idn
from mailserver.wire.address import LOCAL_PART_LIMIT, Mailbox, literal_address

FILE = "rewriting.key"
"""Secrets, one a line: the first one makes new addresses, all of them are believed."""
_DAY = 86_400
_DAYS = 1024
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_HASH = 6
"""Characters of five bits each."""

_OURS = re.compile(r"SRS[01]=", re.IGNORECASE)
_FIRST = re.compile(r"SRS0=([A-Z2-7]{6})=([A-Z2-7]{2})=([^=]+)=(.+)", re.IGNORECASE)
_AGAIN = re.compile(r"SRS1=([A-Z2-7]{6})=([^=]+)=([-+=].+)", re.IGNORECASE)
_OTHERS_FIRST = re.compile(r"SRS0([-+=].+)", re.IGNORECASE)
_OTHERS_AGAIN = re.compile(r"SRS1[-+=][^=]+=([^=]+)=([-+=].+)", re.IGNORECASE)


class Rewriting:
    """Of one server."""

    def __init__(
        self, secrets: tuple[bytes, ...], domain: str, days: int, clock: Callable[[], float]
    ) -> None:
        """`days`: how long the way back is open, less than 1024."""
        self._secrets = secrets
        self._domain = idn.ascii_form(domain)
        self._days = days
        self._clock = clock

    def forward(self, sender: Mailbox) -> Mailbox:
        """An address here for a sender elsewhere; the sender's own where it would be too long."""
        if literal_address(sender.domain) is not None:
            return sender
        domain, local = idn.ascii_form(sender.domain), sender.local_part
        if first := _OTHERS_FIRST.fullmatch(local):
            kind, words = "SRS1", f"{domain}={first[1]}"
        elif again := _OTHERS_AGAIN.fullmatch(local):
            kind, words = "SRS1", f"{again[1]}={again[2]}"
        else:
            kind, words = "SRS0", f"{self._today()}={domain}={local}"
        made = Mailbox(f"{kind}={_hash(self._secrets[0], words)}={words}", self._domain)
        octets = len(str(made).encode()) - len(self._domain) - 1
        return made if octets <= LOCAL_PART_LIMIT else sender

    @staticmethod
    def is_ours(mailbox: Mailbox) -> bool:
        """It looks as if `forward` had made it; of a domain here."""
        return _OURS.match(mailbox.local_part) is not None

    def back(self, mailbox: Mailbox) -> Mailbox | None:
        """The sender behind an address; None when it was not made here, or too long ago."""
        local = mailbox.local_part
        if first := _FIRST.fullmatch(local):
            hashed, day, domain, name = first.groups()
            good = self._is_good(hashed, f"{day}={domain}={name}") and self._is_recent(day)
            return Mailbox(name, domain) if good else None
        if again := _AGAIN.fullmatch(local):
            hashed, domain, rest = again.groups()
            good = self._is_good(hashed, f"{domain}={rest}")
            return Mailbox(f"SRS0{rest}", domain) if good else None
        return None

    def _is_good(self, hashed: str, words: str) -> bool:
        made = [_hash(secret, words) for secret in self._secrets]
        return any(hmac.compare_digest(one, hashed.upper()) for one in made)

    def _day(self) -> int:
        return int(self._clock()) // _DAY % _DAYS

    def _today(self) -> str:
        high, low = divmod(self._day(), 32)
        return _BASE32[high] + _BASE32[low]

    def _is_recent(self, day: str) -> bool:
        high, low = (_BASE32.index(letter) for letter in day.upper())
        return (self._day() - (high * 32 + low)) % _DAYS <= self._days


def _hash(secret: bytes, words: str) -> str:
    digest = hmac.digest(secret, words.lower().encode(), "sha256")
    return base64.b32encode(digest)[:_HASH].decode()


def secrets_in(data: Path, new: Callable[[], bytes]) -> tuple[bytes, ...]:
    """Those of this data folder; the first one, of printable octets, is made when there is none.
    Several processes may ask at once: they end up with the same. Raises OSError."""
    parent = durable.open_folder(os.fspath(data))
    try:
        folder = durable.open_folder(durable.OWN_FOLDER, parent, create=True)
    finally:
        os.close(parent)
    path = data / durable.OWN_FOLDER / FILE
    try:
        if not path.exists():
            durable.create_once(FILE, folder, [new() + b"\n"])
    finally:
        os.close(folder)
    return tuple(path.read_bytes().split())

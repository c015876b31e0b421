"""People at work on two real servers: senders, readers, deleters; each reply goes to the oracle.

A message is known by its body, which has its token in it: the header gets trace lines on its way.
"""

from __future__ import annotations

import poplib
import random
import smtplib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.torture import oracle
from tests.torture.oracle import Found, Oracle

SENDERS = 4
SECONDS = 10.0
"""For one answer; a server that takes longer hangs."""
_LINES = [1, 10, 300, 300]
_MANY = 20_000
"""Over 256 KiB: such a message is in no journal."""
_GONE = (OSError, EOFError, smtplib.SMTPException, poplib.error_proto)


@dataclass
class Heard:
    """An oracle for several threads."""

    oracle: Oracle = field(default_factory=Oracle)
    stored: int = 0
    deleted: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, line: bytes) -> None:
        with self.lock:
            self.oracle.hear(line)


@dataclass(frozen=True)
class Place:
    """Where two servers are, and who has an account there: names and passwords."""

    smtp_port: int
    pop3_port: int
    accounts: dict[str, str]
    host: str = "127.0.0.1"

    def wait_ready(self) -> None:
        """Both say their greeting."""
        deadline = time.monotonic() + 30
        while True:
            try:
                smtplib.SMTP(self.host, self.smtp_port, timeout=SECONDS).quit()
                poplib.POP3(self.host, self.pop3_port, timeout=SECONDS).quit()
            except _GONE as problem:
                if time.monotonic() > deadline:
                    raise AssertionError("no greeting after 30 s") from problem
                time.sleep(0.02)
            else:
                return

    def pop3(self, user: str) -> poplib.POP3:
        session = poplib.POP3(self.host, self.pop3_port, timeout=SECONDS)
        session.user(user)
        session.pass_(self.accounts[user])
        return session


class Crowd:
    """They work until the servers are gone or `stop` is called."""

    def __init__(self, place: Place, heard: Heard, dice: random.Random) -> None:
        self._place = place
        self._heard = heard
        self._stopping = threading.Event()
        self.strange: list[str] = []
        """What no server should answer."""
        work = [self._send] * SENDERS + [self._read] * len(place.accounts)
        users = [""] * SENDERS + list(place.accounts)
        self._threads = [
            threading.Thread(target=job, args=(random.Random(dice.random()), user))
            for job, user in zip(work, users, strict=True)
        ]
        self._end = time.monotonic() + SECONDS

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def work_until(self, stored: int) -> None:
        """So many messages more were stored; or it takes too long, and what was is enough."""
        goal = self._heard.stored + stored
        while self._heard.stored < goal and time.monotonic() < self._end:
            time.sleep(0.001)

    def stop(self) -> None:
        """All go home."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(2 * SECONDS)
            assert not thread.is_alive(), "a server hangs"
        assert not self.strange, self.strange

    def _send(self, dice: random.Random, _: str) -> None:
        try:
            server = smtplib.SMTP(self._place.host, self._place.smtp_port, timeout=SECONDS)
            while not self._stopping.is_set():
                self._send_one(server, dice)
        except _GONE:
            return  # what was in flight may be there or not

    def _send_one(self, server: smtplib.SMTP, dice: random.Random) -> None:
        users = dice.sample(list(self._place.accounts), dice.randint(1, len(self._place.accounts)))
        lines = dice.choice(_LINES) if dice.random() < 0.97 else _MANY
        body = f"{dice.getrandbits(64):016x}\r\n" + "From here\r\n\r\n.\r\n" * lines
        copies = [(user, oracle.fingerprint(body.encode())) for user in users]
        self._heard.hear(oracle.ask_to_store(copies))
        text = f"Subject: {users}\r\n\r\n{body}"
        try:
            refused = server.sendmail("alice@mailserver", [f"{u}@mailserver" for u in users], text)
        except smtplib.SMTPResponseException as answer:
            if answer.smtp_code // 100 != 4:
                self.strange.append(str(answer))
            return
        except smtplib.SMTPRecipientsRefused as answers:
            if any(code // 100 != 4 for code, _ in answers.recipients.values()):
                self.strange.append(str(answers))
            return
        copies = [(user, one) for user, one in copies if f"{user}@mailserver" not in refused]
        self._heard.hear(oracle.stored(copies))
        self._heard.stored += 1

    def _read(self, dice: random.Random, user: str) -> None:
        while not self._stopping.is_set():
            try:
                session = self._place.pop3(user)
                found = listing(session)
                self._hear_shown(user, found)
                numbers = dice.sample(range(1, len(found) + 1), dice.randint(0, len(found)))
                _delete(session, self._heard, user, found, numbers)
            except _GONE:
                # in use, or gone: the one ends when the other session does, the other when told to
                self._stopping.wait(0.02)

    def _hear_shown(self, user: str, found: Sequence[Found]) -> None:
        for mail in found:
            if not self._heard.oracle.knows(user, mail.fingerprint):
                self.strange.append(f"{user} was shown {mail}, which nobody sent")
        self._heard.hear(oracle.shown(user, found))


def _delete(
    session: poplib.POP3, heard: Heard, user: str, found: Sequence[Found], numbers: Sequence[int]
) -> None:
    leaving = [found[number - 1].fingerprint for number in numbers]
    for number in numbers:
        session.dele(number)
    heard.hear(oracle.ask_to_delete(user, leaving))
    session.quit()
    heard.hear(oracle.deleted(user, leaving))
    with heard.lock:
        heard.deleted += len(leaving)


def listing(session: poplib.POP3) -> list[Found]:
    """All messages, read whole."""
    ids = [line.split()[1].decode() for line in session.uidl()[1]]
    return [
        Found(unique_id, fingerprint_of(retrieved(session, number)))
        for number, unique_id in enumerate(ids, 1)
    ]


def retrieved(session: poplib.POP3, number: int) -> list[bytes]:
    """A message's lines. One that was cut off raises error_proto; poplib alone takes ".." of a line
    that was cut for the end."""
    lines = session.retr(number)[1]
    session.noop()
    return lines


def fingerprint_of(lines: list[bytes]) -> str:
    """Of a message by its body."""
    body = lines[lines.index(b"") + 1 :]
    return oracle.fingerprint(b"".join(line + b"\r\n" for line in body))


def judge(place: Place, heard: Heard, dice: random.Random | None = None) -> None:
    """Everybody logs in: is it as it was promised? With dice, most of it is deleted then, or to
    read it again and again would take the time. Raises Violation."""
    for user in heard.oracle.users:
        session = place.pop3(user)
        found = listing(session)
        heard.oracle.judge(user, found)
        heard.hear(oracle.shown(user, found))
        every = range(1, len(found) + 1)
        numbers = sorted(dice.sample(every, len(found) * 3 // 4)) if dice else []
        _delete(session, heard, user, found, numbers)

"""Other programs on the same mailbox file, beside the real servers: all send, read, deliver and
delete at once, and the oracle hears what each of them was told.

bob's mailbox is everybody's; alice's has our servers alone, and gets some of the same messages.
Two things that go wrong whoever the others are (docs/storage.md) are left out: nobody takes mail
out while mutt has the mailbox open, and Dovecot takes its locks in procmail's order.
"""

from __future__ import annotations

import os
import poplib
import random
import re
import smtplib
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tests.client_pty.dovecot import Dovecot, program
from tests.sockets.conftest import SERVER, Server
from tests.torture import oracle, programs
from tests.torture.crowd import Heard, Place, fingerprint_of, judge, retrieved
from tests.torture.oracle import Found, Violation
from tests.torture.reading import by_python

ACCOUNTS = {"alice": "wonderland", "bob": "builder"}
SHARED = "bob"
MODE = 0o640
TURNS = 3
"""Of each program in a round."""
MUST_HAPPEN = [f"{program} delivered" for program in ("SMTP", "procmail", "Python")]
MUST_HAPPEN += [f"{program} deleted" for program in ("POP3", "mutt", "Python", "Dovecot")]
MORE = 10
"""Rounds at most, until all of that happened: by chance one round lacks something now and then."""
SECONDS = 60.0
_GONE = (OSError, EOFError, smtplib.SMTPException, poplib.error_proto)
_QUOTED = re.compile(rb"^>(?=>*From )")


def missing() -> str:
    """What this machine lacks, or nothing."""
    return programs.missing()


def rounds(seed: int, count: int) -> str:
    """So many rounds, and `MORE` if need be; what was done. Raises Violation, and `Hangs` if one of
    the others does so too often."""
    dice = random.Random(seed)
    did = Counter[str]()
    well = hung = 0

    def go_on() -> bool:
        return well < count or (well < count + MORE and not all(did[what] for what in MUST_HAPPEN))

    while go_on():
        with _street(did) as (street, place, beside):
            try:
                while go_on():
                    Round(street, place, beside, random.Random(dice.random())).run()
                    street.judge(place)
                    well += 1
            except programs.Hangs:  # it was killed, and what it leaves is nobody's promise
                hung += 1
                if hung > 1 + count // 20:
                    raise
            except Violation as problem:
                problem.add_note(f"round {well + hung} of seed {seed}")
                raise
            where = _file_system(street.folder)
    for what in MUST_HAPPEN:
        if not did[what]:
            raise Violation(f"{what} nothing: {did}")
    often = ", ".join(f"{what} {often}" for what, often in sorted(did.items()))
    return f"{well} rounds on {where}, seed {seed}, {hung} ended by a program that hung: {often}"


@dataclass
class Street:
    """The data folder, and what is known of it."""

    folder: Path
    did: Counter[str]
    """How often what went well."""
    heard: Heard = field(default_factory=Heard)

    def __post_init__(self) -> None:
        self.data.mkdir()
        lines = "".join(f"{user} {password}\n" for user, password in ACCOUNTS.items())
        (self.data / "users.txt").write_text(lines)
        mutt_asks_for = self.home / "Mail"
        mutt_asks_for.mkdir(parents=True)
        self.box.parent.mkdir()
        self.box.touch(MODE)
        who = programs.owner()
        for path in (self.home, self.box.parent, self.box):
            os.chown(path, who.pw_uid, who.pw_gid)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def home(self) -> Path:
        """Of the programs."""
        return self.folder / "home"

    @property
    def box(self) -> Path:
        """The mailbox that all of them write to."""
        return self.data / SHARED / "mymailbox"

    def judge(self, place: Place) -> None:
        """Everything is as it was promised, whoever looks; raises Violation."""
        judge(place, self.heard)
        for user in self.heard.oracle.users:
            contents = by_python(self.data, user)
            found = [fingerprint_of(content.split(b"\r\n")[:-1]) for content in contents]
            self.heard.oracle.judge_copies(user, found)
        command = [sys.executable, SERVER / "mailadmin.py", "--data", self.data, "check"]
        checked = subprocess.run(command, capture_output=True, text=True, check=False)
        if checked.returncode:
            raise Violation(f"mailadmin check: {checked.stdout}{checked.stderr}")
        found = self.box.stat()
        if (found.st_uid, stat.S_IMODE(found.st_mode)) != (programs.owner().pw_uid, MODE):
            raise Violation(f"the file is {found.st_uid}'s now, {found.st_mode:o}")


class Round:
    """Each program has its turns; our servers' clients are at work until the last one is done."""

    def __init__(self, street: Street, place: Place, beside: Dovecot, dice: random.Random) -> None:
        self._street = street
        self._heard = street.heard
        self._place = place
        self._beside = beside
        self._lock = threading.Lock()
        self._removing = threading.Lock()  # taken by mutt, and by who takes mail out
        self._words: list[
            tuple[str, str]
        ] = []  # of what bob has: fingerprints, and by what to find
        self._done = threading.Event()
        self._problems: list[BaseException] = []
        self._clients = [
            self._thread(dice, self._until_done, job)
            for job in (self._send, self._send, self._pop3("alice"), self._pop3(SHARED))
        ]
        self._programs = [
            self._thread(dice, self._in_turns, job)
            for job in (self._procmail, self._mutt, self._python, self._dovecot)
        ]

    def run(self) -> None:
        """Raises Violation, and whatever went wrong."""
        for thread in self._clients + self._programs:
            thread.start()
        for thread in self._programs:
            thread.join()
        self._done.set()
        for thread in self._clients:
            thread.join()
        for problem in self._problems:
            raise problem

    def _thread(
        self, dice: random.Random, how: Callable[..., None], job: Callable[[random.Random], None]
    ) -> threading.Thread:
        return threading.Thread(target=how, args=(random.Random(dice.random()), job))

    def _until_done(self, dice: random.Random, job: Callable[[random.Random], None]) -> None:
        try:
            while not self._done.wait(dice.random() / 10):
                job(dice)
        except BaseException as problem:  # noqa: BLE001 - `run` raises it
            self._problems.append(problem)

    def _in_turns(self, dice: random.Random, job: Callable[[random.Random], None]) -> None:
        try:
            for _ in range(TURNS):
                job(dice)
        except BaseException as problem:  # noqa: BLE001 - `run` raises it
            self._problems.append(problem)

    # -- who delivers ------------------------------------------------------------------------------

    def _letter(self, dice: random.Random, users: list[str]) -> tuple[str, str, oracle.Copies]:
        """A word that nothing else has, a message with it, and what the oracle is told."""
        word = f"{dice.getrandbits(64):016x}"
        # No two are of one length: mutt and Dovecot believe that nothing but new mail came if a
        # message begins where their mailbox ended.
        lines = "From here\n\n.\n" * dice.choice([1, 10, 300]) + "long\n" * dice.randint(0, 4000)
        # And none ends with an empty line: procmail takes that for the one behind the record.
        body = f"{word}\n{lines}{'x' * dice.randint(1, 70)}\n"
        one = oracle.fingerprint(body.replace("\n", "\r\n").encode())
        copies = [(user, one) for user in users]
        self._heard.hear(oracle.ask_to_store(copies))
        return word, f"From: ann@example.org\nSubject: {users}\n\n{body}", copies

    def _stored(self, program: str, word: str, copies: oracle.Copies) -> None:
        self._heard.hear(oracle.stored(copies))
        self._street.did[f"{program} delivered"] += 1
        with self._lock:
            self._words += [(one, word) for user, one in copies if user == SHARED]

    def _send(self, dice: random.Random) -> None:
        users = dice.choice([[SHARED], ["alice", SHARED], ["alice"]])
        word, text, copies = self._letter(dice, users)
        with smtplib.SMTP(self._place.host, self._place.smtp_port, timeout=SECONDS) as server:
            try:
                server.sendmail("ann@example.org", [f"{user}@mailserver" for user in users], text)
            except smtplib.SMTPDataError as answer:
                if answer.smtp_code != 450:  # another program keeps the mailbox for ten seconds
                    raise
                self._street.did["SMTP refused"] += 1
                return
        self._stored("SMTP", word, copies)

    def _procmail(self, dice: random.Random) -> None:
        word, text, copies = self._letter(dice, [SHARED])
        if programs.procmail(self._street.home, self._street.box, text):
            self._stored("procmail", word, copies)

    # -- who deletes -------------------------------------------------------------------------------

    def _chosen(self, dice: random.Random) -> tuple[str, str]:
        """One of bob's messages, among the newest: that one is probably still there."""
        while True:
            with self._lock:
                if self._words:
                    one, word = self._words.pop(-dice.randint(1, min(10, len(self._words))))
                    self._heard.hear(oracle.ask_to_delete(SHARED, [one]))
                    return one, word
            time.sleep(0.001)

    def _deleted(self, program: str, user: str, leaving: list[str]) -> None:
        self._heard.hear(oracle.deleted(user, leaving))
        self._street.did[f"{program} deleted"] += len(leaving)

    def _mutt(self, dice: random.Random) -> None:
        with self._removing:
            one, word = self._chosen(dice)
            if programs.mutt(self._street.home, self._street.box, word):
                self._deleted("mutt", SHARED, [one])

    def _python(self, dice: random.Random) -> None:
        script = programs.PythonMailbox(self._street.home, self._street.box)
        try:
            one, word = self._chosen(dice)
            new, text, copies = self._letter(dice, [SHARED])
            with self._removing:
                script.change(text, word)
            self._stored("Python", new, copies)
            self._deleted("Python", SHARED, [one])
        finally:
            script.close()

    def _dovecot(self, dice: random.Random) -> None:
        with self._removing:  # from the beginning: it keeps a lock for as long as it is read from
            self._session(dice, "Dovecot", self._beside.port, SHARED, nullcontext())

    def _pop3(self, user: str) -> Callable[[random.Random], None]:
        at_quit = self._removing if user == SHARED else nullcontext()
        return lambda dice: self._session(dice, "POP3", self._place.pop3_port, user, at_quit)

    def _session(
        self,
        dice: random.Random,
        program: str,
        port: int,
        user: str,
        at_quit: AbstractContextManager[object],
    ) -> None:
        """All is read, and some of the oldest messages go."""
        leaving: list[str] = []
        try:
            session = poplib.POP3(self._place.host, port, timeout=SECONDS)
            session.user(user)
            session.pass_(ACCOUNTS[user])
            ids = [line.split()[1].decode() for line in session.uidl()[1]]
            found = dict(self._read(session, program, user, ids))
            if program == "POP3":
                mails = [Found(ids[number - 1], one) for number, one in found.items()]
                with self._lock:
                    self._heard.oracle.judge_ids(user, mails)
                self._heard.hear(oracle.shown(user, mails))
            # never all: Dovecot fills an empty mailbox with a message of its own
            for number in sorted(found)[1:][: dice.randint(0, 1 + len(found) // 2)]:
                session.dele(number)
                leaving.append(found[number])
            self._heard.hear(oracle.ask_to_delete(user, leaving))
            with at_quit:
                session.quit()
        except _GONE:
            self._street.did[f"{program} refused"] += 1
        else:
            self._deleted(program, user, leaving)

    def _read(
        self, session: poplib.POP3, program: str, user: str, ids: list[str]
    ) -> Iterator[tuple[int, str]]:
        for number in range(1, len(ids) + 1):
            try:
                lines = retrieved(session, number)
            except poplib.error_proto:  # another program moved it
                self._street.did[f"{program} message refused"] += 1
                continue
            if program == "Dovecot":  # it leaves quoted what is
                lines = [_QUOTED.sub(b"", line) for line in lines]
            one = fingerprint_of(lines) if b"" in lines else ""
            if not self._heard.oracle.knows(user, one):
                shown = f"{len(lines)} lines, {lines[:20]} to {lines[-5:]}"
                raise Violation(f"{program} shows what nobody sent: {shown}")
            yield number, one


@contextmanager
def _street(did: Counter[str]) -> Iterator[tuple[Street, Place, Dovecot]]:
    """A new one, with our servers and Dovecot."""
    with tempfile.TemporaryDirectory(prefix="neighbours-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        street = Street(folder, did)
        with _servers(street.data) as place, _dovecot(folder, street.box) as beside:
            yield street, place, beside


@contextmanager
def _servers(data: Path) -> Iterator[Place]:
    started: list[Server] = []
    try:
        started.append(Server("smtpmail", data))
        started.append(Server("popserver", data))
        yield Place(started[0].port, started[1].port, ACCOUNTS)
    finally:
        for server in started:
            server.stop()


@contextmanager
def _dovecot(folder: Path, box: Path) -> Iterator[Dovecot]:
    beside = folder / "dovecot"
    beside.mkdir()
    tls = folder / "data" / ".mailserver" / "tls"
    made = Dovecot(str(program()), beside, {SHARED: ACCOUNTS[SHARED]}, tls, inbox=str(box))
    process = made.start()
    try:
        yield made
    finally:
        process.terminate()
        process.wait(SECONDS)


def _file_system(folder: Path) -> str:
    found = subprocess.run(
        ["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()

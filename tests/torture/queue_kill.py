"""SIGKILL of a server that relays, again and again, while people send and the servers beyond it
misbehave; then all calms down, and every message must have come to its end.

    answered with 250              each recipient was delivered to, or the sender got a report, once
    no answer                      all of its recipients, or none
    more than once                 only so often as nobody could know: the line was cut after the
                                   final dot, or the kill came after the other server's word and
                                   before it was written down, which is before the next message on
                                   that connection; for a report likewise
"""

from __future__ import annotations

import email
import email.policy
import mailbox
import os
import random
import re
import shutil
import smtplib
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.oracle import Violation, fingerprint
from tests.torture.planted import BUGS
from tests.torture.sink import ADDRESSES, NEVER, Fate, Sink

from mailserver.message import outcome
from mailserver.relay.spool import Spool

SENDERS = 3
SENDER = "alice@mailserver"
SECONDS = 20.0
SECONDS_TO_DRAIN = 120.0
BODY = "From here\r\n.\r\n..\r\n\r\n"
_GONE = (OSError, smtplib.SMTPException)


@dataclass
class Known:
    """What was asked and answered; by recipient's address, which each message has anew."""

    bodies: dict[str, str] = field(default_factory=dict)
    """Fingerprints."""
    messages: list[list[str]] = field(default_factory=list)
    """Recipients of all that were asked for."""
    promised: set[str] = field(default_factory=set)
    """Recipients of those that were answered with 250."""
    doubts: Counter[str] = field(default_factory=Counter)
    """How often nobody can know."""


def rounds(seed: int, count: int, bug: str = "") -> str:
    """So many kills; what was done. Raises Violation."""
    dice = random.Random(seed)
    known = Known()
    sink = Sink(random.Random(dice.random()), lambda address: known.bodies[address])
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        shutil.copy("seed/users.txt", data)
        (data / "mailserver.toml").write_text(_settings(sink.port))
        try:
            for _ in range(count):
                _life(data, sink, known, random.Random(dice.random()), bug)
            before = len(known.promised)
            sink.behave()
            with _server(data, bug) as (process, _):
                _drain(data, sink)
                process.terminate()
                process.wait(SECONDS)
        finally:
            sink.close()
        delivered, reports = _judge(data, sink, known)
        kind = _file_system(data)
    twice = sum((delivered + reports).values()) - len(delivered + reports)
    return (
        f"{count} kills, {len(known.messages)} messages, {before} recipients promised:"
        f" {len(delivered)} delivered to, {len(reports)} with a report, {twice} once more of"
        f" {known.doubts.total()} that may be, on {kind}, seed {seed}"
    )


def hunt(seed: int, count: int) -> str:
    """Each bug must be found within so many kills. Raises Violation."""
    missed = [bug for bug in BUGS if not _is_found(bug, seed, count)]
    if missed:
        raise Violation(f"planted, and not found in {count} kills: {missed}, seed {seed}")
    return f"{len(BUGS)} planted bugs found: {', '.join(BUGS)}, seed {seed}"


def _is_found(bug: str, seed: int, count: int) -> bool:
    try:
        rounds(seed, count, bug)
    except Violation:
        return True
    return False


def _settings(port: int) -> str:
    routes = [f'"d{n}.test" = "{address}:{port}"' for n, address in enumerate(ADDRESSES)]
    lines = ['relay_from = ["127.0.0.0/8"]', "first_retry = 1", "longest_retry = 1", "[routes]"]
    return "\n".join([*lines, *routes, ""])


# -- one life --------------------------------------------------------------------------------------


@contextmanager
def _server(data: Path, bug: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The server with its workers, and its port; killed at the end of the block."""
    command: list[str | Path] = [Path(sys.executable).parent / "smtpmail"]
    if bug:
        command = [sys.executable, "-m", "tests.torture.planted", bug]
    command += ["0", "--data", data, "--host", "127.0.0.1", "--domain", "mailserver"]
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, start_new_session=True)
    try:
        yield process, _port(data / "log")
    finally:
        with suppress(ProcessLookupError):  # it was told to stop, and did
            os.killpg(process.pid, 9)
        process.wait()


def _port(log: Path) -> int:
    """When the server listens."""
    deadline = time.monotonic() + SECONDS
    while (found := re.search(r"listening on 127\.0\.0\.1:(\d+), data", log.read_text())) is None:
        assert time.monotonic() < deadline, f"it does not start:\n{log.read_text()}"
        time.sleep(0.005)
    return int(found[1])


def _life(data: Path, sink: Sink, known: Known, dice: random.Random, bug: str) -> None:
    said = len(sink.answered)
    with _server(data, bug) as (_, port):
        senders = [
            threading.Thread(target=_send, args=(port, known, random.Random(dice.random())))
            for _ in range(SENDERS)
        ]
        for sender in senders:
            sender.start()
        goal, deadline = sink.ended + dice.randint(0, 40), time.monotonic() + SECONDS
        while sink.ended < goal and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(dice.random() * 0.02)
    for sender in senders:
        sender.join(SECONDS)
        assert not sender.is_alive(), "a server hangs"
    sink.wait_alone()
    _look(data, sink, known, said)


def _send(port: int, known: Known, dice: random.Random) -> None:
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=SECONDS) as server:
            while True:
                _send_one(server, known, dice)
    except _GONE:
        return  # what was in flight may be there or not


def _send_one(server: smtplib.SMTP, known: Known, dice: random.Random) -> None:
    token = f"{dice.getrandbits(64):016x}"
    names = [token, f"{token}-2", f"{token}-3", f"{NEVER}-{token}"]
    names = dice.sample(names, dice.choice([1, 1, 2, 3, 4]))
    addresses = [f"{name}@d{dice.randrange(len(ADDRESSES))}.test" for name in names]
    body = f"{token}\r\n" + BODY * dice.choice([1, 10, 300, 10_000])
    known.bodies |= dict.fromkeys(addresses, fingerprint(body.encode()))
    known.messages.append(addresses)
    text = f"From: {SENDER}\r\nSubject: {token}\r\n\r\n{body}"
    if refused := server.sendmail(SENDER, addresses, text):
        raise Violation(f"refused: {refused}")
    known.promised.update(addresses)


def _look(data: Path, sink: Sink, known: Known, said: int) -> None:
    """After a kill: which words of other servers were not written down? Raises Violation."""
    waits, untold = set(), set()
    spool = Spool(data)
    for message_id in spool.ids():
        message = spool.load(message_id)
        for recipient, progress in zip(message.entry.recipients, message.progress, strict=True):
            address = str(recipient.forward_path)
            if progress.open:
                waits.add(address)
            elif progress.outcome.fate is outcome.Fate.PERMANENT and not progress.told:
                untold.add(address)
    spool.close()
    for answer in sink.answered[said:]:
        if answer.address in waits and answer.fate is not Fate.TAKEN_IN_SILENCE:
            if not answer.last:
                raise Violation(f"{answer}: not written down before the next message")
            known.doubts[answer.address] += answer.fate is Fate.TAKEN
    known.doubts.update(untold)
    known.doubts.update(
        answer.address for answer in sink.answered[said:] if answer.fate is Fate.TAKEN_IN_SILENCE
    )
    if sink.strange:
        raise Violation(sink.strange)


# -- the end ---------------------------------------------------------------------------------------


def _drain(data: Path, sink: Sink) -> None:
    spool, deadline = Spool(data), time.monotonic() + SECONDS_TO_DRAIN
    while left := spool.ids():
        if time.monotonic() > deadline:
            raise Violation(f"{len(left)} messages are not brought to an end: {left[:3]}")
        time.sleep(0.02)
    spool.close()


def _judge(data: Path, sink: Sink, known: Known) -> tuple[Counter[str], Counter[str]]:
    """How often each address got its message, and its sender a report. Raises Violation."""
    if sink.strange:
        raise Violation(sink.strange)
    refused = {answer.address for answer in sink.answered if answer.fate is Fate.REFUSED}
    taken = [answer.address for answer in sink.answered if answer.fate is not Fate.REFUSED]
    delivered, reports = Counter(taken), _reports(data)
    ends = delivered + reports
    if foreign := (reports.keys() - refused) | (ends.keys() - known.bodies.keys()):
        raise Violation(f"reports of what was not refused, or sent: {sorted(foreign)[:3]}")
    if lost := known.promised - ends.keys():
        raise Violation(f"{len(lost)} recipients lost: {sorted(lost)[:3]}")
    for addresses in known.messages:
        if len({address in ends for address in addresses}) > 1:
            raise Violation(f"a message for some of its recipients: {addresses}")
    for address, times in ends.items():
        if times > 1 + known.doubts[address]:
            raise Violation(
                f"{address}: {delivered[address]} times delivered, {reports[address]} reports,"
                f" {known.doubts[address]} doubts"
            )
    return delivered, reports


def _reports(data: Path) -> Counter[str]:
    """Of which addresses Python's email package finds reports in the sender's mailbox."""
    found = Counter[str]()
    box = mailbox.mbox(data / SENDER.partition("@")[0] / "mymailbox", create=False)
    for message in box:
        report = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
        assert report.get_content_type() == "multipart/report"
        _, status, _ = report.get_payload()
        for fields in status.get_payload()[1:]:
            assert fields["Action"] == "failed"
            found[fields["Final-Recipient"].partition("; ")[2]] += 1
    box.close()
    return found


def _file_system(path: Path) -> str:
    command = ["df", "--output=fstype", path]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]

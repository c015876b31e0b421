"""Messages that smtp-source sends, until the last one is in its mailbox."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from bench.mailbox import Mailbox, MailboxesCounter
from bench.systems import OWNER, Server
from bench.workload import NO_MAILBOX, Meter, Outcome, Parameters, VoidRun

SECONDS_FOR_A_RUN = 300.0
SECONDS_BETWEEN_LOOKS = 0.005
WARM_MESSAGES = 200
LANES = "abcd"
LANE_USERS = 250
SPREAD_USERS = tuple(f"{lane}{number}" for lane in LANES for number in range(LANE_USERS))
"""The users of `receive_spread`."""


Work = Callable[[], None]
"""Returns when all of it was accepted; raises VoidRun, UnexpectedReply, OSError."""


@dataclass(frozen=True)
class Mail:
    """What smtp-source is to send."""

    messages: int
    octets: int = 4096
    connections: int = 20
    keep_open: bool = True
    options: tuple[str, ...] = ()
    user: str = OWNER

    def command(self, server: Server) -> list[str]:
        words = ["smtp-source", "-s", str(self.connections), "-l", str(self.octets)]
        words += ["-m", str(self.messages), "-f", "bob@mailserver", "-t", f"{self.user}@mailserver"]
        words += ["-d"] if self.keep_open else []
        return [*words, *self.options, f"127.0.0.1:{server.port}"]

    def to(self, server: Server) -> Work:
        """Sending it."""
        return partial(_run, self.command(server))


def _run(*commands: Sequence[str]) -> None:
    """All at once; raises VoidRun when a message is not accepted."""
    running = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    for process in running:
        _, problem = process.communicate(timeout=SECONDS_FOR_A_RUN)
        if process.returncode or problem:
            raise VoidRun(f"{process.args!r}: {problem.strip() or process.returncode}")


def _wait_until_delivered(counter: MailboxesCounter, expected: int) -> float:
    """The time (of time.monotonic) of the first look that saw them all."""
    deadline = time.monotonic() + SECONDS_FOR_A_RUN
    while (look := time.monotonic()) < deadline:
        if counter.count() >= expected:
            return look
        time.sleep(SECONDS_BETWEEN_LOOKS)
    raise VoidRun(f"{expected} messages expected, {counter.count()} came")


def deliver(
    server: Server,
    users: Sequence[str],
    warm: Work,
    work: Work,
    counts: tuple[int, int, int],
) -> tuple[Meter, float, float]:
    """Meter, and seconds until all was accepted and until all was delivered.

    `counts`: messages in all mailboxes before, after the warm-up, and at the end. With a server
    that delivers before its 250 the two times are one; Postfix has a queue in between.
    """
    paths = [server.mailbox(user) for user in users]
    counter = MailboxesCounter(paths)
    if counter.count() != counts[0]:
        raise VoidRun(f"{counts[0]} messages expected before the start")
    warm()
    _wait_until_delivered(counter, counts[1])
    with Meter(server) as meter:
        work()
        accepted = time.monotonic() - meter.start
        seen = _wait_until_delivered(counter, counts[2]) - meter.start
    found = MailboxesCounter(paths).count()
    if found != counts[2]:
        raise VoidRun(f"{counts[2]} messages expected, {found} are there")
    return meter, accepted, seen


def outcome(done: int, times: tuple[Meter, float, float]) -> Outcome:
    """Of so many deliveries, and what `deliver` gave."""
    meter, accepted, seen = times
    figures = {"per_second": done / seen, "accepted_per_second": done / accepted}
    return Outcome(figures, meter, done)


def receive(
    server: Server,
    parameters: Parameters,
    *,
    messages: int,
    keep_open: bool = True,
    octets: int = 4096,
    there: Mailbox = NO_MAILBOX,
) -> Outcome:
    """Messages to one mailbox, in which there are some already."""
    warm = Mail(WARM_MESSAGES if octets < 100_000 else 20, octets, keep_open=keep_open)
    work = Mail(parameters.count(messages, 20), octets, keep_open=keep_open)
    if not server.mail:
        return _swallow(server, warm, work)
    before = there.of_share(parameters.share).messages
    counts = (before, before + warm.messages, before + warm.messages + work.messages)
    times = deliver(server, [OWNER], warm.to(server), work.to(server), counts)
    return outcome(work.messages, times)


def _swallow(server: Server, warm: Mail, work: Mail) -> Outcome:
    """By a server that keeps nothing."""
    warm.to(server)()
    with Meter(server) as meter:
        work.to(server)()
    return Outcome({"per_second": work.messages / meter.seconds}, meter, work.messages)


def receive_megabytes(server: Server, parameters: Parameters, *, messages: int) -> Outcome:
    """Messages of 1 MB; what is counted are megabytes."""
    found = receive(server, parameters, messages=messages, octets=1_000_000)
    rates = {"mb_" + name: value for name, value in found.figures.items()}
    return Outcome(rates, found.meter, found.done)


def receive_spread(
    server: Server, parameters: Parameters, *, messages: int, to_one: bool = False
) -> Outcome:
    """Messages over 20 connections to 1,000 mailboxes, or by the same programs to one.

    Four lanes, each with 250 users of its own whom it serves one after the other, again and
    again: smtp-source numbers its recipients, but begins anew only when it is started anew.
    """
    turns = parameters.count(messages) // len(SPREAD_USERS) or 1
    lanes = [_lane(server, lane, 1, to_one=to_one) for lane in LANES]
    work = [_lane(server, lane, turns, to_one=to_one) for lane in LANES]
    users = [OWNER] if to_one else SPREAD_USERS
    each = len(SPREAD_USERS)
    counts = (0, each, (1 + turns) * each)
    times = deliver(server, users, partial(_run, *lanes), partial(_run, *work), counts)
    return outcome(turns * each, times)


def _lane(server: Server, lane: str, turns: int, *, to_one: bool) -> list[str]:
    if to_one:
        mail = Mail(LANE_USERS, connections=5)
    else:
        mail = Mail(LANE_USERS, connections=5, options=("-N",), user=lane)
    command = " ".join(mail.command(server))
    return ["sh", "-c", " && ".join([command] * turns)]


def receive_huge(server: Server, parameters: Parameters) -> Outcome:
    """100 messages of 50 MB, all at once: the server's memory meanwhile."""
    work = Mail(parameters.count(100, 10), 49_900_000, connections=100)
    warm = Mail(1)
    counts = (0, 1, 1 + work.messages)
    meter, _, seen = deliver(server, [OWNER], warm.to(server), work.to(server), counts)
    megabytes = work.messages * work.octets / 1e6
    figures = {"mb_at_peak": meter.memory.pss * 1024 / 1e6, "mb_per_second": megabytes / seen}
    return Outcome(figures, meter, work.messages)

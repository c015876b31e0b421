"""The relay at work over a real spool and real sockets, with a clock that is moved."""

from __future__ import annotations

import asyncio
import errno
import itertools
import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from mailserver.message.envelope import (
    Client,
    Envelope,
    MailParameters,
    Notify,
    RcptParameters,
    Recipient,
    Return,
)
from mailserver.message.outcome import Fate, Outcome, failed
from mailserver.message.transaction import Transaction
from mailserver.message.verdict import ACCEPTED, Kind, Verdict
from mailserver.relay.backoff import Patience
from mailserver.relay.courier import Content, Unreachable
from mailserver.relay.dns import Exchangers, Found
from mailserver.relay.entry import Record
from mailserver.relay.outbox import SpoolOutbox
from mailserver.relay.queue import Most, Queue
from mailserver.relay.routing import Candidate, NextHost, Router, StaticRoute
from mailserver.relay.share import ALL, Share
from mailserver.relay.spool import DELETE, Spool
from mailserver.relay.tls_demand import ANYTHING, Demand
from mailserver.relay.wish import Wish
from mailserver.relay.worker import Relay
from mailserver.relay.world import World
from mailserver.store.memory import MemoryStaging
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath

T = TypeVar("T")

HOUR, DAY = 3600.0, 86_400.0
NOW = 1_795_442_709.0
OK = Outcome(Fate.DELIVERED, "2.0.0", "250 OK", "mx", reports=False)
LATER = Outcome(Fate.TEMPORARY, "4.2.0", "450 later", "mx")
NEVER = Outcome(Fate.PERMANENT, "5.1.1", "550 nobody", "mx")
DEAD = Outcome(Fate.TEMPORARY, "4.4.1", "no connection")


async def here(call: Callable[[], T]) -> T:
    """In no thread; others come first, before it and after it."""
    await asyncio.sleep(0)
    result = call()
    await asyncio.sleep(0)
    return result


class Destination:
    """What the servers of a domain say; by local part, else `answer`."""

    def __init__(self) -> None:
        self.answer = OK
        self.answers: dict[str, Outcome] = {}
        self.refuses: Outcome | None = None
        self.connections = 0
        self.tried: list[float] = []
        self.got: list[tuple[float, tuple[str, ...], bytes]] = []
        self.most_recipients = 0
        self.recipients: int | None = None


class TestConnection:
    """See `courier.Connection`."""

    __test__ = False

    def __init__(self, internet: Internet, destination: Destination) -> None:
        self.usable = True
        self.recipients = destination.recipients
        self._internet = internet
        self._destination = destination

    async def send(self, transaction: Transaction, content: Content) -> tuple[Outcome, ...]:
        await asyncio.sleep(0)
        there = self._destination
        names = [one.forward_path.mailbox.local_part for one in transaction.recipients]
        there.most_recipients = max(there.most_recipients, len(names))
        outcomes = tuple(there.answers.get(name, there.answer) for name in names)
        pairs = zip(names, outcomes, strict=True)
        taken = tuple(name for name, outcome in pairs if outcome.fate is Fate.DELIVERED)
        if taken:
            there.got.append(
                (
                    self._internet.now,
                    taken,
                    content if isinstance(content, bytes) else b"".join(content()),
                )
            )
        return outcomes

    async def close(self) -> None:
        self.usable = False


class Internet:
    """A clock, and destinations by the first label of their host's name."""

    def __init__(self) -> None:
        self.now = NOW
        self.fast = 0.0  # seconds by which the clock goes ahead of the time that goes by
        self.set_right_at = math.inf
        self.destinations: dict[str, Destination] = {}

    def clock(self) -> float:
        """What a person reads."""
        return self.now + (self.fast if self.now < self.set_right_at else 0.0)

    def at(self, domain: str) -> Destination:
        return self.destinations.setdefault(domain, Destination())

    async def connect(self, hosts: AsyncIterator[NextHost]) -> TestConnection:
        host = await anext(hosts)
        destination = self.at(host.name)
        destination.connections += 1
        destination.tried.append(self.now)
        await asyncio.sleep(0)
        if destination.refuses is not None:
            raise Unreachable(destination.refuses)
        return TestConnection(self, destination)


class NoDns:
    async def exchangers(self, name: str) -> Exchangers:
        return Exchangers(((0, ""),) if name == "null.test" else ())

    async def addresses(self, name: str) -> Found:
        return Found(("192.0.2.1",))


class Site:
    """A relay over a data folder."""

    def __init__(self, data: Path, patience: Patience | None = None) -> None:
        self.internet = Internet()
        self.patience = patience or Patience()
        self.reports: list[tuple[float, str, bytes]] = []
        self.verdict = ACCEPTED
        self.wishes = Counter[Wish]()
        self._data = data
        self._names = 0
        self.start()

    def start(self) -> None:
        """As after a start of the process."""
        self.spool = Spool(self._data)
        self.queue = Queue(Most(), self.patience, lambda: 0.5)
        self.outbox = SpoolOutbox(self.spool, here, self.internet.clock, lambda: None)

    def relay(self, share: Share) -> Relay:
        world = World(
            here,
            self.internet.clock,
            lambda: self.internet.now,
            lambda: 0.5,
            self._wait,
            self._take_report,
        )
        routes = {"a.test": StaticRoute("a.test")}
        router = Router(
            NoDns(), lambda name: False, lambda names: None, routes, ask_tls=self._ask_tls
        )
        return Relay(
            "own.test", self.spool, self.queue, router, self.internet, self.patience, world, share
        )

    async def _ask_tls(self, candidate: Candidate, wish: Wish) -> Demand:
        self.wishes[wish] += 1
        return ANYTHING

    async def _take_report(self, mailbox: Mailbox, content: bytes) -> Verdict:
        await asyncio.sleep(0)
        if self.verdict:
            self.reports.append((self.internet.now - NOW, str(mailbox), content))
        return self.verdict

    async def _wait(self, seconds: float) -> None:
        """While something is under way, time stands still; else it goes to what is due next."""
        await asyncio.sleep(0)
        if not self._relay.busy:
            due = self.queue.next_due(self.internet.now)
            if due is None or due > self._until:
                self._reached.set()
                await asyncio.sleep(3600)  # until `go` ends it
            self.internet.now = max(self.internet.now, due)

    def go(self, seconds: float = 10 * DAY, share: Share = ALL) -> None:
        """Let so much time go by."""

        async def story() -> None:
            self._reached = asyncio.Event()
            self._until = self.internet.now + seconds
            self._relay = self.relay(share)
            task = asyncio.ensure_future(self._relay.run())
            waiting = asyncio.ensure_future(self._reached.wait())
            done, _ = await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if task in done:
                task.result()
            task.cancel()
            await asyncio.wait((task,))

        asyncio.run(asyncio.wait_for(story(), 20))
        self.internet.now = max(self.internet.now, self._until)
        self.spool.close()
        self.start()

    def put(
        self,
        *addresses: str,
        sender: str = "alice@own.test",
        notify: frozenset[Notify] | None = None,
        content: bytes = b"Subject: one\r\n\r\ntext\r\n",
        asked: MailParameters | None = None,
    ) -> str:
        """A message into the queue."""
        staging = MemoryStaging()
        staging.write(content)
        message = staging.finish()
        self._names += 1
        name = f"m-{self._names}"
        recipients = tuple(
            Recipient(ForwardPath(mailbox(one)), RcptParameters(notify)) for one in addresses
        )
        path = ReversePath(mailbox(sender) if sender else None)
        asked = asked or MailParameters()
        envelope = Envelope(Client("192.0.2.9"), path, asked, recipients)

        async def story() -> None:
            held = await self.outbox.hold(envelope, name, message.header_block, message.body)
            await held.release()

        asyncio.run(story())
        return name

    def left(self) -> list[str]:
        return self.spool.ids()

    def close(self) -> None:
        self.spool.close()


def mailbox(address: str) -> Mailbox:
    local, _, domain = address.partition("@")
    return Mailbox(local, domain)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def test_each_process_delivers_its_share(site: Site) -> None:
    names = [site.put(f"bob@b{number}.test", "carol@c.test") for number in range(40)]
    theirs = {name for name in names if name in Share(1, 2)}
    site.spool.order(DELETE, min(theirs))
    site.go(share=Share(0, 2))
    assert set(site.left()) == theirs
    assert {name for _, name in site.spool.orders()} == theirs
    site.go(share=Share(1, 2))
    assert site.left() == site.spool.orders() == []
    assert len(site.internet.at("c.test").got) == len(names) - 1


def test_a_message_goes_to_each_destination_once(site: Site) -> None:
    site.put("bob@b.test", "carol@b.test", "dave@c.test")
    site.go()
    assert [(who, what) for _, who, what in site.internet.at("b.test").got] == [
        (("bob", "carol"), b"Subject: one\r\n\r\ntext\r\n")
    ]
    assert [who for _, who, _ in site.internet.at("c.test").got] == [("dave",)]
    assert site.left() == []
    assert site.reports == []
    assert site.spool.orders() == []


def test_five_days_of_tries_and_then_it_goes_back(site: Site) -> None:
    """RFC 5321 4.5.4.1, in a moment."""
    site.internet.at("b.test").answer = LATER
    site.put("bob@b.test")
    site.go()
    assert 25 < site.internet.at("b.test").connections < 45
    (delayed_at, _, delayed), (failed_at, to, returned) = site.reports
    assert to == "alice@own.test"
    assert 4 * HOUR <= delayed_at < 9 * HOUR
    assert b"Action: delayed\r\nStatus: 4.2.0" in delayed
    assert 5 * DAY <= failed_at < 5 * DAY + 60
    assert b"Action: failed\r\nStatus: 5.4.7" in returned
    assert (
        b"It was tried again and again, until it was too old.\r\n    mx said: 450 later\r\n"
        in returned
    )
    assert site.left() == []


def test_a_dead_destination_is_asked_seldom_and_its_mail_goes_back_all_the_same(site: Site) -> None:
    site.internet.at("dead.test").refuses = DEAD
    for _ in range(12):
        site.put("bob@dead.test")
    site.go()
    assert site.internet.at("dead.test").connections < 45  # not 12 messages with 30 tries each
    assert len(site.reports) == 24
    assert site.left() == []


def test_each_recipient_has_a_fate_of_its_own(site: Site) -> None:
    there = site.internet.at("b.test")
    there.answers = {"later": LATER, "nobody": NEVER}
    site.put("bob@b.test", "later@b.test", "nobody@b.test")
    site.go(HOUR)
    assert [who for _, who, _ in there.got] == [("bob",)]
    ((_, _, report),) = site.reports
    assert b"nobody@b.test" in report
    assert b"later@b.test" not in report
    progress = site.spool.load("m-1").progress
    assert [one.open for one in progress] == [False, True, False]
    there.answers = {}
    site.go()
    assert [who for _, who, _ in there.got] == [("bob",), ("later",)]
    assert len(site.reports) == 1
    assert site.left() == []


def test_reports_of_one_message_have_ids_of_their_own(site: Site) -> None:
    """Many programs show but one of two with the same id."""
    site.internet.at("b.test").answer = NEVER
    site.internet.at("c.test").answer = LATER
    site.put("nobody@b.test", "nobody@c.test")
    site.go(HOUR)
    site.internet.at("c.test").answer = NEVER
    site.go()
    assert len({re.search(rb"Message-ID: .*", report)[0] for *_, report in site.reports}) == 2


def test_a_restart_keeps_the_times(site: Site) -> None:
    there = site.internet.at("b.test")
    there.answer = LATER
    site.put("bob@b.test")
    site.go(1)
    assert there.connections == 1
    site.go(200)
    site.go(98)
    assert there.connections == 1
    site.go(2)
    assert there.connections == 2


@pytest.mark.parametrize(
    ("notify", "actions"),
    [
        (None, [b"delayed", b"failed"]),
        (frozenset[Notify](), []),
        (frozenset({Notify.FAILURE}), [b"failed"]),
        (frozenset({Notify.DELAY}), [b"delayed"]),
        (frozenset({Notify.SUCCESS}), [b"relayed"]),
    ],
)
def test_notify(site: Site, notify: frozenset[Notify] | None, actions: list[bytes]) -> None:
    """RFC 3461 4.1, 5.2.2: a server that knows no DSN has us say that it was passed on."""
    site.internet.at("dead.test").answer = LATER
    site.put("bob@dead.test", "carol@c.test", notify=notify)
    site.go()
    assert actions == [
        next(word for word in (b"delayed", b"failed", b"relayed") if b"Action: " + word in report)
        for _, _, report in site.reports
    ]
    assert site.left() == []


def test_nobody_hears_of_a_message_without_a_sender(site: Site) -> None:
    site.internet.at("b.test").answer = NEVER
    site.put("bob@b.test", sender="")
    site.internet.at("dead.test").refuses = DEAD
    site.put("bob@dead.test", sender="")
    site.go()
    assert site.reports == []
    assert site.left() == []


def test_a_report_that_finds_no_place_waits(site: Site) -> None:
    site.internet.at("b.test").answer = NEVER
    site.verdict = Verdict(Kind.DISK_FULL)
    site.put("bob@b.test")
    site.go(600)
    assert site.left() == ["m-1"]
    site.verdict = ACCEPTED
    site.go(600)
    assert len(site.reports) == 1
    assert site.left() == []
    assert site.internet.at("b.test").connections == 1


def test_a_report_that_nobody_can_have_is_lost(site: Site) -> None:
    site.internet.at("b.test").answer = NEVER
    site.verdict = Verdict(Kind.NO_SUCH_USER)
    site.put("bob@b.test")
    site.go(600)
    assert site.left() == []


def test_a_domain_that_takes_no_mail(site: Site) -> None:
    site.put("bob@null.test")
    site.go()
    ((at, _, report),) = site.reports
    assert at < 60
    assert b"Status: 5.1.10" in report


def test_a_thousand_recipients_go_in_hundreds(site: Site) -> None:
    there = site.internet.at("b.test")
    site.put(*(f"bob{number}@b.test" for number in range(250)))
    site.go()
    assert there.most_recipients == 100
    assert sum(len(who) for _, who, _ in there.got) == 250
    assert there.connections == 1


def test_no_more_recipients_than_a_server_takes(site: Site) -> None:
    """RFC 9422 4.2."""
    there = site.internet.at("b.test")
    there.recipients = 7
    site.put(*(f"bob{number}@b.test" for number in range(30)))
    site.go()
    assert there.most_recipients == 7
    assert sum(len(who) for _, who, _ in there.got) == 30
    assert there.connections == 1


def test_a_connection_is_used_again(site: Site) -> None:
    for _ in range(30):
        site.put("bob@b.test")
    site.go()
    there = site.internet.at("b.test")
    assert len(there.got) == 30
    assert there.connections < 10


def test_orders_of_an_operator(site: Site) -> None:
    there = site.internet.at("b.test")
    there.answer = LATER
    held, deleted, hurried = (site.put("bob@b.test") for _ in range(3))
    site.go(10)
    site.spool.order("hold", held)
    site.spool.order("delete", deleted)
    there.answer = OK
    site.spool.order("retry", hurried)
    site.go(10)
    assert sorted(site.left()) == [held]
    assert len(there.got) == 1
    site.go(10 * DAY)
    assert site.left() == [held]
    assert site.spool.orders() == []
    site.spool.order("release", held)
    site.spool.order("retry", "not-there")
    site.spool.order("eat", held)
    site.go(10)
    assert len(there.got) == 2
    assert site.spool.orders() == []


def test_a_file_that_cannot_be_read_is_set_aside_and_the_others_go(site: Site) -> None:
    bad, _ = site.put("bob@b.test"), site.put("carol@b.test")
    messages = Path(site._data, ".mailserver/queue/messages")
    (messages / bad).write_bytes(b"garbage")
    site.go()
    assert site.left() == []
    assert [who for _, who, _ in site.internet.at("b.test").got] == [("carol",)]
    assert (messages.parent / f"bad-{bad}").exists()


def test_outcomes_that_cannot_be_written_down_are_not_tried_for_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk must not have a message delivered every minute."""
    record, full = Spool.record, [True]

    def recording(spool: Spool, records: list[Record]) -> list[OSError | None]:
        if full[0]:
            return [OSError(errno.ENOSPC, "No space left on device") for _ in records]
        return record(spool, records)

    monkeypatch.setattr(Spool, "record", recording)
    site.put("bob@b.test")
    wait = site._wait

    async def one_more_wait(seconds: float) -> None:
        if site.internet.now > NOW + HOUR:
            full[0] = False
        await wait(seconds)

    monkeypatch.setattr(site, "_wait", one_more_wait)
    site.go(2 * HOUR)
    assert len(site.internet.at("b.test").got) == 1
    assert site.left() == []


def test_what_a_crash_leaves_between_outcome_and_report(site: Site) -> None:
    site.internet.at("b.test").answer = NEVER
    site.verdict = Verdict(Kind.STORAGE_FAILED)  # as if it had been killed here
    site.put("bob@b.test")
    site.go(1)
    site.verdict = ACCEPTED
    site.go(1)
    assert len(site.reports) == 1
    assert site.left() == []


def test_many_messages_for_many_destinations(site: Site) -> None:
    """Two destinations of a message write into one file; every recipient is served once."""
    for number in range(60):
        names = [f"bob@d{(number + n) % 12}.test" for n in range(4)]
        site.put(*names)
    site.internet.at("d3.test").answer = LATER
    site.internet.at("d4.test").refuses = DEAD
    site.go(HOUR)
    site.internet.at("d3.test").answer = OK
    site.internet.at("d4.test").refuses = None
    site.go(DAY)
    assert site.left() == []
    counts = Counter({name: len(there.got) for name, there in site.internet.destinations.items()})
    assert counts == {f"d{number}.test": 20 for number in range(12)}


@pytest.mark.parametrize("more", [1, 5])
def test_each_recipient_is_reported_once(site: Site, more: int) -> None:
    """Whichever of a message's two destinations is done first, or comes to it in between."""
    site.internet.at("c.test").answer = NEVER
    for number in range(100):
        site.put(f"bob{number}@b.test", f"carol{number}@c.test")
        if number % more == 0:
            site.put("dave@b.test")
    site.go(DAY)
    assert site.left() == []
    text = b"".join(report for *_, report in site.reports)
    found = Counter(re.findall(rb"\r\nFinal-Recipient: rfc822; (\S+)", text))
    assert found == {b"carol%d@c.test" % number: 1 for number in range(100)}


def test_a_folder_that_cannot_be_read_for_a_while(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders, faults = Spool.orders, [OSError(errno.EIO, "Input/output error")] * 3

    def failing(spool: Spool) -> list[tuple[str, str]]:
        if faults:
            raise faults.pop()
        return orders(spool)

    monkeypatch.setattr(Spool, "orders", failing)
    site.put("bob@b.test")
    site.go()
    assert len(site.internet.at("b.test").got) == 1
    assert site.left() == []


# -- what senders ask of TLS ----------------------------------------------------------------------


def test_each_wish_has_connections_of_its_own(site: Site) -> None:
    """RFC 8689: what one sender asks is neither forgotten nor forced upon others."""
    site.put("bob@b.test")
    site.put("bob@b.test", asked=MailParameters(require_tls=True))
    site.put("bob@b.test", content=b"TLS-Required: No\r\n\r\n")
    site.put("bob@b.test", content=b"Subject: x\r\n\r\nTLS-Required: No\r\n")
    site.go()
    wishes = site.wishes[Wish.REQUIRED], site.wishes[Wish.OPTIONAL]
    assert wishes == (1, 1)
    assert len(site.internet.at("b.test").got) == 4


def test_a_report_about_a_message_with_requiretls_has_no_text(site: Site) -> None:
    """RFC 8689 5: as if RET=HDRS was there, whatever was."""
    site.internet.at("b.test").answer = NEVER
    for required in (True, False):
        site.put("bob@b.test", asked=MailParameters(returned=Return.FULL, require_tls=required))
    site.go()
    assert sorted(b"\r\ntext\r\n" in content for *_, content in site.reports) == [False, True]


@pytest.mark.parametrize("restarted", [True, False])
def test_a_clock_that_is_set_back_makes_nothing_wait(site: Site, *, restarted: bool) -> None:
    """RFC 5321 4.5.4.1: the next try is never further away than the longest wait."""
    site.internet.fast, site.internet.set_right_at = 365 * DAY, NOW + 6 * HOUR
    there = site.internet.at("b.test")
    there.refuses = failed(Fate.TEMPORARY, "4.1", "down")
    site.put("bob@b.test")
    for part in (6 * HOUR, 2 * DAY) if restarted else (6 * HOUR + 2 * DAY,):
        site.go(part)
    times = [*there.tried, NOW + 6 * HOUR + 2 * DAY]
    assert max(after - before for before, after in itertools.pairwise(times)) <= 4.8 * HOUR

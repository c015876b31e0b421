"""Aliases and lists that lead to other servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest

from mailserver.accounts.users_file import UsersFile
from mailserver.delivery.accept import FORWARDS_LIMIT, Policy, Reception
from mailserver.delivery.addressing import Addresses
from mailserver.delivery.rewriting import Rewriting
from mailserver.message.envelope import (
    Client,
    Envelope,
    MailParameters,
    Notify,
    RcptParameters,
    Recipient,
    Return,
)
from mailserver.message.judgement import Judgement
from mailserver.message.verdict import ACCEPTED, Kind, Verdict
from mailserver.relay.entry import Entry
from mailserver.relay.outbox import SpoolOutbox
from mailserver.relay.spool import Spool
from mailserver.store.base import Body, Deposit, StagedMessage
from mailserver.store.memory import MemoryStore
from mailserver.wire import address
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath
from mailserver.wire.cursor import Cursor

T = TypeVar("T")
NOW = 1_795_442_709.0
CONTENT = b"From: carol@c.test\r\nSubject: x\r\n\r\ntext\r\n"
STRANGER = Client("192.0.2.9", "c.test", True)
ALICE = Client("192.0.2.1", "client", True, user="alice")
SUCCESS = RcptParameters(frozenset({Notify.SUCCESS, Notify.FAILURE}))

ALIASES = {
    "one": ("bob@b.test",),
    "both": ("alice", "bob@b.test"),
    "two": ("bob@b.test", "dave@d.test"),
    "nested": ("one", "dave@d.test", "bob@b.test"),
    "team": ("alice", "bob@b.test", "dave@d.test"),
    "owner-team": ("alice",),
    "all": ("team", "erin@e.test"),
    "home": ("alice@a.test",),
    "bücher": ("büro@bücher.test",),
    **{f"f{number}": (f"x{number}@b.test",) for number in range(FORWARDS_LIMIT + 1)},
}


async def here(call: Callable[[], T]) -> T:
    return call()


def mailbox(text: str) -> Mailbox:
    return address.mailbox(Cursor(text))


class Site:
    """A reception over a real spool."""

    def __init__(self, data: Path, *, rewrites: bool = True, forged: bool = False) -> None:
        (data / "users.txt").write_text("alice secret\n")
        self.spool = Spool(data)
        self.forged = forged
        self.stored: list[Deposit] = []
        self.names = map("id{}-1".format, count())
        self.reception = Reception(
            Policy(Addresses(("a.test",), ALIASES), rewrites=rewrites),
            UsersFile(data, here),
            MemoryStore(),
            self._append,
            lambda: NOW,
            lambda: next(self.names),
            trust=self if forged else None,
            outbox=SpoolOutbox(self.spool, here, lambda: 5.0, lambda: None, self._sign),
            rewriting=Rewriting((b"secret",), "a.test", 21, lambda: NOW),
        )

    async def judge(self, envelope: Envelope, message: StagedMessage) -> Judgement:
        return Judgement(ACCEPTED, b"Authentication-Results: a.test\n", message.header_block, True)

    async def _append(self, deposit: Deposit) -> Verdict:
        self.stored.append(deposit)
        return ACCEPTED

    @staticmethod
    def _sign(head: bytes, body: Body) -> bytes:
        return b"DKIM-Signature: ours\n"

    def send(
        self,
        *recipients: str,
        sender: str = "carol@c.test",
        client: Client = STRANGER,
        asked: MailParameters | None = None,
        wanted: RcptParameters | None = None,
        content: bytes = CONTENT,
    ) -> Verdict:
        path = ReversePath(mailbox(sender) if sender else None)
        envelope = Envelope(client, path, asked or MailParameters())
        forwarded = 0
        for name in recipients:
            forward_path = ForwardPath(mailbox(name))
            verdict = self.reception.recipient(forward_path, envelope, forwarded)
            if not verdict:
                return verdict
            forwarded += verdict.kind is Kind.FORWARDED
            one = Recipient(forward_path, wanted or RcptParameters())
            envelope = replace(envelope, recipients=(*envelope.recipients, one))
        staging = self.reception.stage()
        staging.write(content)
        return asyncio.run(self.reception.accept(envelope, staging.finish()))[0]

    def queued(self) -> list[Entry]:
        return [self.spool.load(name).entry for name in sorted(self.spool.ids())]

    def content(self) -> bytes:
        (name,) = self.spool.ids()
        return b"".join(self.spool.content(name))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.spool.close()


def whom(entry: Entry) -> list[str]:
    return [str(one.forward_path) for one in entry.recipients]


def test_an_alias_that_leads_elsewhere(site: Site) -> None:
    """RFC 5321 3.9.1, and SPF passes at the next server; anybody may send to it."""
    assert site.send("one@a.test")
    (entry,) = site.queued()
    assert whom(entry) == ["bob@b.test"]
    sender = entry.reverse_path.mailbox
    assert sender is not None
    assert str(sender).startswith("SRS0=")
    assert str(sender).endswith("=c.test=carol@a.test")
    assert site.stored == []
    head, _, rest = site.content().partition(b"From:")
    assert head == (
        b"Delivered-To: one@a.test\r\n"
        b"Received: from c.test ([192.0.2.9]) by a.test with ESMTP id id0-1\r\n"
        b"\tfor <one@a.test>; Mon, 23 Nov 2026 14:05:09 +0000\r\n"
    )
    assert b"From:" + rest == CONTENT  # octet by octet: signatures stay good


@pytest.mark.parametrize(
    ("sender", "client", "left"),
    [
        ("", STRANGER, ""),
        ("alice@a.test", ALICE, "alice@a.test"),
        ("carol@[192.0.2.5]", STRANGER, "carol@[192.0.2.5]"),
        (f"{'x' * 60}@c.test", STRANGER, f"{'x' * 60}@c.test"),
    ],
)
def test_senders_that_stay(site: Site, sender: str, client: Client, left: str) -> None:
    assert site.send("one@a.test", sender=sender, client=client)
    (entry,) = site.queued()
    assert str(entry.reverse_path) == left


def test_senders_stay_when_the_settings_say_so(tmp_path: Path) -> None:
    site = Site(tmp_path, rewrites=False)
    assert site.send("one@a.test")
    (entry,) = site.queued()
    assert str(entry.reverse_path) == "carol@c.test"
    site.spool.close()


def test_nothing_is_told_to_a_sender_who_is_somebody_else(tmp_path: Path) -> None:
    """Security row 50: SPF says that the client is none of c.test's."""
    site = Site(tmp_path, forged=True)
    assert site.send("one@a.test", "team@a.test")
    named, listed = site.queued()
    assert str(named.reverse_path) == ""
    assert str(listed.reverse_path) == "owner-team@a.test"
    site.spool.close()


def test_a_copy_stays_here(site: Site) -> None:
    assert site.send("both@a.test")
    ((copy,),) = site.stored
    assert copy.user == "alice"
    assert copy.head.startswith(b"Return-Path: <carol@c.test>\nReceived: ")
    assert b"Delivered-To" not in copy.head
    assert b"bob" not in copy.head
    assert [whom(entry) for entry in site.queued()] == [["bob@b.test"]]


def test_all_behind_an_alias_once(site: Site) -> None:
    assert site.send("nested@a.test")
    assert [whom(entry) for entry in site.queued()] == [["bob@b.test", "dave@d.test"]]


def test_an_address_of_our_own_in_an_alias_is_a_user(site: Site) -> None:
    assert site.send("home@a.test")
    assert site.queued() == []
    assert site.stored[0][0].user == "alice"


def test_trouble_with_a_list_goes_to_its_owner(site: Site) -> None:
    """RFC 5321 3.9.2; RFC 3461 5.2.7.3."""
    asked = MailParameters(envelope_id="id", returned=Return.FULL, require_tls=True)
    assert site.send("team@a.test", asked=asked, wanted=SUCCESS)
    (entry,) = site.queued()
    assert whom(entry) == ["bob@b.test", "dave@d.test"]
    assert str(entry.reverse_path) == "owner-team@a.test"
    assert entry.parameters == MailParameters(require_tls=True)
    assert {one.parameters for one in entry.recipients} == {RcptParameters()}
    assert site.stored[0][0].head.startswith(b"Return-Path: <owner-team@a.test>\n")


def test_a_report_to_a_list_has_no_sender_there_either(site: Site) -> None:
    assert site.send("team@a.test", sender="")
    (entry,) = site.queued()
    assert str(entry.reverse_path) == ""


def test_a_list_inside_an_alias_keeps_its_owner(site: Site) -> None:
    assert site.send("all@a.test")
    by_sender = {str(entry.reverse_path)[:5]: whom(entry) for entry in site.queued()}
    assert by_sender == {"owner": ["bob@b.test", "dave@d.test"], "SRS0=": ["erin@e.test"]}


def test_several_are_messages_of_their_own(site: Site) -> None:
    """Nobody learns by Delivered-To, or by a server's log, where else it went (RFC 5321 7.2)."""
    assert site.send("one@a.test", "two@a.test", "carol@elsewhere.test", client=ALICE, sender="")
    assert sorted(map(whom, site.queued())) == [
        ["bob@b.test"],
        ["bob@b.test", "dave@d.test"],
        ["carol@elsewhere.test"],
    ]
    for name in site.spool.ids():
        content = b"".join(site.spool.content(name))
        assert content.count(b"Delivered-To") == (b"for <carol@elsewhere.test>" not in content)


def test_so_many_at_once_and_no_more(site: Site) -> None:
    """Security row 50: each is a copy of the message in the queue."""
    names = [f"f{number}@a.test" for number in range(FORWARDS_LIMIT + 1)]
    assert site.send(*names).kind is Kind.TOO_MANY_FORWARDS
    assert site.send(*names[:-1], "alice@a.test")
    assert len(site.queued()) == FORWARDS_LIMIT


def test_what_strangers_send_is_not_signed(site: Site) -> None:
    """It may say that it is from a user here."""
    forged = CONTENT.replace(b"carol@c.test", b"alice@a.test")
    assert site.send("one@a.test", content=forged)
    assert b"DKIM-Signature" not in site.content()


def test_what_users_send_is_signed(site: Site) -> None:
    assert site.send("one@a.test", client=ALICE, sender="alice@a.test")
    assert site.content().startswith(b"DKIM-Signature: ours\r\nDelivered-To: ")


def test_beyond_ascii(site: Site) -> None:
    assert site.send("bücher@a.test", wanted=SUCCESS)
    (entry,) = site.queued()
    assert entry.parameters.utf8
    assert entry.recipients[0].parameters.original == "utf-8;bücher@a.test"


# -- reports of success (RFC 3461 5.2.7) ---------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sender", "passed_on", "told"),
    [
        ("one", "alice", {Notify.SUCCESS, Notify.FAILURE}, None),
        ("two", "alice", {Notify.FAILURE}, b"Action: expanded"),
        ("both", "alice", {Notify.FAILURE}, b"Action: delivered"),
        ("one", "carol", {Notify.FAILURE}, None),
        ("two", "carol", {Notify.FAILURE}, None),
    ],
)
def test_who_tells_of_success(
    site: Site, name: str, sender: str, passed_on: set[Notify], told: bytes | None
) -> None:
    client = ALICE if sender == "alice" else STRANGER
    address = "alice@a.test" if sender == "alice" else "carol@c.test"
    assert site.send(f"{name}@a.test", sender=address, client=client, wanted=SUCCESS)
    (entry,) = site.queued()
    wanted = RcptParameters(frozenset(passed_on), f"rfc822;{name}@a.test")
    assert {one.parameters for one in entry.recipients} == {wanted}
    reports = [one for (one,) in site.stored if one.head.startswith(b"Return-Path: <>")]
    texts = [b"".join(one.body.read()) for one in reports]
    assert len(texts) == (told is not None)
    assert all(told is not None and told in text for text in texts)


def test_never_stays_never(site: Site) -> None:
    assert site.send("two@a.test", wanted=RcptParameters(frozenset(), "rfc822;x@y.test"))
    (entry,) = site.queued()
    assert entry.recipients[0].parameters == RcptParameters(frozenset(), "rfc822;x@y.test")


# -- the way back ---------------------------------------------------------------------------------


def test_a_report_finds_the_sender(site: Site) -> None:
    assert site.send("one@a.test")
    (entry,) = site.queued()
    back = str(entry.reverse_path)
    site.spool.remove(entry.id)
    assert site.send(back, sender="")
    (report,) = site.queued()
    assert whom(report) == ["carol@c.test"]
    assert str(report.reverse_path) == ""


def test_the_way_back_is_for_reports_alone(site: Site) -> None:
    """Whoever learns of such an address, and he does who gets the mail, cannot relay by it."""
    assert site.send("one@a.test")
    (entry,) = site.queued()
    back = str(entry.reverse_path)
    for sender, client in (("dave@d.test", STRANGER), ("alice@a.test", ALICE)):
        assert site.send(back, sender=sender, client=client).kind is Kind.NO_SUCH_USER
    path = ForwardPath(mailbox(back))
    assert site.reception.recipient(path).kind is Kind.NO_SUCH_USER  # VRFY


@pytest.mark.parametrize("local", ["SRS0=AAAAAA=AA=c.test=carol", "SRS1=AAAAAA=b.test==x", "SRS0="])
def test_a_way_back_that_we_did_not_make(site: Site, local: str) -> None:
    assert site.send(f"{local}@a.test", sender="").kind is Kind.NO_SUCH_USER


def test_our_own_report_goes_back_too(site: Site) -> None:
    assert site.send("one@a.test")
    (entry,) = site.queued()
    site.spool.remove(entry.id)
    assert entry.reverse_path.mailbox is not None
    report = b"From: us\r\n\r\nlost\r\n"
    assert asyncio.run(site.reception.report(entry.reverse_path.mailbox, report))
    (queued,) = site.queued()
    assert whom(queued) == ["carol@c.test"]


# -- loops ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["Delivered-To: one@a.test", "DELIVERED-TO :\tOne@A.TEST "])
def test_what_was_forwarded_before_is_a_loop(site: Site, line: str) -> None:
    """RFC 9228 4: refused in the session, at the second time and not at the hundredth."""
    content = line.encode() + b"\r\n" + CONTENT
    assert site.send("one@a.test", content=content).kind is Kind.TOO_MANY_HOPS
    assert site.send("alice@a.test", "one@a.test", content=content).kind is Kind.TOO_MANY_HOPS
    assert site.stored == []
    assert site.queued() == []
    assert site.send("alice@a.test", "two@a.test", content=content)

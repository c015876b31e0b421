"""A message for users here and for others: stored in both places, or in none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

import pytest

from mailserver.accounts.users_file import UsersFile
from mailserver.delivery.accept import Policy, Reception
from mailserver.delivery.addressing import Addresses
from mailserver.message.envelope import Client, Envelope, Recipient
from mailserver.message.verdict import ACCEPTED, Kind, Verdict
from mailserver.relay.outbox import SpoolOutbox
from mailserver.relay.spool import Spool
from mailserver.store.base import Deposit
from mailserver.store.memory import MemoryStore
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath

T = TypeVar("T")

CONTENT = b"Bcc: x\r\nSubject: both\r\n\r\ntext\r\n"
ALICE = Client("192.0.2.1", "client", True, user="alice")


async def here(call: Callable[[], T]) -> T:
    return call()


class Site:
    """A reception over a real spool; what the mailboxes say is `verdict`."""

    def __init__(self, data: Path) -> None:
        (data / "users.txt").write_text("alice secret\nbob secret\n")
        self.spool = Spool(data)
        self.verdict = ACCEPTED
        self.in_queue_before: list[str] = []
        self.stored: list[Deposit] = []
        networks = (ip_network("198.51.100.0/24"),)
        policy = Policy(Addresses(("a.test",)), relay_from=networks)
        self.reception = Reception(
            policy,
            UsersFile(data, here),
            MemoryStore(),
            self._append,
            lambda: 1_795_442_709.0,
            lambda: "id-1",
            outbox=SpoolOutbox(self.spool, here, lambda: 5.0, lambda: None),
        )

    async def _append(self, deposit: Deposit) -> Verdict:
        self.in_queue_before += self.spool.ids()
        self.stored.append(deposit)
        return self.verdict

    def accept(self, *addresses: str, client: Client = ALICE, content: bytes = CONTENT) -> Verdict:
        pairs = (address.split("@") for address in addresses)
        recipients = tuple(Recipient(ForwardPath(Mailbox(*pair))) for pair in pairs)
        sender = ReversePath(Mailbox("alice", "a.test"))
        staging = self.reception.stage()
        staging.write(content)
        envelope = Envelope(client, sender, recipients=recipients)
        return asyncio.run(self.reception.accept(envelope, staging.finish()))[0]

    def may_send(self, client: Client, address: str = "carol@b.test") -> Verdict:
        envelope = Envelope(client, ReversePath(None))
        return self.reception.recipient(ForwardPath(Mailbox(*address.split("@"))), envelope)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.spool.close()


def test_what_leaves_leaves_after_what_stays_is_stored(site: Site) -> None:
    assert site.accept("bob@a.test", "carol@b.test", "dave@c.test")
    assert site.in_queue_before == []
    assert site.spool.ids() == ["id-1"]
    entry = site.spool.load("id-1").entry
    assert [str(one.forward_path) for one in entry.recipients] == ["carol@b.test", "dave@c.test"]
    ((delivery,),) = site.stored
    assert delivery.user == "bob"
    assert b'Subject: both\nReceived: "2026-11-23' in delivery.head
    assert b"carol" not in delivery.head  # nobody learns of the others (RFC 5321 7.2)
    content = b"".join(site.spool.content("id-1"))
    assert content.startswith(b"Received: from client ([192.0.2.1]) by a.test with ESMTPA id id-1")
    assert b"bob" not in content
    assert b"carol" not in content
    assert b"Return-Path" not in content
    assert b"Bcc" not in content + delivery.head
    assert b"Date: " in content  # RFC 6409 8.2
    assert content.endswith(b"\r\n\r\ntext\r\n")
    assert len(content) == entry.octets


@pytest.mark.parametrize("kind", [Kind.STORAGE_FAILED, Kind.DISK_FULL, Kind.MAILBOX_BUSY])
def test_nothing_leaves_of_a_message_that_is_refused(
    site: Site, tmp_path: Path, kind: Kind
) -> None:
    site.verdict = Verdict(kind)
    assert site.accept("bob@a.test", "carol@b.test").kind is kind
    assert site.spool.ids() == []
    assert list((tmp_path / ".mailserver/queue/coming").iterdir()) == []


def test_what_cannot_be_queued_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(spool: Spool, message_id: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "release", full)
    assert site.accept("carol@b.test").kind is Kind.DISK_FULL
    assert site.spool.ids() == []


def test_a_message_without_a_header_gets_the_line_that_parts_it(site: Site) -> None:
    stranger = Client("198.51.100.7", "relay")
    assert site.accept("carol@b.test", client=stranger, content=b"\r\ntext\r\n")
    content = b"".join(site.spool.content("id-1"))
    assert content.endswith(b"+0000\r\n\r\ntext\r\n")
    assert b"for <carol@b.test>;" in content


def test_who_may_send_to_others(site: Site) -> None:
    assert site.may_send(ALICE)
    assert site.may_send(Client("198.51.100.7"))
    for address in ("192.0.2.1", "127.0.0.1", "::1", "172.17.0.1", ""):
        assert site.may_send(Client(address)).kind is Kind.NO_RELAYING
    assert site.may_send(Client("192.0.2.1"), "bob@a.test")


def test_a_loop_ends(site: Site) -> None:
    content = b"Received: x\r\n" * 101 + CONTENT
    assert site.accept("carol@b.test", content=content).kind is Kind.TOO_MANY_HOPS
    assert site.accept("carol@b.test", content=content[13:])

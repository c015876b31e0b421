"""Block lists in the DNS: what is asked, what is believed, and what it costs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import pytest
from tests.unit.server.trust.zone import Data, Zone

from mailserver.message.envelope import Client, Envelope
from mailserver.message.verdict import ACCEPTED, Kind, Verdict
from mailserver.trust.block_lists import TESTED_SECONDS, BlockLists
from mailserver.trust.dns import Address
from mailserver.trust.gate import Gate
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath

BAD, BAD6 = "5.6.7.8", "2a00:1450::1"
NIBBLES = ".".join(reversed("2a001450" + "0" * 23 + "1"))
YES: list[Any] = [{"A": "127.0.0.2"}]
TEST_ENTRIES: Data = {
    "2.0.0.127.bl.test": YES,
    ".".join(reversed("0" * 20 + "ffff7f000002")) + ".bl.test": YES,
}
ZONE: Data = TEST_ENTRIES | {
    "8.7.6.5.bl.test": [*YES, {"TXT": "Spam on 2026-11-01, see bl.test/5.6.7.8"}],
    f"{NIBBLES}.bl.test": YES,
}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def listing(
    zone: Data | Zone,
    client: str = BAD,
    zones: Sequence[str] = ("bl.test",),
    seconds: float = 30.0,
) -> str:
    resolver = zone if isinstance(zone, Zone) else Zone(zone)

    async def ask() -> str:
        return await BlockLists(zones, resolver, Clock(), seconds).listing(client)

    return asyncio.run(ask())


def test_the_question_about_ipv4_is_its_octets_from_behind() -> None:
    zone = Zone(ZONE)
    assert listing(zone) == "bl.test: Spam on 2026-11-01, see bl.test/5.6.7.8"
    assert zone.asked[0] == ("8.7.6.5.bl.test", "A")


def test_the_question_about_ipv6_is_its_nibbles_from_behind() -> None:
    zone = Zone(ZONE)
    assert listing(zone, BAD6) == "bl.test"
    assert zone.asked[0] == (f"{NIBBLES}.bl.test", "A")


def test_who_is_on_no_list_costs_one_question_a_list() -> None:
    zone = Zone(ZONE)
    assert listing(zone, "5.6.7.9", ("bl.test", "other.test")) == ""
    assert zone.asked == [("9.7.6.5.bl.test", "A"), ("9.7.6.5.other.test", "A")]


@pytest.mark.parametrize(
    ("answer", "listed"),
    [
        ("127.0.0.2", True),
        ("127.0.1.255", True),
        ("127.255.255.254", False),  # "you ask by way of a public resolver"
        ("192.0.2.7", False),  # a domain that was sold answers everything
    ],
)
def test_answers(answer: str, listed: bool) -> None:
    zone = TEST_ENTRIES | {"8.7.6.5.bl.test": [{"A": answer}]}
    assert bool(listing(zone)) is listed


@pytest.mark.parametrize("client", [BAD, BAD6])
@pytest.mark.parametrize("fault", ["has all", "has no test entry"])
def test_a_list_that_is_given_up_refuses_nobody(
    client: str, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 5782 5."""
    zone = ZONE | {
        "1.0.0.127.bl.test": YES,
        ".".join(reversed("0" * 20 + "ffff7f000001")) + ".bl.test": YES,
    }
    if fault == "has no test entry":
        zone = {name: answer for name, answer in ZONE.items() if name not in TEST_ENTRIES}
    assert listing(zone, client) == ""
    assert "block list bl.test is left out for an hour" in caplog.text


def test_the_test_entries_are_asked_for_once_an_hour() -> None:
    zone, clock = Zone(ZONE), Clock()

    async def ask() -> None:
        lists = BlockLists(("bl.test",), zone, clock, 30.0)
        for now in (0.0, 1.0, TESTED_SECONDS - 1, TESTED_SECONDS):
            clock.now = now
            assert await lists.listing(BAD)

    asyncio.run(ask())
    assert zone.asked.count(("2.0.0.127.bl.test", "A")) == 2
    assert zone.asked.count(("1.0.0.127.bl.test", "A")) == 2


def test_the_first_list_that_has_it_speaks() -> None:
    zone = ZONE | {"2.0.0.127.other.test": YES, "8.7.6.5.other.test": [*YES, {"TXT": "other"}]}
    assert listing(zone, zones=("none.test", "other.test", "bl.test")) == "other.test: other"


@pytest.mark.parametrize("name", ["8.7.6.5.slow.test", "2.0.0.127.slow.test"])
def test_a_list_that_does_not_answer_has_nobody(name: str) -> None:
    zone = ZONE | {"8.7.6.5.slow.test": YES, "2.0.0.127.slow.test": YES} | {name: ["TIMEOUT"]}
    assert listing(zone, zones=("slow.test",)) == ""
    assert listing(zone, zones=("slow.test", "bl.test")).startswith("bl.test: Spam")


class Silent(Zone):
    """Never answers about slow.test."""

    async def addresses(self, name: str, version: int) -> tuple[Address, ...]:
        if name.endswith("slow.test"):
            await asyncio.Event().wait()
        return await super().addresses(name, version)


def test_a_silent_list_takes_its_time_and_no_more() -> None:
    before = time.monotonic()
    assert listing(Silent(ZONE), zones=("slow.test", "bl.test"), seconds=0.2).startswith("bl.test:")
    assert time.monotonic() - before < 5.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plain", ": plain"),
        ("a\x1b[31mred\r\n250 OK\x85", ": a?[31mred??250 OK?"),
        ("é", ": ?"),
        ("x" * 1000, ": " + "x" * 200),
        ("", ""),
        ("TIMEOUT", ""),
    ],
)
def test_what_a_list_says_cannot_do_harm(text: str, words: str) -> None:
    zone = ZONE | {"8.7.6.5.bl.test": [*YES, {"TXT": text}]}
    assert listing(zone) == f"bl.test{words}"


# -- at the gate -----------------------------------------------------------------------------------


def verdict(client: str, to: str = "alice", zone: Zone | None = None) -> Verdict:
    async def ask() -> Verdict:
        gate = Gate(BlockLists(("bl.test",), zone or Zone(ZONE), Clock(), 30.0))
        envelope = Envelope(Client(client), ReversePath(None))
        return await gate.admits(envelope, ForwardPath(Mailbox(to, "mailserver")))

    return asyncio.run(ask())


def test_who_is_listed_is_refused() -> None:
    assert verdict(BAD).kind is Kind.BLOCK_LISTED
    assert verdict(BAD).detail == "bl.test: Spam on 2026-11-01, see bl.test/5.6.7.8"
    assert verdict("5.6.7.9") == ACCEPTED


def test_postmaster_is_there_for_all() -> None:
    """RFC 5321 4.5.1: how else would one get off a list?"""
    assert verdict(BAD, "PostMaster") == ACCEPTED


@pytest.mark.parametrize("client", ["10.1.2.3", "192.168.0.1", "172.17.0.1", "fd00::1", "client"])
def test_private_addresses_are_nobody_elses_business(client: str) -> None:
    zone = Zone(ZONE)
    assert verdict(client, zone=zone) == ACCEPTED
    assert zone.asked == []


@pytest.mark.parametrize(
    ("client", "watched"),
    [
        (Client(BAD), True),
        (Client("10.0.0.1"), True),
        (Client(BAD, user="alice"), False),
        (Client("127.0.0.1"), False),
        (Client("::1"), False),
        (Client("5.9.0.1"), False),
    ],
)
def test_who_is_watched(client: Client, watched: bool) -> None:
    assert Gate(known=(ip_network("5.9.0.0/16"),)).watches(client) is watched

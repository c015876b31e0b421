"""DMARC by RFC 9989: records, the walk up the tree, alignment, and what is asked for."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.server.trust.zone import Data, Zone

from mailserver.trust import dmarc
from mailserver.trust.dmarc import Outcome, Policy, Record, Result, parse


def published(**records: str) -> Data:
    """Records by domain, `_` for a dot."""
    return {
        f"_dmarc.{name.replace('_', '.')}": [{"TXT": f"v=DMARC1; {record}"}]
        for name, record in records.items()
    }


def check(
    zone: Data | Zone, author: str, signers: tuple[str, ...] = (), sender: str | None = None
) -> Outcome:
    if not isinstance(zone, Zone):
        zone = Zone(zone)
    return asyncio.run(dmarc.check(author, signers, sender, zone))


@pytest.mark.parametrize(
    ("text", "policies"),
    [
        ("v=DMARC1; p=reject", "reject reject reject"),
        ("v=DMARC1;p=quarantine;sp=none;", "quarantine none none"),
        ("v=DMARC1; p=none; np=reject", "none none reject"),
        ("v = DMARC1 ; P = Reject ; pct=20; who=knows", "reject reject reject"),
        ("v=DMARC1", "none none none"),
        ("V=DMARC1; p=reject", "reject reject reject"),
        ("v=DMARC1; p=block; rua=mailto:a@example.org", "none none none"),
        ("v=DMARC1; p=reject; sp=block; rua=mailto:a@example.org", "none none none"),
    ],
)
def test_records(text: str, policies: str) -> None:
    record = parse(text.encode())
    assert record is not None
    found = (record.policy, record.subdomains, record.missing)
    assert " ".join(policy.value for policy in found) == policies
    assert not record.faulty


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=DMARC2; p=none",
        "v=dmarc1; p=none",
        "p=none; v=DMARC1",
        "v=DMARC1 p=none",
        "v=spf1",
        "ö",
    ],
)
def test_what_is_no_record(text: str) -> None:
    assert parse(text.encode()) is None


@given(st.text(max_size=60))
def test_any_text_is_a_record_or_none(text: str) -> None:
    assert isinstance(parse(("v=DMARC1;" + text).encode()), Record | None)


ORG = published(example_org="p=reject; sp=quarantine")


@pytest.mark.parametrize(
    ("author", "signers", "sender", "result"),
    [
        ("example.org", ("example.org",), None, Result.PASS),
        ("example.org", (), "example.org", Result.PASS),
        ("example.org", ("mail.example.org",), None, Result.PASS),
        ("a.example.org", ("b.example.org",), None, Result.PASS),
        ("a.example.org", (), "example.org", Result.PASS),
        ("example.org", (), None, Result.FAIL),
        ("example.org", ("example.net", "badexample.org"), "org", Result.FAIL),
        ("example.net", ("example.org",), None, Result.NONE),
    ],
)
def test_relaxed_alignment(
    author: str, signers: tuple[str, ...], sender: str | None, result: Result
) -> None:
    assert check(ORG, author, signers, sender).result is result


@pytest.mark.parametrize(
    ("tag", "signers", "sender", "result"),
    [
        ("adkim=s", ("mail.example.org",), None, Result.FAIL),
        ("adkim=s", ("example.org",), None, Result.PASS),
        ("adkim=s", (), "mail.example.org", Result.PASS),
        ("aspf=s", (), "mail.example.org", Result.FAIL),
        ("aspf=s", ("mail.example.org",), "mail.example.org", Result.PASS),
    ],
)
def test_strict_alignment(
    tag: str, signers: tuple[str, ...], sender: str | None, result: Result
) -> None:
    assert check(published(example_org=tag), "example.org", signers, sender).result is result


@pytest.mark.parametrize(
    ("author", "record", "policy"),
    [
        ("example.org", "p=reject; sp=none", Policy.REJECT),
        ("there.example.org", "p=reject; sp=none", Policy.NONE),
        ("there.example.org", "p=none; np=reject", Policy.NONE),
        ("gone.example.org", "p=none; np=reject", Policy.REJECT),
        ("gone.example.org", "p=reject; sp=quarantine", Policy.QUARANTINE),
        ("example.org", "p=reject; t=y", Policy.QUARANTINE),
        ("example.org", "p=quarantine; t=y", Policy.NONE),
        ("example.org", "p=none; t=y", Policy.NONE),
    ],
)
def test_what_is_asked_for(author: str, record: str, policy: Policy) -> None:
    zone = published(example_org=record) | {"there.example.org": [{"A": "192.0.2.1"}]}
    assert check(zone, author) == Outcome(Result.FAIL, author, policy)


def test_the_nearest_record_counts() -> None:
    zone = published(example_org="p=none", a_example_org="p=reject")
    assert check(zone, "a.example.org").policy is Policy.REJECT
    # but the organization is the topmost one: the two align
    assert check(zone, "a.example.org", ("b.example.org",)).result is Result.PASS


def test_an_organization_of_its_own_below_another() -> None:
    """psd=n: 4.10.2."""
    zone = published(example_org="p=none", dept_example_org="p=reject; psd=n")
    assert check(zone, "dept.example.org", ("example.org",)).result is Result.FAIL
    assert check(zone, "x.dept.example.org", ("y.dept.example.org",)).result is Result.PASS


def test_customers_of_a_public_suffix_are_strangers() -> None:
    """psd=y: the organizations are one label below."""
    zone = published(gov_example="p=reject; psd=y", a_gov_example="p=none")
    assert check(zone, "a.gov.example", ("b.gov.example",)).result is Result.FAIL
    assert check(zone, "www.a.gov.example", ("mail.a.gov.example",)).result is Result.PASS
    # one that publishes nothing gets the suffix's policy, and is its own organization
    assert check(zone, "c.gov.example") == Outcome(Result.FAIL, "c.gov.example", Policy.REJECT)
    assert check(zone, "x.c.gov.example", ("c.gov.example",)).result is Result.PASS


def test_two_records_are_none() -> None:
    zone: Data = {
        "_dmarc.example.org": [{"TXT": "v=DMARC1; p=none"}, {"TXT": "v=DMARC1; p=reject"}]
    }
    assert check(zone, "example.org").result is Result.NONE


def test_a_long_name_is_asked_about_eight_times() -> None:
    """4.10: the name itself, then from seven labels on."""
    zone = Zone({})
    name = ".".join(f"l{n}" for n in range(12))
    assert check(zone, name).result is Result.NONE
    asked = [one.removeprefix("_dmarc.") for one, _ in zone.asked]
    assert asked[0] == name
    assert [one.count(".") + 1 for one in asked[1:]] == [7, 6, 5, 4, 3, 2, 1]


def test_no_name_is_asked_about_twice() -> None:
    zone = Zone(published(example_org="p=reject"))
    signers = tuple(f"s{n}.mail.example.org" for n in range(8))
    assert check(zone, "www.example.org", signers).result is Result.PASS
    assert len(zone.asked) == len(set(zone.asked))


def test_no_answer_is_no_verdict() -> None:
    zone: Data = {"_dmarc.example.org": ["TIMEOUT"]}
    assert check(zone, "example.org").result is Result.TEMPERROR
    assert check(zone, "a.example.org").result is Result.TEMPERROR


@pytest.mark.parametrize("record", ["p=x", "p=", "p=reject; sp=x", "p=reject; np=x; rua=:"])
def test_a_record_without_a_policy_asks_for_nothing(record: str) -> None:
    """4.10.1; nor does the one above it, for this name has its own."""
    zone = published(example_org="p=reject", a_example_org=record)
    assert check(zone, "a.example.org").result is Result.NONE
    assert check(zone, "a.example.org", ("a.example.org",)).result is Result.NONE
    assert check(published(example_org=record), "b.example.org").result is Result.NONE


def test_no_walk_where_there_is_nothing_to_find() -> None:
    """4.10.2: the author's own record, and the author's own signature. So nobody depends on what
    is above."""
    zone = Zone(published(example_org="p=reject; t=y") | {"_dmarc.org": ["TIMEOUT"]})
    found = Outcome(Result.PASS, "example.org", Policy.QUARANTINE)
    assert check(zone, "example.org", ("example.net", "example.org")) == found
    assert check(zone, "example.org", (), "example.org") == found
    assert zone.asked == [("_dmarc.example.org", "TXT")] * 2
    assert check(zone, "example.org").result is Result.TEMPERROR


def test_the_examples_of_the_rfc() -> None:
    """RFC 9989 B.4."""
    zone = published(example_com="p=reject", signing_example_com="p=none")
    for author in ("example.com", "a.b.c.d.e.f.g.h.i.j.k.example.com"):
        assert check(zone, author, ("signing.example.com",)).result is Result.PASS
        assert check(zone, author, (), "example.com").result is Result.PASS
    zone = published(bank_example="p=reject; psd=y", giant_bank_example="p=quarantine")
    giant = "giant.bank.example"
    assert check(zone, giant, ("mail.mega.bank.example",)).result is Result.FAIL
    passed = check(zone, giant, ("mail.mega.bank.example",), "mail.giant.bank.example")
    assert passed == Outcome(Result.PASS, giant, Policy.QUARANTINE)
    mega = check(zone, "mega.bank.example", ("mail.mega.bank.example",))
    assert mega == Outcome(Result.PASS, "mega.bank.example", Policy.REJECT)

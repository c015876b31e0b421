"""What the openspf suite leaves open: limits, hostile records, and what a check may cost."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.server.trust.zone import Data, Zone

from mailserver.trust import spf
from mailserver.trust.spf import Outcome, Result
from mailserver.trust.spf_macros import MacroFault, domain_spec, expand_domain
from mailserver.trust.spf_record import RecordFault, parse


def outcome(zone: Data, client: str = "192.0.2.1", sender: str = "a@example.org") -> Outcome:
    asked = spf.question(client, sender, "mail.example.org")
    return asyncio.run(spf.check(asked, Zone(zone), lambda: 0.0))


def test_an_ipv4_client_on_an_ipv6_socket() -> None:
    zone: Data = {"example.org": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}]}
    assert outcome(zone, "::ffff:192.0.2.1") == Outcome(Result.PASS)
    assert outcome(zone, "fe80::1%eth0") == Outcome(Result.FAIL)


@pytest.mark.parametrize(("terms", "result"), [(10, Result.PASS), (11, Result.PERMERROR)])
def test_ten_terms_may_ask(terms: int, result: Result) -> None:
    mechanisms = " ".join(f"a:no{n}.example.org" for n in range(terms - 1))
    zone: Data = {f"no{n}.example.org": [{"A": "198.51.100.9"}] for n in range(20)}
    zone["example.org"] = [{"TXT": f"v=spf1 {mechanisms} a:yes.example.org -all"}]
    zone["yes.example.org"] = [{"A": "192.0.2.1"}]
    assert outcome(zone).result is result


@pytest.mark.parametrize(("voids", "result"), [(2, Result.PASS), (3, Result.PERMERROR)])
def test_two_answers_may_be_void(voids: int, result: Result) -> None:
    mechanisms = " ".join(f"a:no{n}.example.org" for n in range(voids))
    zone: Data = {"example.org": [{"TXT": f"v=spf1 {mechanisms} ip4:192.0.2.1 -all"}]}
    assert outcome(zone).result is result


@pytest.mark.parametrize(("hosts", "result"), [(10, Result.NEUTRAL), (11, Result.PERMERROR)])
def test_ten_hosts_of_an_mx(hosts: int, result: Result) -> None:
    zone: Data = {f"mx{n}.example.org": [{"A": "198.51.100.9"}] for n in range(hosts)}
    exchangers = [{"MX": [n, f"mx{n}.example.org"]} for n in range(hosts)]
    zone["example.org"] = [{"TXT": "v=spf1 mx ?all"}, *exchangers]
    assert outcome(zone).result is result


def test_a_tree_of_includes_ends_soon() -> None:
    """Each record includes two that include two: without a limit, a million questions."""
    zone = Zone(
        {
            f"{n}.example.org": [
                {"TXT": f"v=spf1 include:{n + 1}.example.org include:{n + 1}.example.org -all"}
            ]
            for n in range(20)
        }
    )
    asked = spf.question("192.0.2.1", "a@0.example.org", "mail.example.org")
    assert asyncio.run(spf.check(asked, zone, lambda: 0.0)).result is Result.PERMERROR
    assert len(zone.asked) <= 11


def test_a_record_that_includes_itself_ends() -> None:
    assert outcome({"example.org": [{"TXT": "v=spf1 include:example.org -all"}]}) == Outcome(
        Result.PERMERROR
    )


def test_a_name_too_long_loses_labels_from_the_left() -> None:
    values = {"l": "x" * 60, "d": "example.org"}
    name = expand_domain(domain_spec("%{l}." * 5 + "%{d}"), values)
    assert name == ("x" * 60 + ".") * 3 + "example.org"


@given(st.text(st.characters(codec="latin-1"), max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        record = parse(b"v=spf1 " + text.encode("latin-1"))
    except RecordFault:
        return
    assert text.isascii()
    assert len(record.directives) <= len(text.split(" "))


@given(st.text("%{}lsdr0123456789.-+,/_= aZ", max_size=40))
def test_any_macro_is_read_or_refused(text: str) -> None:
    values = dict.fromkeys("slodiphcrtv", "a.b-c")
    try:
        spec = domain_spec(text)
    except MacroFault:
        return
    assert len(expand_domain(spec, values)) <= 253 or "." not in text


@given(
    st.lists(
        st.sampled_from(
            [
                b"a",
                b"mx",
                b"ptr",
                b"include:x.example.org",
                b"exists:%{i}.x.y",
                b"-all",
                b"redirect=x.example.org",
                b"ip4:192.0.2.0/24",
            ]
        ),
        max_size=14,
    )
)
def test_any_record_ends_within_its_lookups(terms: list[bytes]) -> None:
    text = b"v=spf1 " + b" ".join(terms)
    zone = Zone(
        {
            "example.org": [{"TXT": text.decode()}, {"MX": [1, "mx.example.org"]}],
            "x.example.org": [{"TXT": text.decode()}, {"A": "198.51.100.1"}],
            "mx.example.org": [{"A": "198.51.100.1"}],
        }
    )
    asked = spf.question("203.0.113.9", "a@example.org", "mail.example.org")
    asyncio.run(spf.check(asked, zone, lambda: 0.0))
    assert len(zone.asked) <= 1 + 2 * spf.LOOKUP_LIMIT


@pytest.mark.parametrize("helo", ["", "localhost", "[192.0.2.1]", "a..b", "x" * 70 + ".org", "ä.."])
def test_a_name_that_is_none_has_no_record(helo: str) -> None:
    asked = spf.question("192.0.2.1", "", helo)
    zone = Zone({})
    assert asyncio.run(spf.check(asked, zone, lambda: 0.0)) == Outcome(Result.NONE)
    assert zone.asked == []


def test_a_domain_in_other_letters() -> None:
    zone: Data = {"xn--bcher-kva.example": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}]}
    assert outcome(zone, sender="a@bücher.example") == Outcome(Result.PASS)


def test_an_explanation_that_would_move_a_terminal_is_none() -> None:
    zone: Data = {
        "example.org": [{"TXT": "v=spf1 -all exp=why.example.org"}],
        "why.example.org": [{"TXT": "not %{l}"}],
    }
    assert outcome(zone).explanation == "not a"
    assert outcome(zone, sender="\x1b[2J@example.org") == Outcome(Result.FAIL)


def test_the_names_of_a_client_are_asked_for_once() -> None:
    zone = Zone(
        {
            "example.org": [{"TXT": "v=spf1 ptr:a.org ptr:b.org exists:%{p}.c.org -all"}],
            "1.2.0.192.in-addr.arpa": [{"PTR": f"n{n}.example.net"} for n in range(50)],
        }
    )
    asked = spf.question("192.0.2.1", "a@example.org", "mail.example.org")
    assert asyncio.run(spf.check(asked, zone, lambda: 0.0)).result is Result.FAIL
    assert len(zone.asked) == 1 + 1 + spf.NAME_LIMIT + 1


@pytest.mark.parametrize(
    "text",
    [
        "a:." + "a" * 60_000 + "!",
        "a:" + "a." * 30_000 + "!",
        "a:" + "%{d}" * 15_000 + "!",
        "a:" + "/a" * 30_000 + "/!",
        "a" * 60_000,
        "a=" * 30_000,
        " " * 60_000 + "!",
        "mx//" + "1" * 60_000,
        "ip6:" + ":" * 60_000,
    ],
)
def test_a_long_record_is_read_in_linear_time(text: str) -> None:
    before = time.process_time()
    with suppress(RecordFault):
        parse(b"v=spf1 " + text.encode())
    assert time.process_time() - before < 0.5

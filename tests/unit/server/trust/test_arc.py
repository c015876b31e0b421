"""ARC against another implementation's chains, our own, and hostile ones."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.server.trust.mail import NOW, in_thread, split
from tests.unit.server.trust.sealing import key_of, seal, zone_of
from tests.unit.server.trust.zone import Data, Zone

from mailserver.trust import arc
from mailserver.trust.arc import SET_LIMIT, Outcome, Result
from mailserver.trust.results import passed_author

FOREIGN: dict[str, Any] = json.loads((Path(__file__).parent / "sealed_by_dkimpy.json").read_text())
FOREIGN_ZONE: Data = {name: [{"TXT": key}] for name, key in FOREIGN["keys"].items()}
CONTENT = b"From: alice@author.test\r\nTo: list@a.test\r\nSubject: tea\r\n\r\nAt five.\r\n"
AT_A, AT_B = "dmarc=pass header.from=author.test", "arc=pass; dmarc=fail header.from=author.test"
CHAIN = seal(seal(CONTENT, "a.test", AT_A), "b.test", AT_B)
ZONE = zone_of("a.test", "b.test")


def verified(content: bytes, zone: Data | Zone = ZONE, cut: int = 1 << 20) -> Outcome:
    header_block, body = split(content, cut)
    resolver = zone if isinstance(zone, Zone) else Zone(zone)
    return asyncio.run(arc.verify(header_block, body, resolver, in_thread, NOW))


def result(content: bytes, zone: Data | Zone = ZONE) -> str:
    found = verified(content, zone)
    return f"{found.result.value} {found.reason}".strip()


@pytest.mark.parametrize("cut", [1, 1 << 20])
@pytest.mark.parametrize("name", FOREIGN["messages"])
def test_what_dkimpy_sealed_and_what_became_of_it(name: str, cut: int) -> None:
    content, verdict = FOREIGN["messages"][name]
    assert verified(content.encode("latin-1"), FOREIGN_ZONE, cut).result.value == verdict


def test_who_sealed_and_what_the_first_one_found() -> None:
    found = verified(CHAIN)
    assert (found.result, found.sealers) == (Result.PASS, ("a.test", "b.test"))
    assert found.first.strip() == f"i=1; a.test; {AT_A}"


def test_no_chain() -> None:
    assert verified(CONTENT) == Outcome(Result.NONE)


def test_sealed_by_rsa() -> None:
    key_of("rsa.test", generate_private_key(65537, 2048))
    assert result(seal(CONTENT, "rsa.test"), zone_of("rsa.test")) == "pass"


def test_a_weak_key_is_not_believed() -> None:
    weak = (
        "v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAN3hjbCRRzl0UgBvvcRmGxPzGjFqpJxCwDPYvXA0"
        "PXqzCiu9ewGJk0bVsk/vjkn5Y3qCHwvlZYiM7LhE3VYQrVMCAwEAAQ=="
    )
    zone = ZONE | {key_of("a.test").record_name: [{"TXT": weak}]}
    assert result(CHAIN, zone) == "fail seal 1: RSA of 512 bits"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"At five", b"At six", "the body was changed"),
        (b"Subject: tea", b"Subject: gin", "the header was changed"),
        (b"i=1; a.test; dmarc=pass", b"i=1; a.test; dmarc=fail", "seal 1 is broken"),
        (b"i=2; b.test; arc=pass", b"i=2; b.test; arc=fail", "seal 2 is broken"),
        (b"cv=none", b"cv=pass", "the chain was broken before"),
        (b"cv=none", b"cv=fail", "the chain was broken before"),
        (b"cv=pass", b"cv=none", "the chain was broken before"),
        (b"i=2;", b"i=3;", "a set is missing"),
        (b"i=2;", b"i=1;", "a field of set 1 is there twice"),
        (b"ARC-Message-Signature: i=1", b"X-Was: i=1", "set 1 is not whole"),
        (b"ARC-Seal: i=2;", b"ARC-Seal: ", "i= is missing"),
        (b"ARC-Seal: i=2;", b"ARC-Seal: i=2; h=from;", "a seal chooses no fields"),
        (b"ARC-Seal: i=2;", b"ARC-Seal: i=2; x=1;", "seal 2 is broken"),
        (b"ARC-Seal: i=2; a=ed25519", b"ARC-Seal: i=2; a=rsa", "seal 2 is broken"),
        (b"ARC-Seal: i=2; a=ed25519", b"ARC-Seal: i=2; a=md5", "algorithm 'md5-sha256'"),
        (b"256; d=b.test; s=s1; c=", b"256; s=s1; c=", "d= is missing"),
    ],
)
def test_a_broken_chain(old: bytes, new: bytes, why: str) -> None:
    assert old in CHAIN
    assert result(CHAIN.replace(old, new)) == f"fail {why}"


def test_a_seal_is_not_signed_by_its_own_set() -> None:
    assert result(seal(CONTENT, "a.test", names="from:arc-seal")) == "fail a seal is signed by h="


def test_a_sealer_who_says_that_it_was_broken_is_believed() -> None:
    broken = seal(seal(CONTENT, "a.test"), "b.test", cv="fail")
    assert result(broken) == "fail the chain was broken before"


def test_the_order_of_the_fields_is_nothing() -> None:
    fields, body = CHAIN.split(b"\r\n\r\n")
    turned = b"\r\n".join(reversed(fields.split(b"\r\n")))
    assert result(turned + b"\r\n\r\n" + body) == "pass"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("TIMEOUT", "no answer about the key of seal 1"),
        ({"TXT": "v=DKIM1; k=ed25519; p="}, "seal 1: the key is revoked"),
        ({"A": "192.0.2.1"}, "seal 1: no key"),
    ],
)
def test_a_key_that_is_not_there(answer: Any, why: str) -> None:
    """5.2.1: whatever goes wrong, the chain has failed."""
    assert result(CHAIN, ZONE | {key_of("a.test").record_name: [answer]}) == f"fail {why}"


def test_so_many_sets_and_no_more() -> None:
    content = CONTENT
    for _ in range(SET_LIMIT):
        content = seal(content, "a.test")
    zone = Zone(ZONE)
    assert len(verified(content, zone).sealers) == SET_LIMIT
    assert len(zone.asked) == 1  # they have one key
    assert result(seal(content, "a.test"), zone) == "fail the chain is too long"
    assert len(zone.asked) == 1


def test_so_many_octets_and_no_more() -> None:
    assert result(seal(CONTENT, "a.test", "x" * arc.OCTET_LIMIT)) == "fail the chain is too long"


@given(st.binary(max_size=200), st.sampled_from([b"ARC-Seal", b"ARC-Message-Signature"]))
def test_any_octets_are_a_chain_or_none(octets: bytes, name: bytes) -> None:
    line = re.sub(rb"[\r\n\0]", b"", octets)
    assert verified(name + b": " + line + b"\r\n" + CONTENT).result is Result.FAIL


@pytest.mark.parametrize(
    "piece", [b";", b"; ", b"i=", b"(", b'("', b";dmarc=pass ", b"header.from ", b"\\", b"; i = x"]
)
def test_a_long_field_is_read_in_linear_time(piece: bytes) -> None:
    text = piece * (arc.OCTET_LIMIT // len(piece) - 1)
    before = time.process_time()
    passed_author(text.decode())
    for name in (b"ARC-Seal:", b"ARC-Authentication-Results:"):
        assert verified(name + text + b"\r\n" + CONTENT).result is Result.FAIL
    assert time.process_time() - before < 0.5


@pytest.mark.parametrize(
    ("believed", "author", "vouched"),
    [
        ({"a.test", "b.test"}, "author.test", True),
        ({"a.test"}, "author.test", False),
        ({"b.test"}, "author.test", False),
        ({"a.test", "b.test"}, "bank.test", False),
        (set(), "author.test", False),
    ],
)
def test_for_whom_a_chain_vouches(believed: set[str], author: str, vouched: bool) -> None:
    assert verified(CHAIN).vouches(author, believed) is vouched


def test_a_broken_chain_vouches_for_nobody() -> None:
    broken = verified(CHAIN.replace(b"At five", b"At six"))
    assert not broken.vouches("author.test", {"a.test", "b.test"})
    assert not Outcome(Result.NONE).vouches("", set())


@pytest.mark.parametrize(
    ("text", "author"),
    [
        ("i=1; a.test; dmarc=pass header.from=Bank.test", "bank.test"),
        (
            "i=1; a.test (it's); dkim=pass (2048 bit); dmarc=pass (p=NONE) header.from=b.test",
            "b.test",
        ),
        ("i=1; a.test; dmarc=fail header.from=bank.test", ""),
        ("i=1; a.test; dmarc=passed header.from=bank.test", ""),
        ("i=1; a.test; xdmarc=pass header.from=bank.test", ""),
        ("i=1; a.test; dmarc=pass; spf=pass header.from=bank.test", ""),
        ("i=1; a.test; spf=pass (; dmarc=pass header.from=bank.test )", ""),
        ('i=1; a.test; spf=none smtp.mailfrom="; dmarc=pass header.from=bank.test "', ""),
        ('i=1; a.test; x="\\"; dmarc=pass header.from=bank.test "', ""),
        (r"i=1; a.test; x=y (\) ; dmarc=pass header.from=bank.test", ""),
        ('i=1; a.test; x=y (a " b) reason="c) ; dmarc=pass header.from=bank.test "', ""),
        ("i=1; a.test; dmarc=pass header.from=bank.test (", ""),
    ],
)
def test_whose_dmarc_passed(text: str, author: str) -> None:
    assert passed_author(text) == author


@given(st.text(alphabet='abc"()\\; =', max_size=60))
def test_any_results_are_read(text: str) -> None:
    assert isinstance(passed_author(text), str)

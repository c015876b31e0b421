"""MTA-STS: what is a record, what is a policy, and whom it names (RFC 8461)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.relay.mta_sts import (
    LIFETIME_LIMIT,
    BadPolicy,
    Mode,
    Policy,
    read_policy,
    record_id,
)

GOOD = b"version: STSv1\r\nmode: enforce\r\nmx: mx.b.test\r\nmx: *.c.test\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([b"v=STSv1; id=20261129T1;"], "20261129T1"),
        ([b"v=STSv1;id=a"], "a"),
        ([b"v=STSv1 ; x=y ;\tid=a ; id=b"], "a"),
        ([b"v=spf1 -all", b"v=STSv1; id=a"], "a"),
        ([], None),
        ([b"v=STSv1; id=a", b"v=STSv1; id=a"], None),
        ([b"v=STSv1"], None),
        ([b"v=STSv1;"], None),
        ([b"v=STSv12; id=a"], None),
        ([b"id=a; v=STSv1"], None),
        ([b"v=STSv1; id="], None),
        ([b"v=STSv1; id=a.b"], None),
        ([b"v=STSv1; id=" + b"a" * 33], None),
        ([b"v=STSv1; id=\xff"], None),
    ],
)
def test_records(texts: list[bytes], found: str | None) -> None:
    assert record_id(texts) == found


def test_a_policy() -> None:
    policy = Policy(Mode.ENFORCE, 604_800, ("mx.b.test", "*.c.test"))
    assert read_policy(GOOD) == policy
    assert read_policy(GOOD.replace(b"\r\n", b"\n").rstrip()) == policy
    assert read_policy(GOOD.replace(b"mx.b.test", b"\tMX.B.test. ")) == policy
    assert (
        read_policy(GOOD + b"mode: none\r\nnew: \xc3\xbc:x\r\n\r\n") == policy
    )  # the first counts
    longest = read_policy(GOOD.replace(b"604800", b"9999999999"))
    assert longest.max_age == LIFETIME_LIMIT
    assert read_policy(b"version: STSv1\nmode: none\nmax_age: 0").mode is Mode.NONE


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"STSv1", b"STSv2"),
        (b"version", b"Version"),
        (b"enforce", b"force"),
        (b"mode: enforce\r\n", b""),
        (b"max_age: 604800\r\n", b""),
        (b"604800", b"-1"),
        (b"604800", b"1 day"),
        (b"604800", b"12345678901"),
        (b"mx: mx.b.test\r\nmx: *.c.test\r\n", b""),
        (b"mx.b.test", b""),
        (b"mx.b.test", b"*"),
        (b"mx.b.test", b"mx.*.test"),
        (b"mx.b.test", b"mx b.test"),
        (b"mx: mx", b"mx = mx"),
        (b"mx.b.test", b"\xff.test"),
        (b"version", b"<html>\r\nversion"),
    ],
)
def test_what_is_no_policy(before: bytes, after: bytes) -> None:
    assert before in GOOD
    with pytest.raises(BadPolicy):
        read_policy(GOOD.replace(before, after))


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("mx.b.test", True),
        ("MX.B.TEST", True),
        ("mx1.c.test", True),
        ("a.mx.c.test", False),  # one label, no more (RFC 8461 4.1)
        ("c.test", False),
        ("b.test", False),
        ("x.mx.b.test", False),
        ("evilmx.b.test", False),
        ("test", False),
    ],
)
def test_whom_it_names(host: str, named: bool) -> None:  # a row of the table
    assert read_policy(GOOD).names(host) is named


@given(st.binary() | st.text().map(lambda text: GOOD + text.encode()))
def test_any_octets(octets: bytes) -> None:
    record_id([octets, b"v=STSv1;" + octets])
    with suppress(BadPolicy):
        read_policy(octets)

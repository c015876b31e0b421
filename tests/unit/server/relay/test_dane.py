"""TLSA records, and the certificates that they mean."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from cryptography import x509
from tests.certificates import Authority, der, public_key

from mailserver.net.tls import Encryption
from mailserver.net.tls_client import ClientTls
from mailserver.relay.dane import Tlsa, usable
from mailserver.relay.tls_demand import Pinned

D256, D512 = b"\0" * 32, b"\0" * 64
NAMES = ("mx.b.test", "b.test")


@pytest.mark.parametrize(
    "record",
    [
        *(Tlsa(usage, 1, 1, D256) for usage in (0, 1, 4, 255)),  # RFC 7672 3.1.3
        Tlsa(3, 2, 1, D256),
        Tlsa(3, 1, 3, D256),
        Tlsa(3, 1, 1, D512),
        Tlsa(3, 1, 2, D256),
        Tlsa(2, 0, 0, b""),
    ],
)
def test_records_that_are_of_no_use(record: Tlsa) -> None:
    assert usable([record]) == ()


def test_the_strongest_digest_counts() -> None:
    """RFC 7671 9: for each usage and selector; what is there whole counts always."""
    weak, strong = Tlsa(3, 1, 1, D256), Tlsa(3, 1, 2, D512)
    other, whole = Tlsa(3, 0, 1, D256), Tlsa(3, 1, 0, b"key")
    assert usable([weak, strong, other, whole]) == (strong, other, whole)
    assert usable([weak, Tlsa(3, 1, 2, D256)]) == (weak,)  # a broken one outdoes nothing


AUTHORITY = Authority()
LEAF = AUTHORITY.issue("mx.b.test").certificate
ROOT = AUTHORITY.certificate


def meant(record: Tlsa, *chain: x509.Certificate) -> bool:
    encryption = Encryption("TLSv1.3", "any", {}, chain)
    return ClientTls().satisfies(encryption, Pinned((record,), NAMES))


def of(certificate: x509.Certificate, usage: int, selector: int, matching: int) -> Tlsa:
    data = public_key(certificate) if selector else der(certificate)
    if matching:
        data = hashlib.new(["", "sha256", "sha512"][matching], data).digest()
    return Tlsa(usage, selector, matching, data)


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_every_selector_and_matching_type(selector: int, matching: int) -> None:
    other = AUTHORITY.issue("mx.b.test").certificate
    assert meant(of(LEAF, 3, selector, matching), LEAF)
    assert not meant(of(other, 3, selector, matching), LEAF)
    assert meant(of(ROOT, 2, selector, matching), LEAF, ROOT)
    assert not meant(of(other, 2, selector, matching), LEAF, ROOT)


def test_a_certificate_of_its_own_needs_no_name_and_no_date() -> None:
    """RFC 7672 3.1.1."""
    late = AUTHORITY.issue("elsewhere.test", lifetime=timedelta(days=-1)).certificate
    assert meant(of(late, 3, 1, 1), late)


def test_below_an_authority_name_and_date_count() -> None:
    """RFC 7672 3.1.2, 3.2.2: the host's name, or the domain's."""
    record = of(ROOT, 2, 0, 1)
    for name in ("mx.b.test", "b.test", "*.b.test"):
        assert meant(record, AUTHORITY.issue(name).certificate, ROOT)
    assert not meant(record, AUTHORITY.issue("mx.c.test").certificate, ROOT)
    late = AUTHORITY.issue("mx.b.test", lifetime=timedelta(days=-1)).certificate
    assert not meant(record, late, ROOT)


def test_an_authority_has_to_have_signed_it() -> None:
    other = Authority()
    assert not meant(of(other.certificate, 2, 0, 1), LEAF, other.certificate)
    assert not meant(of(LEAF, 2, 0, 1), LEAF)  # it is no authority of itself


def test_an_authority_in_the_record_alone() -> None:
    """RFC 7671 5.2: a record with a whole certificate is enough; a digest of it is not."""
    assert meant(of(ROOT, 2, 0, 0), LEAF)
    assert not meant(of(ROOT, 2, 0, 1), LEAF)


def test_an_authority_that_says_little_of_itself() -> None:
    plain = Authority(plain=True)
    assert meant(
        of(plain.certificate, 2, 1, 1), plain.issue("b.test").certificate, plain.certificate
    )


@pytest.mark.parametrize("says_no", [True, False])
def test_what_is_no_authority_signs_for_nobody(says_no: bool) -> None:
    server = AUTHORITY.issue("mx.c.test", says_no=says_no)
    forged = Authority("mx.c.test", server.key).issue("mx.b.test").certificate
    assert not meant(of(ROOT, 2, 0, 1), forged, server.certificate, ROOT)


def test_no_certificate() -> None:
    assert not meant(of(LEAF, 3, 0, 1))
    assert not ClientTls().satisfies(None, Pinned((of(LEAF, 3, 0, 1),), NAMES))

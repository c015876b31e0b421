"""All checks together, over the real staging, on an event loop, with a resolver in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract import post
from tests.unit.server.trust.mail import NOW, in_thread, split
from tests.unit.server.trust.sealing import seal, zone_of
from tests.unit.server.trust.zone import Data, Zone

from mailserver.message.envelope import Client, Envelope
from mailserver.message.judgement import Judgement
from mailserver.message.verdict import Kind
from mailserver.store.files import FileStore
from mailserver.trust.checks import AT_ONCE, Checks, Rules
from mailserver.trust.dkim_sign import SigningKey, signature_fields
from mailserver.wire.address import Mailbox, ReversePath

KEY = SigningKey("example.org", "s1", Ed25519PrivateKey.generate())
ZONE: Data = {
    "example.org": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
    "_dmarc.example.org": [{"TXT": "v=DMARC1; p=reject"}],
    KEY.record_name: [{"TXT": KEY.record}],
}
CONTENT = b"From: Alice <alice@example.org>\r\nSubject: tea\r\n\r\nFrom me.\r\n"
SIGNED = signature_fields([KEY], *split(CONTENT), NOW).replace(b"\n", b"\r\n") + CONTENT


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    made = FileStore(tmp_path, lambda: 0.0, reserve_octets=0)
    yield made
    made.close()


def envelope(address: str, sender: str, name: str = "mail.example.org") -> Envelope:
    local_part, _, domain = sender.partition("@")
    mailbox = Mailbox(local_part, domain) if sender else None
    return Envelope(Client(address, name), ReversePath(mailbox))


def judged(
    store: FileStore,
    content: bytes,
    address: str = "192.0.2.1",
    sender: str = "alice@example.org",
    *,
    rejects: bool = True,
    zone: Data | Zone = ZONE,
    seconds: float = 30.0,
    believed: frozenset[str] = frozenset(),
) -> tuple[Judgement, str]:
    """And the results, on one line."""
    resolver = zone if isinstance(zone, Zone) else Zone(zone)

    async def judge() -> Judgement:
        rules = Rules(("mailserver",), rejects, seconds, believed)
        checks = Checks(rules, resolver, in_thread, lambda: NOW)
        staging = post.staged(store, content)
        try:
            return await checks.judge(envelope(address, sender), staging.finish())
        finally:
            staging.discard()

    judgement = asyncio.run(judge())
    return judgement, " ".join(judgement.fields.decode().split())


def test_good_mail(store: FileStore) -> None:
    judgement, results = judged(store, SIGNED)
    assert judgement.verdict
    assert results.startswith(
        "Authentication-Results: mailserver; spf=pass smtp.mailfrom=example.org; "
        "dkim=pass header.d=example.org header.s=s1 header.a=ed25519-sha256 header.b="
    )
    assert results.endswith("; arc=none; dmarc=pass header.from=example.org policy.dmarc=reject")
    assert not judgement.forged


def test_one_of_both_is_enough(store: FileStore) -> None:
    forwarded, results = judged(store, SIGNED, "198.51.100.7")
    assert "spf=fail" in results
    assert "dmarc=pass" in results
    assert forwarded.verdict
    unsigned, results = judged(store, CONTENT)
    assert "dkim=none; arc=none; dmarc=pass" in results
    assert unsigned.verdict


@pytest.mark.parametrize("rejects", [False, True])
def test_forged_mail(store: FileStore, rejects: bool) -> None:
    forged = SIGNED.replace(b"From me", b"Pay me!")
    judgement, results = judged(store, forged, "198.51.100.7", rejects=rejects)
    assert "spf=fail" in results
    assert judgement.forged
    assert 'dkim=fail reason="the body was changed"' in results
    assert "dmarc=fail header.from=example.org policy.dmarc=reject" in results
    assert bool(judgement.verdict) is not rejects
    if rejects:
        assert judgement.verdict.kind is Kind.NOT_AUTHENTIC
        assert "by DMARC example.org asks to refuse" in judgement.verdict.detail


def test_another_domain_in_the_envelope_helps_nobody(store: FileStore) -> None:
    zone = ZONE | {"evil.test": [{"TXT": "v=spf1 +all"}]}
    judgement, results = judged(store, CONTENT, "198.51.100.7", "eve@evil.test", zone=zone)
    assert "spf=pass smtp.mailfrom=evil.test" in results
    assert "dmarc=fail" in results
    assert not judgement.verdict


def test_a_bounce_is_judged_by_the_name_in_ehlo(store: FileStore) -> None:
    _, results = judged(store, CONTENT, sender="")
    assert "spf=none smtp.helo=mail.example.org" in results


def test_no_author(store: FileStore) -> None:
    two = b"From: eve@evil.test\r\n" + CONTENT
    judgement, results = judged(store, two)
    assert 'dmarc=permerror reason="2 From fields"' in results
    assert judgement.verdict.kind is Kind.NOT_AUTHENTIC
    assert judged(store, two, rejects=False)[0].verdict


def test_forged_results_are_taken_out_after_the_signature_was_looked_at(store: FileStore) -> None:
    forged = b"Authentication-Results: MailServer; dmarc=pass\r\n"
    judgement, results = judged(store, forged + SIGNED)
    assert "dkim=pass" in results
    assert b"Authentication-Results" not in judgement.header_block
    assert judgement.header_block.replace(b"\n", b"\r\n") + b"\r\nFrom me.\r\n" == SIGNED


@pytest.mark.parametrize("believed", [frozenset[str](), frozenset({"list.test"})])
def test_what_a_list_changed_is_refused_unless_its_seal_is_believed(
    store: FileStore, believed: frozenset[str]
) -> None:
    zone = ZONE | zone_of("list.test")
    passed_on = CONTENT.replace(b"Subject: ", b"Subject: [list] ")
    sealed = seal(passed_on, "list.test", "dmarc=pass header.from=example.org")
    judgement, results = judged(store, sealed, "198.51.100.7", zone=zone, believed=believed)
    assert "; arc=pass; dmarc=fail header.from=example.org policy.dmarc=reject" in results
    assert bool(judgement.verdict) is bool(believed)
    forged = seal(passed_on, "list.test", "dmarc=fail header.from=example.org")
    assert not judged(store, forged, "198.51.100.7", zone=zone, believed=believed)[0].verdict
    changed = sealed.replace(b"From me", b"Pay me!")
    judgement, results = judged(store, changed, "198.51.100.7", zone=zone, believed=believed)
    assert 'arc=fail reason="the body was changed"; dmarc=fail' in results
    assert not judgement.verdict


class Silent(Zone):
    """Never answers."""

    async def texts(self, name: str) -> tuple[bytes, ...]:
        await asyncio.Event().wait()
        raise AssertionError


def test_no_answer_refuses_nothing_and_ends_in_time(store: FileStore) -> None:
    sealed = seal(SIGNED.replace(b"\r\n\t", b" "), "list.test")
    judgement, results = judged(store, sealed, zone=Silent({}), seconds=0.2)
    assert "spf=temperror" in results
    assert 'dkim=temperror reason="no time"' in results
    assert 'arc=fail reason="no time"' in results
    assert "dmarc=temperror" in results
    assert judgement.verdict


def test_a_missing_answer_about_one_is_no_failure_of_both(store: FileStore) -> None:
    zone = ZONE | {KEY.record_name: ["TIMEOUT"]}
    judgement, results = judged(store, SIGNED, "198.51.100.7", zone=zone)
    assert "dkim=temperror" in results
    assert "dmarc=temperror header.from=example.org" in results
    assert judgement.verdict


def test_many_wait_for_their_place_and_all_end(store: FileStore) -> None:
    async def judge() -> list[Judgement]:
        rules = Rules(("mailserver",), seconds=0.2)
        checks = Checks(rules, Silent({}), in_thread, lambda: NOW)
        message = post.staged(store, SIGNED).finish()
        one = envelope("192.0.2.1", "alice@example.org")
        return await asyncio.gather(*(checks.judge(one, message) for _ in range(3 * AT_ONCE)))

    found = [one.fields for one in asyncio.run(judge())]
    assert all(b"spf=temperror" in fields and b"arc=none" in fields for fields in found)


def test_a_client_without_an_address_has_no_spf(store: FileStore) -> None:
    assert "spf=none" in judged(store, SIGNED, "client")[1]


def test_a_long_message_is_read_from_its_file(store: FileStore) -> None:
    content = CONTENT + b"tea and cake, and From here on more of it\r\n" * 40_000
    signed = signature_fields([KEY], *split(content), NOW).replace(b"\n", b"\r\n") + content
    assert "dkim=pass" in judged(store, signed)[1]

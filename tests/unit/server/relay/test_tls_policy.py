"""What a host has to show by TLS: over a DNS server, a web server and mail servers on loopback."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.certificates import Authority, public_key
from tests.unit.server.net.mail_server import MailServer, WebServer, page
from tests.unit.server.relay.dns_server import DnsServer

from mailserver.message.envelope import MailParameters, Recipient
from mailserver.message.outcome import Fate, Outcome
from mailserver.message.transaction import Transaction
from mailserver.net import policy_fetch
from mailserver.net.dns import Dns
from mailserver.net.policy_fetch import PolicyFetch
from mailserver.net.smtp_connection import Timeouts
from mailserver.net.smtp_courier import SmtpCourier
from mailserver.net.tls_client import ClientTls
from mailserver.relay import sts_policies
from mailserver.relay.courier import Unreachable
from mailserver.relay.routing import NoRoute, Router, StaticRoute
from mailserver.relay.sts_policies import StsPolicies
from mailserver.relay.tls_policy import TlsPolicy
from mailserver.relay.wish import Wish
from mailserver.threads import Threads
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath

CONTENT = b"Subject: x\r\n\r\n"
THREADS = Threads("test", 2)
NOW = 1_795_442_709.0
POLICY = "version: STSv1\nmode: {}\nmx: mx.b.test\nmax_age: 604800\n"


class World:
    """b.test, whose mail server is mx.b.test; and us, who send there."""

    def __init__(self, folder: Path) -> None:
        self.data = folder
        self.authority = Authority()
        self.roots = folder / "roots.pem"
        self.roots.write_bytes(self.authority.pem)
        self.stranger = Authority()
        self.good = self.authority.issue("mx.b.test")
        self.unknown = self.stranger.issue("mx.b.test")
        self.other = self.authority.issue("mx.c.test")
        web = self.authority.issue("mta-sts.b.test").write(folder / "web.pem")
        self.policy: Callable[[], bytes] = lambda: page(POLICY.format("enforce").encode())
        self.web = WebServer(web, lambda name, request: self.policy())
        self.now = NOW
        self.least = "opportunistic"
        self.zone = {
            "b.test": [("MX", "10 mx.b.test.")],
            "mx.b.test": [("A", "127.0.0.1")],
            "mta-sts.b.test": [("A", "127.0.0.1")],
        }
        self.dns = DnsServer(self.zone)
        self.mail: MailServer | None = None
        self.route = False

    def serve(self, *offers: str, certificate: str = "good") -> MailServer:
        """The mail server, with `good`, `unknown`, `other`, no certificate, or `broken` TLS."""
        path = None
        if certificate not in ("", "broken"):
            path = getattr(self, certificate).write(self.data / "mail.pem")
        self.close_mail()
        self.mail = MailServer(path, offers, broken=certificate == "broken")
        return self.mail

    def publish(self, issued: str = "unknown", *, name: str = "mx.b.test", more: str = "") -> None:
        """A TLSA record for the key of this certificate."""
        key = public_key(getattr(self, issued).certificate).hex()
        assert self.mail is not None
        records = [("TLSA", f"3 1 0 {key}")] if issued != "other" else []
        self.zone[f"_{self.mail.port}._tcp.{name}"] = [
            *records,
            *([("TLSA", more)] if more else []),
        ]

    def say_policy(self, policy_id: str = "1", mode: str = "enforce", **changes: str) -> None:
        text = POLICY.format(mode)
        for before, after in changes.items():
            text = text.replace(before, after)
        self.zone["_mta-sts.b.test"] = [("TXT", f'"v=STSv1; id={policy_id};"')]
        self.policy = lambda: page(text.encode())

    def policies(self) -> StsPolicies:
        """As after a start of the process."""
        fetch = PolicyFetch(self._dns(), lambda address: True, self.roots, self.web.port)
        return StsPolicies(self.data, self._dns(), fetch, THREADS, lambda: self.now)

    def _dns(self) -> Dns:
        return Dns(("127.0.0.1",), self.dns.port, validating=True)

    async def _send(self, wish: Wish, transaction: Transaction) -> tuple[Outcome, ...]:
        assert self.mail is not None
        resolver = self._dns()
        routes = {"b.test": StaticRoute("mx.b.test", self.mail.port)} if self.route else {}
        asked = TlsPolicy(self.least, resolver, self.policies())
        shuffle = random.Random(1).shuffle
        router = Router(
            resolver,
            lambda name: False,
            shuffle,
            routes,
            ask_tls=asked,
            port=self.mail.port,
        )
        tls = ClientTls(self.roots)
        courier = SmtpCourier("a.test", tls, Timeouts(), THREADS)
        hosts = router.hosts(router.destination("b.test", wish))
        connection = await courier.connect(hosts)
        try:
            return await connection.send(transaction, lambda: iter([CONTENT]))
        finally:
            await connection.close()

    def send(self, wish: Wish = Wish.NONE, *, sender: str = "alice") -> Outcome:
        """A message; what became of it."""
        parameters = MailParameters(require_tls=wish is Wish.REQUIRED)
        reverse_path = ReversePath(Mailbox(sender, "a.test") if sender else None)
        recipients = (Recipient(ForwardPath(Mailbox("bob", "b.test"))),)
        sent = Transaction(reverse_path, parameters, recipients, len(CONTENT))
        try:
            (outcome,) = asyncio.run(self._send(wish, sent))
        except (Unreachable, NoRoute) as problem:
            return problem.outcome
        return outcome

    def close_mail(self) -> None:
        if self.mail is not None:
            self.mail.close()
            self.mail = None

    def close(self) -> None:
        self.close_mail()
        self.web.close()
        self.dns.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def went(outcome: Outcome) -> bool:
    return outcome.fate is Fate.DELIVERED


def waits(outcome: Outcome, status: str, words: str) -> bool:
    assert (outcome.fate, outcome.status) == (Fate.TEMPORARY, status), outcome
    assert words in outcome.text
    return True


# -- nobody asks for anything -------------------------------------------------------------------


@pytest.mark.parametrize("certificate", ["good", "unknown", "other", ""])
def test_without_a_policy_any_certificate_will_do(world: World, certificate: str) -> None:
    mail = world.serve(certificate=certificate)
    assert went(world.send())
    assert mail.taken == [(bool(certificate), b"MAIL FROM:<alice@a.test> SIZE=14")]
    assert world.web.asked == []


@pytest.mark.parametrize(
    ("least", "certificate", "status"),
    [
        ("required", "", "4.7.4"),
        ("required", "unknown", ""),
        ("verified", "unknown", "4.7.5"),
        ("verified", "good", ""),
    ],
)
def test_what_the_settings_ask(world: World, least: str, certificate: str, status: str) -> None:
    world.least = least
    world.serve(certificate=certificate)
    outcome = world.send()
    assert went(outcome) if not status else waits(outcome, status, f"relay_tls = {least} asks")


def test_tls_that_fails(world: World) -> None:
    """RFC 7435: then in the clear, unless something is asked for."""
    mail = world.serve(certificate="broken")
    assert went(world.send())
    assert [inside for inside, _ in mail.taken] == [False]
    world.say_policy()
    before = mail.connections
    assert waits(world.send(), "4.7.0", "TLS with mx.b.test failed")
    assert (len(mail.taken), mail.connections) == (1, before + 1)


# -- MTA-STS ------------------------------------------------------------------------------------


@pytest.mark.parametrize("certificate", ["good", "unknown", "other", ""])
def test_a_policy_that_is_enforced(world: World, certificate: str) -> None:
    """RFC 8461 5: TLS, and a certificate for the name in MX."""
    mail = world.serve(certificate=certificate)
    world.say_policy()
    outcome = world.send()
    if certificate == "good":
        assert went(outcome)
    else:
        assert waits(outcome, "4.7.5", "MTA-STS of b.test asks")
    assert mail.taken == ([(True, b"MAIL FROM:<alice@a.test> SIZE=14")] if went(outcome) else [])


def test_hosts_that_the_policy_does_not_name(world: World) -> None:
    """RFC 8461 4.1: they get nothing, however good they are; the next one may."""
    mail = world.serve()
    world.say_policy()
    world.zone["b.test"] = [("MX", "10 mx.evil.test."), ("MX", "20 mx.b.test.")]
    world.zone["mx.evil.test"] = [("A", "127.0.0.1")]
    assert went(world.send())
    assert mail.names == ["mx.b.test"]
    world.say_policy("2", **{"mx.b.test": "*.c.test"})
    assert waits(world.send(), "4.7.5", "does not name its mail server mx.")
    assert len(mail.taken) == 1


@pytest.mark.parametrize("mode", ["testing", "none"])
def test_a_policy_that_refuses_nothing(
    world: World, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.serve(certificate="unknown")
    world.say_policy(mode=mode)
    assert went(world.send())
    assert ("MTA-STS of b.test, in testing, would refuse mx.b.test" in caplog.text) is (
        mode == "testing"
    )
    world.say_policy("2", mode, **{"mx.b.test": "*.c.test"})
    assert went(world.send())
    assert ("in testing, does not name mx.b.test" in caplog.text) is (mode == "testing")


def test_a_policy_is_kept(world: World) -> None:
    """RFC 8461 3.3: as long as it says, also over a restart, and whatever DNS and web say."""
    world.serve(certificate="unknown")
    world.say_policy()
    assert not went(world.send())
    assert not went(world.send())
    assert world.web.asked == ["mta-sts.b.test"]
    del world.zone["_mta-sts.b.test"]
    assert not went(world.send())
    world.zone["_mta-sts.b.test"] = [("FAIL", "TXT")]
    assert not went(world.send())
    world.say_policy("2")
    world.policy = lambda: page(b"", status="500 no")
    assert not went(world.send())
    world.now += 604_800
    assert went(world.send())  # it has run out, and no other came


def test_a_new_id_brings_a_new_policy(world: World) -> None:
    """RFC 8461 5.1: before a message is given up, the policy is looked at anew; here each time."""
    world.serve(certificate="unknown")
    world.say_policy()
    assert not went(world.send())
    world.say_policy("1", "none")
    assert not went(world.send())  # the same id: not fetched
    world.say_policy("2", "none")
    assert went(world.send())
    assert len(world.web.asked) == 2


def test_a_policy_is_fetched_again_each_day(world: World) -> None:
    world.serve()
    world.say_policy()
    for _ in range(10):
        assert went(world.send())
        world.now += 86_400
    assert len(world.web.asked) == 10
    assert (
        (world.data / ".mailserver/mta-sts/b.test.txt")
        .read_text()
        .endswith(f"fetched: {int(world.now - 86_400)}\n{POLICY.format('enforce')}")
    )


def test_a_fetch_that_failed_is_not_tried_at_once(world: World) -> None:
    """RFC 8461 3.3."""
    policies = world.policies()
    world.say_policy()
    world.policy = lambda: page(b"no such file", status="404 no")
    for pause in (0, 200, 200):
        world.now += pause
        assert asyncio.run(policies.of("b.test")) is None
    assert len(world.web.asked) == 2


def test_those_who_ask_at_once_share_one_fetch(world: World) -> None:
    world.say_policy()
    policies = world.policies()

    async def ask() -> list[object]:
        return await asyncio.gather(*(policies.of("b.test") for _ in range(20)))

    assert all(asyncio.run(ask()))
    assert len(world.web.asked) == 1


def chunked(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=utf-8\r\n"
    return head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


GOOD = POLICY.format("enforce").encode()


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        (page(GOOD), True),
        (chunked(GOOD), True),
        (b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + GOOD, True),
        (page(GOOD, "text/html"), False),
        (page(GOOD, status="203 maybe"), False),
        (page(GOOD, status="302 elsewhere\r\nLocation: https://c.test/"), False),
        (page(GOOD)[:-10], False),
        (chunked(GOOD)[:-20], False),
        (page(GOOD + b"x: y\n" * 14_000), False),
        (page(GOOD + b"x: y\n" * 100_000), False),
        (page(b"<html>not found"), False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", False),
        (b"220 mail.b.test ESMTP\r\n", False),
        (b"\x00" * 100, False),
        (b"", False),
    ],
)
def test_what_a_web_server_may_say(world: World, answer: bytes, good: bool) -> None:
    world.say_policy()
    world.policy = lambda: answer
    assert (asyncio.run(world.policies().of("b.test")) is not None) is good


def test_a_web_server_that_is_somebody_else(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.zone["_mta-sts.c.test"] = [("TXT", '"v=STSv1; id=1;"')]
    world.zone["mta-sts.c.test"] = [("A", "127.0.0.1")]
    assert asyncio.run(world.policies().of("c.test")) is None
    assert "mta-sts.c.test is not inside good TLS: Hostname mismatch" in caplog.text


def test_a_web_server_without_an_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and says nothing."""
    monkeypatch.setattr(policy_fetch, "SECONDS", 0.2)
    world.say_policy()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        fetch = PolicyFetch(world._dns(), lambda address: True, world.roots, port)
        policies = StsPolicies(world.data, world._dns(), fetch, THREADS, lambda: world.now)
        assert asyncio.run(policies.of("b.test")) is None


def test_web_servers_at_private_addresses_are_not_asked(world: World) -> None:
    """Security row 52: nobody makes us connect to machines that only we reach."""
    world.say_policy()
    fetch = PolicyFetch(world._dns(), lambda address: False, world.roots, world.web.port)
    policies = StsPolicies(world.data, world._dns(), fetch, THREADS, lambda: world.now)
    assert asyncio.run(policies.of("b.test")) is None
    assert world.web.asked == []


def test_only_so_many_policies_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts_policies, "POLICIES_LIMIT", 20)
    policies = world.policies()
    for number in range(30):
        kept = sts_policies._Kept("1", NOW, sts_policies.read_policy(GOOD))
        policies._write(f"d{number}.test", kept, GOOD)
    names = {path.name for path in (world.data / ".mailserver/mta-sts").iterdir()}
    assert len(names) <= 20
    assert "d29.test.txt" in names


@pytest.mark.parametrize("domain", ["", ".", "..", "../x", "a/b", "-x", "x" * 250, "a\0b"])
def test_names_that_are_no_file(world: World, domain: str) -> None:
    assert asyncio.run(world.policies().of(domain)) is None
    assert world.dns.asked.total() == 0


def test_a_kept_file_that_is_broken(world: World) -> None:
    world.say_policy()
    assert asyncio.run(world.policies().of("b.test")) is not None
    for octets in (b"", b"id: 1\nfetched: x\n", b"id: 1\nfetched: 1\nversion", b"\xff" * 200_000):
        (world.data / ".mailserver/mta-sts/b.test.txt").write_bytes(octets)
        assert asyncio.run(world.policies().of("b.test")) is not None
    assert len(world.web.asked) == 5


# -- DANE ---------------------------------------------------------------------------------------


def test_a_certificate_that_the_domain_publishes(world: World) -> None:
    mail = world.serve(certificate="unknown")
    world.publish("unknown")
    assert went(world.send())
    world.publish("good")
    assert waits(world.send(), "4.7.5", "DANE asks")
    assert len(mail.taken) == 1


def test_nothing_goes_in_the_clear_where_records_are(world: World) -> None:
    mail = world.serve(certificate="")
    world.publish("unknown")
    assert waits(world.send(), "4.7.5", "DANE asks")
    assert mail.taken == []


def test_records_that_are_of_no_use_ask_for_tls_alone(world: World) -> None:
    """RFC 7672 2.2."""
    world.serve(certificate="unknown")
    world.publish("other", more="1 1 1 " + "00" * 32)
    assert went(world.send())
    world.serve(certificate="")
    world.publish("other", more="1 1 1 " + "00" * 32)
    assert waits(world.send(), "4.7.4", "offers no TLS, for which DANE asks")


def test_dane_comes_before_mta_sts(world: World) -> None:
    """RFC 8461 2: a good policy does not help where the records say no, and the reverse."""
    world.serve(certificate="good")
    world.say_policy()
    world.publish("unknown")
    assert not went(world.send())
    world.serve(certificate="unknown")
    world.publish("unknown")
    assert went(world.send())
    assert world.web.asked == []


@pytest.mark.parametrize("insecure", ["b.test", "mx.b.test", "_tcp.mx.b.test"])
def test_records_count_with_dnssec_alone(world: World, insecure: str) -> None:
    """RFC 7672 2.1, 2.2.1: of the MX, of the addresses, and of themselves."""
    world.serve(certificate="good")
    world.publish("unknown")
    assert not went(world.send())
    assert world.mail is not None
    below = f"_{world.mail.port}.{insecure}" if insecure.startswith("_") else insecure
    world.dns._insecure = (below,)
    if insecure == "b.test":
        world.zone["b.test"] = [("MX", "10 mx.other.test.")]
        world.zone["mx.other.test"] = [("A", "127.0.0.1")]
        world.publish("unknown", name="mx.other.test")
    assert went(world.send())


def test_a_dns_that_keeps_the_records_back(world: World) -> None:
    """RFC 7672 2.1.1: perhaps they are there; it waits."""
    mail = world.serve(certificate="good")
    world.zone[f"_{mail.port}._tcp.mx.b.test"] = [("FAIL", "TLSA")]
    assert waits(world.send(), "4.7.5", "the DNS does not say which certificate mx.b.test has")
    assert mail.taken == []


def test_records_of_the_name_behind_an_alias_come_first(world: World) -> None:
    """RFC 7672 2.2.3, 8.1: and by SNI that name is asked for."""
    mail = world.serve(certificate="unknown")
    world.zone["mx.b.test"] = [("CNAME", "real.c.test.")]
    world.zone["real.c.test"] = [("A", "127.0.0.1")]
    world.publish("good")
    assert not went(world.send())
    world.publish("unknown", name="real.c.test")
    assert went(world.send())
    assert mail.names == ["mx.b.test", "real.c.test"]


def test_a_route_is_asked_for_its_own_records(world: World) -> None:
    mail = world.serve(certificate="unknown")
    world.route = True
    world.publish("good")
    assert not went(world.send())
    world.publish("unknown")
    assert went(world.send())
    assert len(mail.taken) == 1
    assert world.dns.asked["b.test", "MX"] == 0


# -- what the sender asks (RFC 8689) ------------------------------------------------------------


def test_requiretls_needs_a_name_that_is_proven(world: World) -> None:
    """RFC 8689 4.2.1: by DNSSEC, by MTA-STS or by the settings; and then a good certificate."""
    mail = world.serve("REQUIRETLS")
    world.dns._insecure = ("b.test",)
    outcome = world.send(Wish.REQUIRED)
    assert (outcome.fate, outcome.status) == (Fate.PERMANENT, "5.7.30")
    assert "nothing proves that mx.b.test is a mail server of b.test" in outcome.text
    world.dns._insecure = ()
    assert went(world.send(Wish.REQUIRED))
    world.dns._insecure = ("b.test",)
    world.say_policy(mode="testing")
    assert went(world.send(Wish.REQUIRED))
    world.route = True
    assert went(world.send(Wish.REQUIRED))
    assert {said for _, said in mail.taken} == {b"MAIL FROM:<alice@a.test> SIZE=14 REQUIRETLS"}
    world.serve("REQUIRETLS", certificate="unknown")
    assert waits(world.send(Wish.REQUIRED), "4.7.5", "REQUIRETLS asks")


def test_requiretls_looks_for_a_server_that_promises_it(world: World) -> None:
    """RFC 8689 4.2.1: the next MX, then it goes back; while one of them is away it waits."""
    world.serve()
    outcome = world.send(Wish.REQUIRED)
    assert (outcome.fate, outcome.status) == (Fate.PERMANENT, "5.7.30")
    assert "does not offer REQUIRETLS" in outcome.text
    world.zone["b.test"] = [("MX", "10 mx.b.test."), ("MX", "20 mx2.b.test.")]
    world.zone["mx2.b.test"] = [("A", "127.0.0.99")]
    assert world.send(Wish.REQUIRED).fate is Fate.TEMPORARY
    assert went(world.send())


def test_a_report_is_not_lost_for_requiretls(world: World) -> None:
    """RFC 8689 5."""
    mail = world.serve(certificate="unknown")
    sent = Transaction(
        ReversePath(None),
        MailParameters(require_tls=True),
        (Recipient(ForwardPath(Mailbox("bob", "b.test"))),),
        len(CONTENT),
    )
    assert went(asyncio.run(world._send(Wish.NONE, sent))[0])
    world.serve("REQUIRETLS", certificate="unknown")
    assert went(asyncio.run(world._send(Wish.NONE, replace(sent, eight_bit=False)))[0])
    assert world.mail is not None
    said = [line for server in (mail, world.mail) for _, line in server.taken]
    assert said == [b"MAIL FROM:<> SIZE=14", b"MAIL FROM:<> SIZE=14 REQUIRETLS"]


def test_tls_required_no(world: World) -> None:
    """RFC 8689 4.2.2: what the domain asks is not looked at; what our settings ask stays."""
    mail = world.serve(certificate="")
    world.say_policy()
    world.publish("good")
    assert not went(world.send())
    assert went(world.send(Wish.OPTIONAL))
    assert [inside for inside, _ in mail.taken] == [False]
    world.least = "required"
    assert waits(world.send(Wish.OPTIONAL), "4.7.4", "relay_tls = required asks")

"""The next machine for a domain, asked of a real DNS server on loopback."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator

import pytest
from tests.unit.server.relay.dns_server import DnsServer

from mailserver.message.outcome import Fate
from mailserver.net.dns import Dns
from mailserver.relay.routing import Login, NextHost, NoRoute, Router, StaticRoute
from mailserver.wire.peer import is_public

ZONE: dict[str, list[tuple[str, str]]] = {
    "b.test": [("MX", "20 mx2.b.test."), ("MX", "10 MX1.b.test.")],
    "mx1.b.test": [("A", "192.0.2.1"), ("AAAA", "2001:db8::1")],
    "mx2.b.test": [("A", "192.0.2.2")],
    "equal.test": [("MX", f"10 mx{n}.equal.test.") for n in range(4)],
    **{f"mx{n}.equal.test": [("A", f"192.0.2.1{n}")] for n in range(4)},
    "null.test": [("MX", "0 .")],
    "implicit.test": [("A", "192.0.2.3")],
    "six.test": [("AAAA", "2001:db8::6")],
    "nothing.test": [("TXT", '"no address"')],
    "alias.test": [("CNAME", "b.test.")],
    "loop.test": [("MX", "10 a.test."), ("MX", "20 mx2.b.test.")],
    "backup.test": [("MX", "10 mx1.b.test."), ("MX", "20 a.test."), ("MX", "20 mx2.b.test.")],
    "byaddress.test": [("MX", "10 other-name.test.")],
    "other-name.test": [("A", "192.0.2.99")],
    "dangling.test": [("MX", "10 gone.test."), ("MX", "20 nothing.test.")],
    "half.test": [("MX", "10 gone.test."), ("MX", "20 mx2.b.test.")],
    "public.test": [("MX", "10 mx.public.test.")],
    "mx.public.test": [("A", "10.0.0.7"), ("A", "9.9.9.9")],
    "private.test": [("MX", "10 mx.private.test."), ("MX", "20 metadata.private.test.")],
    "mx.private.test": [("A", "192.168.0.7"), ("AAAA", "fd00::7")],
    "metadata.private.test": [("A", "169.254.169.254")],
    "broken.test": [("FAIL", "MX"), ("A", "192.0.2.4")],
    "brokenhost.test": [("MX", "10 nohost.test.")],
    "nohost.test": [("FAIL", "A"), ("FAIL", "AAAA")],
    "foursonly.test": [("MX", "10 fours.foursonly.test.")],
    "fours.foursonly.test": [("FAIL", "AAAA"), ("A", "192.0.2.44")],
    "container": [("FAIL", "MX"), ("A", "192.0.2.5")],
    "xn--bcher-kva.test": [("A", "192.0.2.7")],
}


@pytest.fixture(scope="module")
def server() -> Iterator[DnsServer]:
    running = DnsServer(ZONE)
    yield running
    running.close()


def is_own(name: str) -> bool:
    return name in ("a.test", "192.0.2.99")


def router(server: DnsServer, seed: int = 1, **routes: StaticRoute) -> Router:
    known = {name.replace("_", "."): route for name, route in routes.items()}
    if "any" in known:
        known["*"] = known.pop("any")
    resolver = Dns(("127.0.0.1",), server.port)
    return Router(resolver, is_own, random.Random(seed).shuffle, known)


def hosts_of(router: Router, domain: str) -> list[NextHost]:
    async def all_hosts() -> list[NextHost]:
        return [host async for host in router.hosts(router.destination(domain))]

    return asyncio.run(all_hosts())


@pytest.mark.parametrize(
    ("domain", "hosts"),
    [
        (
            "b.test",
            [
                NextHost("mx1.b.test", ("2001:db8::1", "192.0.2.1")),
                NextHost("mx2.b.test", ("192.0.2.2",)),
            ],
        ),
        ("B.TEST", [("mx1.b.test"), ("mx2.b.test")]),
        ("implicit.test", [NextHost("implicit.test", ("192.0.2.3",))]),
        ("six.test", [NextHost("six.test", ("2001:db8::6",))]),
        ("alias.test", ["mx1.b.test", "mx2.b.test"]),
        ("backup.test", ["mx1.b.test"]),
        ("half.test", ["mx2.b.test"]),
        ("foursonly.test", [NextHost("fours.foursonly.test", ("192.0.2.44",))]),
        ("container", [NextHost("container", ("192.0.2.5",))]),
        ("bücher.test", [NextHost("xn--bcher-kva.test", ("192.0.2.7",))]),
        ("[192.0.2.9]", [NextHost("[192.0.2.9]", ("192.0.2.9",))]),
        ("[IPv6:2001:db8::9]", [NextHost("[ipv6:2001:db8::9]", ("2001:db8::9",))]),
    ],
)
def test_hosts(server: DnsServer, domain: str, hosts: list[NextHost | str]) -> None:
    found = hosts_of(router(server), domain)
    pairs = zip(found, hosts, strict=True)
    assert [one if isinstance(wanted, NextHost) else one.name for one, wanted in pairs] == hosts


@pytest.mark.parametrize(
    ("domain", "fate", "status"),
    [
        ("gone.test", Fate.PERMANENT, "5.1.2"),
        ("nothing.test", Fate.PERMANENT, "5.1.2"),
        ("null.test", Fate.PERMANENT, "5.1.10"),
        ("loop.test", Fate.PERMANENT, "5.4.6"),
        ("dangling.test", Fate.PERMANENT, "5.4.4"),
        ("byaddress.test", Fate.PERMANENT, "5.4.4"),
        ("broken.test", Fate.TEMPORARY, "4.4.3"),
        ("brokenhost.test", Fate.TEMPORARY, "4.4.3"),
        ("nowhere-in-this-network", Fate.PERMANENT, "5.1.2"),
        ("x" * 64 + ".test", Fate.TEMPORARY, "4.4.3"),
    ],
)
def test_no_route(server: DnsServer, domain: str, fate: Fate, status: str) -> None:
    with pytest.raises(NoRoute) as caught:
        hosts_of(router(server), domain)
    assert (caught.value.outcome.fate, caught.value.outcome.status) == (fate, status)


def test_addresses_that_may_not_be_reached(server: DnsServer) -> None:
    """What senders and the DNS name; not what the settings do."""
    routes = {"routed.test": StaticRoute("10.0.0.9")}
    resolver = Dns(("127.0.0.1",), server.port)
    careful = Router(resolver, is_own, lambda names: None, routes, is_public)
    assert hosts_of(careful, "public.test") == [NextHost("mx.public.test", ("9.9.9.9",))]
    assert hosts_of(careful, "[8.8.4.4]") == [NextHost("[8.8.4.4]", ("8.8.4.4",))]
    assert hosts_of(careful, "routed.test") == [NextHost("10.0.0.9", ("10.0.0.9",))]
    for domain in ("private.test", "[10.0.0.5]", "[127.0.0.1]", "[IPv6:::1]", "[IPv6:fe80::1]"):
        with pytest.raises(NoRoute, match=r"private address, .*relay_private") as caught:
            hosts_of(careful, domain)
        assert caught.value.outcome.status == "5.4.4"


@pytest.mark.parametrize(
    "address",
    [
        *("10.1.2.3", "172.17.0.1", "192.168.1.1", "127.0.0.2", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fd00::1"),
        *("::ffff:10.0.0.1", "::ffff:127.0.0.1", "ff02::1"),
    ],
)
def test_what_is_not_public(address: str) -> None:
    assert not is_public(address)


def test_equal_hosts_come_in_any_order(server: DnsServer) -> None:
    """RFC 5321 5.1."""
    firsts = Counter(hosts_of(router(server, seed), "equal.test")[0].name for seed in range(100))
    assert len(firsts) == 4
    assert all(count > 10 for count in firsts.values())


def test_a_name_that_is_not_there_is_asked_for_once(server: DnsServer) -> None:
    one = router(server)
    server.asked.clear()
    for _ in range(3):
        with pytest.raises(NoRoute):
            hosts_of(one, "gone.test")
    assert sum(server.asked.values()) == 1
    for _ in range(3):
        hosts_of(one, "implicit.test")
    assert server.asked["implicit.test", "MX"] == 1


def test_static_routes(server: DnsServer) -> None:
    login = Login("alice", "secret")
    one = router(
        server,
        b_test=StaticRoute("192.0.2.77", 2525),
        any=StaticRoute("mx2.b.test", 587, login),
    )
    assert hosts_of(one, "b.test") == [NextHost("192.0.2.77", ("192.0.2.77",), 2525)]
    assert hosts_of(one, "null.test") == [NextHost("mx2.b.test", ("192.0.2.2",), 587, login)]
    assert one.destination("x.test") == one.destination("y.test")
    assert "secret" not in repr(one.destination("x.test")) + repr(login)


def test_a_route_that_was_taken_out_of_the_settings(server: DnsServer) -> None:
    before = router(server, any=StaticRoute("mx2.b.test", 587)).destination("x.test")

    async def first() -> None:
        async for _ in router(server).hosts(before):
            pass

    with pytest.raises(NoRoute, match="is gone"):
        asyncio.run(first())


def test_a_dns_that_is_not_there_is_trouble_that_may_pass() -> None:
    server = DnsServer({})
    server.close()
    resolver = Dns(("127.0.0.1",), server.port)
    resolver._resolver.lifetime = 0.2
    with pytest.raises(NoRoute) as caught:
        hosts_of(Router(resolver, is_own, lambda names: None), "b.test")
    assert caught.value.outcome.status == "4.4.3"

"""The lab in a box: two domains and the DNS that knows them, with no way out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from .conftest import LABEL, Machine, MailSystem, wait_until

if TYPE_CHECKING:
    import docker

NETWORK = "10.53.26"
SERVICES = ("dns", "a.test", "b.test", "client-a", "client-b")


@pytest.fixture(scope="module")
def lab(
    engine: docker.DockerClient,
    images: object,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Machine]]:
    """Its machines by service."""
    patch = pytest.MonkeyPatch()
    patch.setenv("LAB_NETWORK", NETWORK)
    system = MailSystem(engine, tmp_path_factory.mktemp("lab"))
    try:
        up = ("up", "--detach", "--wait", "--wait-timeout", "90", "--no-build", *SERVICES)
        system.compose("--profile", "lab", *up)
        filters = {"label": f"{LABEL}={system.project}"}
        found = engine.containers.list(filters=filters)
        yield {one.labels["com.docker.compose.service"]: Machine(one) for one in found}
    finally:
        system.remove()
        patch.undo()


def hand_in(client: Machine, server: str, sender: str, recipient: str, name: str) -> None:
    """By a program of its own, not by way of the sender's server."""
    client.python(
        "import smtplib, sys\n"
        "server, sender, recipient, name = sys.argv[1:]\n"
        "with smtplib.SMTP(server, 25) as smtp:\n"
        "    smtp.ehlo(name)\n"
        "    head = f'From: {sender}\\r\\nTo: {recipient}\\r\\nSubject: tea\\r\\n\\r\\n'\n"
        "    smtp.sendmail(sender, [recipient], head + 'At five.\\r\\n')\n",
        *(server, sender, recipient, name),
    )


def mailbox(server: Machine, user: str) -> str:
    """On one line."""
    return " ".join(server.exec("cat", f"/data/{user}/mymailbox").stdout.decode().split())


def test_the_dns_knows_what_the_servers_say_of_themselves(lab: dict[str, Machine]) -> None:
    source = (
        "import dns.resolver, sys\n"
        "asker = dns.resolver.Resolver(configure=False)\n"
        "asker.nameservers = [sys.argv[1]]\n"
        "for name, kind in (word.split('/') for word in sys.argv[2:]):\n"
        "    print(asker.resolve(name, kind)[0].to_text())\n"
    )
    names = ["b.test/MX", "b.test/A", "b.test/TXT", "_dmarc.b.test/TXT"]
    names += [f"{kind}._domainkey.b.test/TXT" for kind in ("rsa", "ed25519")]
    said = lab["a.test"].python(source, f"{NETWORK}.53", *names).splitlines()
    assert said[:4] == ["10 b.test.", f"{NETWORK}.12", '"v=spf1 mx -all"', '"v=DMARC1; p=reject"']
    assert [line[:18] for line in said[4:]] == ['"v=DKIM1; k=rsa; p', '"v=DKIM1; k=ed2551']


def test_mail_crosses_signed_and_believed(lab: dict[str, Machine]) -> None:
    form = ("From: alice@a.test", "To: bob@b.test", "Subject: across", "Over the hills.", ".")
    typed = "\\n".join(("alice", "wonderland", "Send Mail", *form, "Quit"))
    sent = lab["client-a"].exec("sh", "-c", f"printf '{typed}\\n' | mailclient a.test 25 110")
    assert b"Sent to bob@b.test." in sent.stdout
    bob = "/data/bob/mymailbox"
    there = lambda: lab["b.test"].exec("test", "-s", bob, check=False).returncode == 0  # noqa: E731
    wait_until(there, "bob's mail")
    stored = mailbox(lab["b.test"], "bob")
    assert "spf=pass smtp.mailfrom=a.test; dkim=pass header.d=a.test header.s=rsa" in stored
    assert "dkim=pass header.d=a.test header.s=ed25519" in stored
    assert "dmarc=pass header.from=a.test policy.dmarc=reject Received: from a.test" in stored
    assert "by b.test with ESMTPS" in stored


def test_who_pretends_to_be_the_other_domain_is_found_out(lab: dict[str, Machine]) -> None:
    hand_in(lab["client-b"], "a.test", "bob@b.test", "alice@a.test", "b.test")
    stored = mailbox(lab["a.test"], "alice")
    assert "Authentication-Results: a.test; spf=fail smtp.mailfrom=b.test; dkim=none; " in stored
    assert "dmarc=fail header.from=b.test policy.dmarc=reject Received: from b.test" in stored
    asked = lab["dns"].container.logs().decode()
    assert re.search(rf'{NETWORK}\.11 asks _dmarc\.b\.test TXT: "v=DMARC1; p=reject"', asked)


def test_a_server_itself_passes(lab: dict[str, Machine]) -> None:
    hand_in(lab["a.test"], "b.test", "carol@a.test", "carol@b.test", "a.test")
    stored = mailbox(lab["b.test"], "carol")
    assert "spf=pass smtp.mailfrom=a.test; " in stored
    assert "dmarc=pass header.from=a.test policy.dmarc=reject" in stored


def test_a_client_reads_at_its_own_server(lab: dict[str, Machine]) -> None:
    hand_in(lab["client-a"], "a.test", "nobody@nowhere.test", "bob@a.test", "x")
    read = "printf '%s\\n' bob builder 1 1 q 3 | mailclient a.test 25 110"
    assert "At five." in lab["client-a"].exec("sh", "-c", read).stdout.decode()


def test_there_is_no_way_out_and_nothing_to_give_up(
    engine: docker.DockerClient, lab: dict[str, Machine]
) -> None:
    for machine in lab.values():
        host = machine.container.attrs["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert host["Memory"] == 256 * 1024 * 1024
        assert not host["PortBindings"]
        assert machine.container.attrs["Config"]["User"] == "10001:10001"
        (network,) = machine.container.attrs["NetworkSettings"]["Networks"].values()
        assert engine.networks.get(network["NetworkID"]).attrs["Internal"] is True

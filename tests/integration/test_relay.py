"""Four mail servers on a network: three of ours, one of which greylists, and a Postfix. Names are
those of the containers, for which Docker's DNS has addresses and no MX."""

from __future__ import annotations

import contextlib
import email
import email.policy
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from .conftest import LABEL, TAG, Machine, wait_until

FOLDER = Path(__file__).parent
OURS = ("alfa", "bravo", "charlie")

SUBMIT = """
import smtplib, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with smtplib.SMTP("127.0.0.1", 25) as client:
    client.starttls(context=context)
    client.login("alice", "wonderland")
    subject, sender, *recipients = sys.argv[1:]
    text = f"From: {sender}\\r\\nTo: {recipients[0]}\\r\\nSubject: {subject}\\r\\n\\r\\n.text\\r\\n"
    client.sendmail(sender, recipients, text)
"""


class Network:
    """The machines, by name."""

    def __init__(self, engine: docker.DockerClient) -> None:
        self._engine = engine
        self.project = f"mailtest-{uuid.uuid4().hex[:12]}"
        labels = {LABEL: self.project}
        self.network = engine.networks.create(self.project, labels=labels)
        self.machines: dict[str, Container] = {}
        for name in OURS:
            self._run(
                name,
                f"mailserver-smtp-pop3:{TAG}",
                environment={
                    "MAIL_DOMAIN": name,
                    "MAILSERVER_RELAY_PRIVATE": "true",
                    "MAILSERVER_FIRST_RETRY": "1",
                    "MAILSERVER_LONGEST_RETRY": "2",
                    "MAILSERVER_GREYLIST_DELAY": "2" if name == "charlie" else "0",
                },
                mem_limit="256m",
                pids_limit=64,
            )
        self._run("postfix", f"mailserver-relay-postfix:{TAG}")

    def _run(self, name: str, image: str, **more: object) -> None:
        container = self._engine.containers.create(
            image,
            hostname=name,
            labels={LABEL: self.project},
            network=self.project,
            networking_config={
                self.project: self._engine.api.create_endpoint_config(aliases=[name])
            },
            sysctls={"net.ipv4.ip_unprivileged_port_start": 0},
            **more,
        )
        self.machines[name] = container
        container.start()

    def machine(self, name: str) -> Machine:
        return Machine(self.machines[name])

    def wait_ready(self) -> None:
        for name in OURS:
            wait_until(lambda name=name: self.greets(name), f"{name} to answer")
        wait_until(lambda: "daemon started" in self.log("postfix"), "Postfix to answer")

    def greets(self, name: str) -> bool:
        test = "import socket; socket.create_connection(('127.0.0.1', 25), 2).recv(3)"
        return self.machine(name).exec("python3", "-c", test, check=False).returncode == 0

    def log(self, name: str) -> str:
        return str(self.machines[name].logs().decode("utf-8", "replace"))

    def submit(self, name: str, *recipients: str, subject: str = "across") -> None:
        """As alice of that machine, inside TLS and logged in."""
        self.machine(name).python(SUBMIT, subject, f"alice@{name}", *recipients)

    def submit_to_postfix(self, recipient: str, subject: str) -> None:
        """As its carol."""
        letter = f"printf 'Subject: {subject}\\n\\ntext\\n' | sendmail -f carol@postfix {recipient}"
        self.machine("postfix").exec("sh", "-c", letter)

    def mailbox(self, name: str, user: str) -> str:
        path = "/home/carol/mailbox" if name == "postfix" else f"/data/{user}/mymailbox"
        return self.machine(name).exec("cat", path, check=False).stdout.decode()

    def arrives(self, name: str, user: str, pattern: str) -> str:
        """The mailbox, when it has this."""
        wait_until(lambda: re.search(pattern, self.mailbox(name, user)), f"{user}@{name}'s mail")
        return self.mailbox(name, user)

    def queue(self, name: str) -> str:
        listed = self.machine(name).exec("mailadmin", "--data", "/data", "queue", "list")
        return listed.stdout.decode()

    def remove(self) -> None:
        for container in self.machines.values():
            with contextlib.suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)
        self.network.remove()


@pytest.fixture(scope="module")
def network(engine: docker.DockerClient, images: object) -> Iterator[Network]:
    command = ["docker", "build", "-q", "-t", f"mailserver-relay-postfix:{TAG}", "postfix"]
    subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, timeout=300)
    made = Network(engine)
    try:
        made.wait_ready()
        yield made
    finally:
        made.remove()


def test_from_one_of_ours_to_another(network: Network) -> None:
    network.submit("alfa", "bob@bravo")
    found = network.arrives("bravo", "bob", "Subject: across")
    assert "Return-Path: <alice@alfa>" in found
    assert re.search(r"Received: from alfa \(\[[0-9.]+\]\) by bravo with ESMTPS id", found)
    assert "\n.text\n" in found
    assert network.queue("alfa") == ""


def test_to_postfix_inside_tls(network: Network) -> None:
    network.submit("alfa", "carol@postfix")
    found = network.arrives("postfix", "carol", "Subject: across")
    assert re.search(r"using TLSv1\.[23]", found)
    assert "Return-Path: <alice@alfa>" in found


def test_from_postfix(network: Network) -> None:
    network.submit_to_postfix("bob@alfa", "from afar")
    found = network.arrives("alfa", "bob", "Subject: from afar")
    assert re.search(r"by alfa with ESMTPS id", found)


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [("bravo", "alfa"), ("bravo", "postfix"), ("postfix", "bravo")]
    + [("charlie", other) for other in ("alfa", "bravo", "postfix")],
)
def test_in_the_other_directions(network: Network, sender: str, recipient: str) -> None:
    mark = uuid.uuid4().hex
    user = "carol" if recipient == "postfix" else "bob"
    if sender == "postfix":
        network.submit_to_postfix(f"{user}@{recipient}", mark)
    else:
        network.submit(sender, f"{user}@{recipient}", subject=mark)
    found = network.arrives(recipient, user, f"Subject: {mark}")
    above = found[: found.index(mark)].rpartition("Return-Path: ")[2]
    assert re.search(r"using TLSv1\.[23]|with ESMTPS id", above)


def test_a_peer_that_greylists_gets_its_mail_later(network: Network) -> None:
    network.submit("alfa", "bob@charlie")
    refused = r"to=<bob@charlie> temporary: charlie said 451 "
    wait_until(lambda: re.search(refused, network.log("alfa")), "the first try")
    network.arrives("charlie", "bob", "From: alice@alfa")
    wait_until(lambda: network.queue("alfa") == "", "an empty queue")
    network.submit("alfa", "bob@charlie", subject="known by now")
    network.arrives("charlie", "bob", "Subject: known by now")
    assert network.mailbox("charlie", "bob").count("From: alice@alfa") == 2


def test_postfix_is_greylisted_too(network: Network) -> None:
    network.submit_to_postfix("bob@charlie", "patient")
    network.arrives("charlie", "bob", "Subject: patient")
    assert re.search(r"status=deferred .* 451 ", network.log("postfix"))


def only_report(mailbox: str) -> email.message.EmailMessage:
    (text,) = re.findall(r"(?ms)^Return-Path: <>\n.*?\n\n(?=From |\Z)", mailbox)
    found = email.message_from_string(text, policy=email.policy.default)
    assert isinstance(found, email.message.EmailMessage)
    return found


def test_what_postfix_refuses_goes_back(network: Network) -> None:
    network.submit("bravo", "nosuch@postfix", "carol@postfix")
    report = only_report(network.arrives("bravo", "alice", "multipart/report"))
    _, status, _ = report.get_payload()
    _, recipient = status.get_payload()
    assert recipient["Final-Recipient"] == "rfc822; nosuch@postfix"
    assert recipient["Action"] == "failed"
    assert recipient["Remote-MTA"] == "dns; postfix"
    assert "550 5.1.1" in recipient["Diagnostic-Code"]
    network.arrives("postfix", "carol", "From: alice@bravo")


def test_what_we_refuse_goes_back_by_postfix(network: Network) -> None:
    network.submit_to_postfix("nobody@alfa", "lost")
    found = network.arrives("postfix", "carol", "multipart/report")
    assert re.search(r"550 5\.1\.1 <?.*No such user|550 5\.1\.1 No such user", found)


@pytest.mark.parametrize("harm", ["pause", "kill the sender"])
def test_a_peer_that_is_away_gets_its_mail_later(network: Network, harm: str) -> None:
    postfix, alfa = network.machine("postfix"), network.machines["alfa"]
    marks = [f"{uuid.uuid4().hex}@postfix" for _ in range(3)]
    before = network.mailbox("postfix", "carol").count("From: alice@alfa")
    postfix.exec("touch", "/away")
    postfix.exec("postfix", "stop")
    for _ in marks:
        network.submit("alfa", "carol@postfix")
    wait_until(lambda: "no connection" in network.queue("alfa"), "the reason why it waits")
    if harm == "kill the sender":
        alfa.kill("SIGKILL")
        alfa.start()
        wait_until(lambda: network.greets("alfa"), "alfa to answer")
    postfix.exec("rm", "/away")
    count: Callable[[], int] = lambda: network.mailbox("postfix", "carol").count(  # noqa: E731
        "From: alice@alfa"
    )
    wait_until(lambda: count() == before + len(marks), "all three messages")
    wait_until(lambda: network.queue("alfa") == "", "an empty queue")

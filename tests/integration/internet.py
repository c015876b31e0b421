"""An internet in containers: four mail domains that find one another by MX and by nothing else.

Each of our three domains is a network of its own, with no way out of it, on which a client sees its
mail server and no other machine. The mail servers, a Postfix and a DNS meet on a network between:

    client ─ alfa.test ─ MailServer ─┐
    client ─ bravo.test ─ MailServer ─┼─ DNS, Postfix (postfix.test), a server that misbehaves
    client ─ charlie.test ─ MailServer ─┘   (odd.test)
"""

from __future__ import annotations

import contextlib
import io
import re
import tarfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
from docker.models.containers import Container
from docker.types import IPAMConfig, IPAMPool

from .conftest import CHECKOUT, LABEL, TAG, Machine, wait_until

HERE = Path(__file__).parent
OURS = ("alfa", "bravo", "charlie")
BETWEEN = "10.53.27"
DNS, ODD = f"{BETWEEN}.53", f"{BETWEEN}.20"
ADDRESSES = {name: f"{BETWEEN}.{n}" for n, name in enumerate((*OURS, "postfix"), start=11)}
LATER = tuple(f"later-{step}" for step in range(6))
NEVER = tuple(f"never-{step}" for step in range(6) if step != 1)
"""Behind 5xx to EHLO comes HELO."""
WAYS = {way: f"{BETWEEN}.{n}" for n, way in enumerate((*LATER, *NEVER, "cut-5", "slow-0"), 101)}
"""Of the odd server, with the address of each; its domain is WAY.odd.test."""

SUBMIT = """
import smtplib, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
server, subject, *recipients = sys.argv[1:]
with smtplib.SMTP(server, 25) as client:
    client.starttls(context=context)
    client.login("alice", "wonderland")
    sender = f"alice@{server}"
    text = f"From: {sender}\\r\\nTo: {recipients[0]}\\r\\nSubject: {subject}\\r\\n\\r\\n.text\\r\\n"
    client.sendmail(sender, recipients, text)
"""


def zones() -> dict[str, bytes]:
    """By file name. The better one of bravo's servers takes no mail, for it is the DNS."""
    spf = '@ IN TXT "v=spf1 mx -all"\n'
    found = {
        f"{name}.test": f"@ IN MX 20 mx\n{spf}mx IN A {address}\n"
        for name, address in ADDRESSES.items()
    }
    found["bravo.test"] += f"@ IN MX 10 down\ndown IN A {DNS}\n"
    found["odd.test"] = "".join(
        f"{way} IN MX 10 mx.{way}\nmx.{way} IN A {address}\n" for way, address in WAYS.items()
    )
    return {f"zones/{domain}.zone": text.encode() for domain, text in found.items()}


class Internet:
    """The machines, by name; a client's is that of its server and `-client`."""

    def __init__(self, engine: docker.DockerClient) -> None:
        self._engine = engine
        self.project = f"mailtest-{uuid.uuid4().hex[:12]}"
        self.machines: dict[str, Container] = {}
        pool = IPAMConfig(pool_configs=[IPAMPool(subnet=f"{BETWEEN}.0/24")])
        labels = {LABEL: self.project}
        self._between = engine.networks.create(f"{self.project}-between", labels=labels, ipam=pool)
        self._homes = {
            name: engine.networks.create(f"{self.project}-{name}", labels=labels, internal=True)
            for name in OURS
        }

    def start(self) -> None:
        """All of them; returns when they answer."""
        server = f"mailserver-smtp-pop3:{TAG}"
        python = {"image": server, "entrypoint": "python3", "dns": None}
        self._create("dns", DNS, command=["/name_server.py", "/zones"], **python)
        name_server = (CHECKOUT / "lab/name_server.py").read_bytes()
        self._put("dns", {"name_server.py": name_server, **zones()})
        ways = [f"{way}={address}" for way, address in WAYS.items()]
        rights = {"user": "0", "cap_add": ["NET_ADMIN"]}
        self._create("odd", ODD, command=["/odd_peer.py", *ways], **python, **rights)
        self._put("odd", {"odd_peer.py": (HERE / "odd_peer.py").read_bytes()})
        self._create("postfix", ADDRESSES["postfix"], image=f"mailserver-relay-postfix:{TAG}")
        for name, home in self._homes.items():
            greylisting = "2" if name == "charlie" else "0"
            self._create(
                name,
                ADDRESSES[name],
                image=server,
                environment={
                    "MAIL_DOMAIN": f"{name}.test {name}",
                    "MAILSERVER_RELAY_PRIVATE": "true",
                    "MAILSERVER_FIRST_RETRY": "1",
                    "MAILSERVER_LONGEST_RETRY": "2",
                    "MAILSERVER_GREYLIST_DELAY": greylisting,
                    "MAILSERVER_SENDER_CHECKS": "mark",
                },
                mem_limit="256m",
                pids_limit=64,
            )
            home.connect(self.machines[name], aliases=[f"{name}.test"])
            self._create(
                f"{name}-client",
                "",
                image=f"mailclient-smtp-pop3:{TAG}",
                command=["sleep", "infinity"],
                network=home.name,
            )
        with ThreadPoolExecutor(4) as several:
            list(several.map(Container.start, self.machines.values()))
        for name in OURS:
            wait_until(lambda name=name: self.greets(name), f"{name} to answer")
        wait_until(lambda: "daemon started" in self.log("postfix"), "Postfix to answer")
        wait_until(lambda: "listening" in self.log("odd"), "the odd server to answer")

    def _create(self, name: str, address: str, **more: object) -> None:
        """On the network between if there is an address, and then it asks the DNS there."""
        if address:
            endpoint = self._engine.api.create_endpoint_config(aliases=[name], ipv4_address=address)
            between = str(self._between.name)
            more = {
                "dns": [DNS],
                "network": between,
                "networking_config": {between: endpoint},
                **more,
            }
        self.machines[name] = self._engine.containers.create(
            hostname=name,
            labels={LABEL: self.project},
            sysctls={"net.ipv4.ip_unprivileged_port_start": 0},
            init=True,
            **more,
        )

    def _put(self, name: str, files: dict[str, bytes]) -> None:
        """Below its root folder."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for path, content in files.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        self.machines[name].put_archive("/", packed.getvalue())

    def machine(self, name: str) -> Machine:
        """To run programs on."""
        return Machine(self.machines[name])

    def greets(self, name: str) -> bool:
        """At port 25."""
        test = "import socket; socket.create_connection(('127.0.0.1', 25), 2).recv(3)"
        return self.machine(name).exec("python3", "-c", test, check=False).returncode == 0

    def log(self, name: str) -> str:
        """All of it."""
        return str(self.machines[name].logs().decode("utf-8", "replace"))

    def logs(self) -> str:
        """The last lines of the servers'."""
        found = {
            name: machine.logs(tail=60).decode("utf-8", "replace")
            for name, machine in self.machines.items()
            if not name.endswith("-client")
        }
        return "\n".join(f"--- {name}\n{text}" for name, text in found.items())

    def submit(self, name: str, *recipients: str, subject: str = "across") -> None:
        """As alice, on that domain's client, inside TLS and logged in."""
        self.machine(f"{name}-client").python(SUBMIT, f"{name}.test", subject, *recipients)

    def submit_to_postfix(self, recipient: str, subject: str) -> None:
        """As its carol."""
        letter = f"printf 'Subject: {subject}\\n\\ntext\\n'"
        letter += f" | sendmail -f carol@postfix.test {recipient}"
        self.machine("postfix").exec("sh", "-c", letter)

    def mailbox(self, name: str, user: str) -> str:
        """As it is in its file."""
        path = "/home/carol/mailbox" if name == "postfix" else f"/data/{user}/mymailbox"
        return self.machine(name).exec("cat", path, check=False).stdout.decode()

    def arrives(self, name: str, user: str, pattern: str) -> str:
        """The mailbox, when it has this."""
        wait_until(lambda: re.search(pattern, self.mailbox(name, user)), f"{user}@{name}'s mail")
        return self.mailbox(name, user)

    def queue(self, name: str) -> str:
        """As `mailadmin` lists it."""
        listed = self.machine(name).exec("mailadmin", "--data", "/data", "queue", "list")
        return listed.stdout.decode()

    def remove(self) -> None:
        """Everything."""

        def remove(machine: Container) -> None:
            with contextlib.suppress(docker.errors.NotFound):
                machine.remove(force=True, v=True)

        with ThreadPoolExecutor(4) as several:
            list(several.map(remove, self.machines.values()))
        for network in (self._between, *self._homes.values()):
            network.remove()

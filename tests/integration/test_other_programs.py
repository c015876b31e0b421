"""Programs that nobody here wrote send and fetch; mutt and Python open the file on the volume."""

from __future__ import annotations

import mailbox
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest
from docker.types import Mount
from tests.integration.programs import USES, Use

if TYPE_CHECKING:
    import docker

    from .conftest import Machine, MailSystem

HERE = Path(__file__).parent
CERTIFICATE = "/data/.mailserver/tls/certificate.pem"
AT_ONCE = 4
MESSAGE = "From: alice@mailserver\nTo: {}\nSubject: hello\n\n.a dot\nFrom here\n"
ALONE = "cd $(mktemp -d); HOME=$PWD; mkdir Mail; printf '%s' \"$message\" >message; {}"
HOW_IT_CAME = {"in_clear": b"", "starttls": b"S", "inside_tls": b"SA", "auth": b"SA"}
"""What the trace line says behind SMTP, ESMTP or UTF8SMTP: inside TLS, after AUTH (RFC 3848)."""


@pytest.fixture(scope="session")
def tools(images: object) -> str:
    """The image with those programs."""
    from .conftest import TAG

    name = f"mailserver-smtp-pop3-tools:{TAG}"
    subprocess.run(["docker", "build", "-q", "-t", name, HERE / "tools"], check=True, timeout=280)
    return name


@pytest.fixture(scope="module")
def desk(shared_system: MailSystem, engine: docker.DockerClient, tools: str) -> Iterator[Machine]:
    """A machine with other people's programs, on the same network, the volume to be read only."""
    from .conftest import Machine

    project = shared_system.project
    container = engine.containers.run(
        tools,
        ["sleep", "infinity"],
        detach=True,
        init=True,
        labels={"com.docker.compose.project": project},
        mounts=[Mount("/data", f"{project}_mail", type="volume", read_only=True)],
        network=f"{project}_mail",
    )
    yield Machine(container)
    container.remove(force=True)


class Desk:
    """Runs the programs, each use with a user of its own."""

    def __init__(self, system: MailSystem, machine: Machine) -> None:
        self.system = system
        self._machine = machine
        names = "".join(f"{user_of(use)} secret\\n" for use in USES)
        system.exec("bash", "-c", f"printf '{names}' >> users.txt")
        with system.smtp() as server:
            for use in USES:
                if use.protocol == "POP3":
                    address = f"{user_of(use)}@mailserver"
                    text = MESSAGE.format(address).replace("\n", "\r\n")
                    server.sendmail("alice@mailserver", [address], text)

    def run(self, use: Use, certificate: str = CERTIFICATE) -> subprocess.CompletedProcess[bytes]:
        """To its end, whatever that is."""
        address = f"{user_of(use)}@mailserver"
        environment = {
            "to": address,
            "user": user_of(use),
            "certificate": certificate,
            "message": MESSAGE.format(address),
        }
        command = ("timeout", "60", "bash", "-ec", ALONE.format(use.command))
        return self._machine.exec(*command, environment=environment, check=False)

    def run_all(self, uses: list[Use], certificate: str = CERTIFICATE) -> dict[Use, str]:
        """What was wrong with each, "" for nothing."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            done = dict(
                zip(uses, pool.map(lambda use: self.run(use, certificate), uses), strict=True)
            )
        volume = self.system.volume_copy()
        return {use: fault_of(use, end, volume) for use, end in done.items()}


def user_of(use: Use) -> str:
    return f"user{USES.index(use)}"


def fault_of(use: Use, end: subprocess.CompletedProcess[bytes], volume: Path) -> str:
    """Why this is not the message, sent or fetched as it should be."""
    content = end.stdout
    if use.protocol == "SMTP":
        box = volume / user_of(use) / "mymailbox"
        content = box.read_bytes() if box.exists() else b""
    lines = content.replace(b"\r\n", b"\n").split(b"\n")
    # in a mailbox file `From ` is quoted; some have sent it as `=46rom `, so that it needs none
    text = {re.sub(rb"^>From |^=46rom ", b"From ", line) for line in lines}
    missing = {b"Subject: hello", b".a dot", b"From here"} - text
    if use.protocol == "SMTP" and not missing:
        [how] = re.findall(rb"\bby mailserver with \w*SMTP(S?A?)\b", content)
        if how != HOW_IT_CAME[use.manner]:
            return f"it came by SMTP{how.decode()}"
    if end.returncode or missing:
        return f"status {end.returncode}, without {missing}\n{end.stdout!r}\n{end.stderr!r}"
    return ""


@pytest.fixture(scope="module")
def programs(shared_system: MailSystem, desk: Machine) -> Desk:
    return Desk(shared_system, desk)


@pytest.fixture(scope="module")
def faults(programs: Desk) -> dict[Use, str]:
    """Of all uses. Those that are to protect the password meet servers that take none in clear."""
    in_clear = [use for use in USES if use.manner == "in_clear"]
    found = programs.run_all(in_clear)
    settings = 'clear_passwords = "never"\napop = "always"\n'
    programs.system.exec("bash", "-c", f"echo '{settings}' > mailserver.toml")
    programs.system.restart()
    return found | programs.run_all([use for use in USES if use not in in_clear])


@pytest.mark.parametrize("use", USES, ids=str)
def test_sends_or_fetches(use: Use, faults: dict[Use, str]) -> None:
    assert not faults[use], faults[use]


def test_who_shows_another_certificate_gets_neither_mail_nor_password(
    programs: Desk, desk: Machine
) -> None:
    """That they verify it is what makes the other tests worth something."""
    other = "/tmp/other.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=mailserver"
    desk.exec("bash", "-ec", f"{make} -addext subjectAltName=DNS:mailserver -out {other}")
    before = {path.parent.name: path.read_bytes() for path in boxes(programs.system)}
    uses = [use for use in USES if use.manner == "inside_tls"]
    faults = programs.run_all(uses, certificate=other)
    assert [str(use) for use in uses if use.protocol == "POP3" and not faults[use]] == []
    assert {path.parent.name: path.read_bytes() for path in boxes(programs.system)} == before


def boxes(system: MailSystem) -> Iterator[Path]:
    return system.volume_copy().glob("*/mymailbox")


def test_mutt_and_python_open_the_file_on_the_volume(
    shared_system: MailSystem, desk: Machine
) -> None:
    subjects = ["first", "second", "third"]
    with shared_system.smtp() as server:
        for subject in subjects:
            text = f"Subject: {subject}\r\n\r\nFrom {subject}\r\n\r\nFrom the end\r\n"
            server.sendmail("alice@mailserver", ["bob@mailserver"], text)
    box = mailbox.mbox(shared_system.volume_copy("bob") / "mymailbox", create=False)
    assert [message["Subject"] for message in box] == subjects
    box.close()
    # Docker gives the terminal its size a moment after the program's start; mutt may end for it
    sized = 'until [ "$(stty size)" = "24 80" ]; do sleep 0.01; done'
    mutt = f"{sized}; exec mutt -n -F /dev/null -R -f /data/bob/mymailbox"
    open_it = ["exec", "-it", desk.container.id, "sh", "-c", mutt]
    screen = pexpect.spawn("docker", open_it, timeout=30, encoding="utf-8", dimensions=(24, 80))
    for subject in subjects:
        screen.expect_exact(subject)
    screen.send("\n")
    screen.expect("From first")
    screen.send("x")
    screen.send("x")
    screen.expect(pexpect.EOF)

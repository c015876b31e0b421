"""What the two containers may do, and what they cost."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import docker
import pytest

if TYPE_CHECKING:
    from .conftest import Machine, MailSystem

BASE = "debian:trixie-slim"


@pytest.fixture(params=["mailserver", "client"])
def machine(mail_system: MailSystem, request: pytest.FixtureRequest) -> Machine:
    """Each of the two."""
    from .conftest import Machine

    if request.param == "client":
        return mail_system.client_container()
    return Machine(mail_system.container)


def test_no_root_no_capabilities_no_writing(machine: Machine) -> None:
    attributes: dict[str, Any] = machine.container.attrs
    host = attributes["HostConfig"]
    assert attributes["Config"]["User"] == "10001:10001"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] == host["MemorySwap"] == 256 * 1024 * 1024
    assert 0 < host["PidsLimit"] <= 64
    status = machine.exec("cat", "/proc/1/status").stdout.decode()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert fields["Uid"].split() == ["10001"] * 4
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"].strip() == "1"
    assert machine.exec("touch", "/etc/x", check=False).returncode != 0


def test_health_check_speaks_the_protocols(machine: Machine) -> None:
    test = machine.container.attrs["Config"]["Healthcheck"]["Test"]
    assert test[0] == "CMD"
    assert machine.exec(*test[1:]).returncode == 0
    asked_wrong_ports = [word.replace("110", "111") for word in test[1:]]
    assert machine.exec(*asked_wrong_ports, check=False).returncode == 1


def test_images_add_less_than_200_megabytes(
    engine: docker.DockerClient, images: dict[str, Any]
) -> None:
    base = engine.images.get(BASE).attrs["Size"]
    for name, image in images.items():
        assert image.attrs["Size"] - base < 200_000_000, name


def test_a_network_of_their_own_and_ports_for_this_computer_only(mail_system: MailSystem) -> None:
    settings = mail_system.container.attrs["NetworkSettings"]
    (network,) = settings["Networks"]
    assert network.startswith(mail_system.project)
    for bindings in settings["Ports"].values():
        assert all(ipaddress.ip_address(b["HostIp"]).is_loopback for b in bindings)


def test_mailboxes_are_for_the_server_alone(mail_system: MailSystem) -> None:
    with mail_system.smtp() as server:
        server.sendmail("alice@mailserver", ["bob@mailserver"], "Subject: x\r\n\r\n.\r\n")
    modes = mail_system.exec("stat", "-c", "%a", "/data", "/data/bob", "/data/bob/mymailbox")
    assert modes.stdout.split() == [b"700", b"700", b"600"]

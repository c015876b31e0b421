"""The health check of real servers whose disk fails, and works again."""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults import failing_smtpmail
from tests.sockets.conftest import SERVER, Server, eventually


class Machine:
    """Both servers over one data folder."""

    def __init__(self, data: Path) -> None:
        self._fault = data / failing_smtpmail.FILE
        (data / "users.txt").write_text("alice secret\n")
        self.smtp = Server(failing_smtpmail.__file__.removesuffix(".py"), data)
        self.pop3 = Server("popserver", data)

    def fails(self, how: str) -> None:
        finished = self._fault.with_suffix(".new")
        finished.write_text(how)
        finished.rename(self._fault)

    def works(self) -> None:
        self._fault.unlink()

    def illness(self) -> str:
        """What the health check says; "" when it is green."""
        ports = str(self.smtp.port), str(self.pop3.port)
        command = [sys.executable, "-m", "mailserver.health", *ports]
        environment = os.environ | {"PYTHONPATH": str(SERVER)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert (done.returncode, done.stderr == "") in ((0, True), (1, False))
        return done.stderr

    def send(self) -> None:
        with smtplib.SMTP("127.0.0.1", self.smtp.port) as client:
            client.sendmail("alice@mailserver", ["alice@mailserver"], b"Subject: x\r\n\r\n")


@pytest.fixture
def machine(folder: Path) -> Iterator[Machine]:
    machine = Machine(folder)
    yield machine
    assert machine.smtp.stop() == machine.pop3.stop() == 0


@pytest.mark.parametrize(
    "fault",
    [
        "EIO fdatasync fsync",
        "EIO pwrite",
        "EROFS mkdir pwrite ftruncate fchmod rename link unlink",
    ],
)
def test_red_while_no_mail_can_be_stored(machine: Machine, fault: str) -> None:
    assert machine.illness() == ""
    machine.fails(fault)
    eventually(lambda: "answered b'451 4.3.0 " in machine.illness())  # though no mail comes
    with pytest.raises(smtplib.SMTPSenderRefused):
        machine.send()
    machine.works()
    eventually(lambda: machine.illness() == "")
    machine.send()


def test_green_while_the_disk_is_full(machine: Machine) -> None:
    machine.fails("ENOSPC pwrite")
    machine.smtp.wait_for("mail for (any|no)body could not be stored: .*No space")
    assert machine.illness() == ""
    machine.works()
    machine.send()

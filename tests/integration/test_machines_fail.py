"""What was answered 250 is there exactly once, whatever happens to the machine."""

from __future__ import annotations

import mailbox
import smtplib
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import MailSystem


class Burst:
    """Senders that go on until the server is gone, and what they were told."""

    def __init__(self, port: int, name: str) -> None:
        self.acknowledged: list[str] = []
        self.attempted: set[str] = set()
        self._port = port
        self._name = name
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(8)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _send(self, sender: int) -> None:
        number = 0
        try:
            server = smtplib.SMTP("127.0.0.1", self._port, timeout=10)
            while True:
                token = f"{self._name}-{sender}-{number}"
                number += 1
                with self._lock:
                    self.attempted.add(token)
                text = f"Subject: {token}\r\n\r\n" + "From a line\r\n\r\n" * 300
                server.sendmail("alice@mailserver", ["bob@mailserver"], text)
                with self._lock:
                    self.acknowledged.append(token)
        except (OSError, smtplib.SMTPException):
            return  # the server is gone: what this one had in flight may be there or not


def subjects_by_pop3(system: MailSystem) -> list[str]:
    """What POP3 shows, each message read whole."""
    session = system.pop3("bob", "builder")
    subjects = []
    for number in range(1, session.stat()[0] + 1):
        lines = session.retr(number)[1]
        subjects += [line[9:].decode() for line in lines if line.startswith(b"Subject: ")]
        assert lines.count(b"From a line") == 300, "torn"
    session.quit()
    return subjects


def test_sigkill_in_the_middle_of_a_burst_loses_nothing(mail_system: MailSystem) -> None:
    acknowledged: list[str] = []
    attempted: set[str] = set()
    for round_number in range(5):
        burst = Burst(mail_system.smtp_port, f"round{round_number}")
        burst.start()
        enough = 20 + 15 * round_number
        deadline = time.monotonic() + 30
        while len(burst.acknowledged) < enough and time.monotonic() < deadline:
            time.sleep(0.001)  # the condition is the number of 250s
        mail_system.kill("smtpmail" if round_number % 2 else "")
        burst.join()
        assert len(burst.acknowledged) >= enough
        acknowledged += burst.acknowledged
        attempted |= burst.attempted
    stored = subjects_by_pop3(mail_system)
    assert len(stored) == len(set(stored)), "a message is there twice"
    assert set(acknowledged) <= set(stored), "an acknowledged message is lost"
    assert set(stored) <= attempted
    box = mailbox.mbox(mail_system.volume_copy("bob") / "mymailbox", create=False)
    assert [message["Subject"] for message in box] == stored
    box.close()


@pytest.mark.parametrize("process", ["smtpmail", "popserver"])
def test_when_one_process_ends_the_container_starts_again(
    mail_system: MailSystem, process: str
) -> None:
    with mail_system.smtp() as server:
        server.sendmail("alice@mailserver", ["bob@mailserver"], "Subject: before\r\n\r\n.\r\n")
    mail_system.kill(process)
    assert mail_system.container.attrs["RestartCount"] == 1
    session = mail_system.pop3("bob", "builder")
    assert session.stat()[0] == 1
    session.quit()


def test_mail_and_unique_ids_survive_down_and_up(mail_system: MailSystem) -> None:
    with mail_system.smtp() as server:
        for number in range(5):
            text = f"Subject: {number}\r\n\r\nkept\r\n"
            server.sendmail("alice@mailserver", ["bob@mailserver"], text)
    session = mail_system.pop3("bob", "builder")
    before = [line.split()[1] for line in session.uidl()[1]]
    session.dele(2)
    session.quit()
    mail_system.down()
    mail_system.up()
    session = mail_system.pop3("bob", "builder")
    assert [line.split()[1] for line in session.uidl()[1]] == before[:1] + before[2:]
    session.quit()


def test_sigterm_lets_a_message_end_and_tells_the_idle(mail_system: MailSystem) -> None:
    idle = socket.create_connection(("127.0.0.1", mail_system.smtp_port), 20)
    assert idle.recv(1000).startswith(b"220 ")
    busy = smtplib.SMTP("127.0.0.1", mail_system.smtp_port, timeout=20)
    busy.ehlo()
    busy.mail("alice@mailserver")
    busy.rcpt("bob@mailserver")
    busy.putcmd("data")
    assert busy.getreply()[0] == 354
    busy.send("Subject: in the middle\r\n\r\nfirst half\r\n")
    began = time.monotonic()
    stopping = threading.Thread(target=mail_system.container.stop, kwargs={"timeout": 15})
    stopping.start()
    assert idle.recv(1000).startswith(b"421 ")
    busy.send("second half\r\n.\r\n")
    assert busy.getreply()[0] == 250
    stopping.join(30)
    assert time.monotonic() - began < 10
    assert mail_system.container.attrs["State"]["ExitCode"] == 0
    idle.close()
    busy.close()
    mail_system.up()
    session = mail_system.pop3("bob", "builder")
    assert session.retr(1)[1][-2:] == [b"first half", b"second half"]
    session.quit()


def test_a_lost_connection_frees_the_maildrop_and_deletes_nothing(mail_system: MailSystem) -> None:
    with mail_system.smtp() as server:
        server.sendmail("alice@mailserver", ["bob@mailserver"], "Subject: stays\r\n\r\n.\r\n")
    session = mail_system.pop3("bob", "builder")
    session.dele(1)
    session.close()
    again = mail_system.pop3("bob", "builder")
    assert again.stat()[0] == 1
    again.quit()

"""Mail that crosses from one machine to another comes out as it went in."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import MailSystem

CHECKOUT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("MAIL_CORPUS", CHECKOUT.parent / "shared" / "corpus"))

# On the sending machine: messages come by standard input, base64, a line each.
SEND = r"""
import base64, smtplib, sys
server = smtplib.SMTP("mailserver", 25)
for line in sys.stdin:
    server.sendmail("alice@mailserver", ["bob@mailserver"], base64.b64decode(line))
server.quit()
"""

# On the reading machine: raw sockets, because poplib refuses long lines.
FETCH = r"""
import base64, json, socket
connection = socket.create_connection(("mailserver", 110))
pop = connection.makefile("rwb")
def say(line):
    pop.write(line + b"\r\n"); pop.flush()
def answer():
    line = pop.readline()
    assert line.startswith(b"+OK"), line
    return line
answer()
for line in (b"USER bob", b"PASS builder", b"STAT"):
    say(line); last = answer()
messages = []
for number in range(1, int(last.split()[1]) + 1):
    say(b"RETR %d" % number)
    octets = int(answer().split()[1])
    lines = []
    while (line := pop.readline()) != b".\r\n":
        lines.append(line[1:] if line.startswith(b".") else line)
    messages.append([octets, base64.b64encode(b"".join(lines)).decode()])
say(b"QUIT"); answer()
print(json.dumps(messages))
"""

ADDED = re.compile(
    rb"\AReturn-Path: <alice@mailserver>\r\n"
    rb"Received: from \S+ \(\[[0-9.]+\]\) by mailserver with ESMTP id \S+\r\n"
    rb"\tfor <bob@mailserver>; [^\r\n]+\r\n"
)
STAMP = re.compile(rb'^Received: "\d{4}-\d\d-\d\d : \d\d : \d\d"; [^\r\n]+\r\n', re.MULTILINE)


def without_added_lines(stored: bytes) -> bytes:
    """What was sent: the trace lines at the top and the stamp are the server's."""
    content, at_top = ADDED.subn(b"", stored)
    assert at_top == 1, stored[:400]
    content, stamps = STAMP.subn(b"", content, count=1)
    assert stamps == 1, stored[:2000]
    return content


def cross(system: MailSystem, messages: list[bytes]) -> list[tuple[int, bytes]]:
    """Send on one machine, fetch on another; each message with the size that RETR announced."""
    lines = "".join(f"{base64.b64encode(message).decode()}\n" for message in messages)
    sent = system.run_client(lines, "python3", "-c", SEND, seconds=120)
    assert sent.returncode == 0, sent.stderr
    fetched = system.run_client("", "python3", "-c", FETCH, seconds=120)
    assert fetched.returncode == 0, fetched.stderr
    return [(octets, base64.b64decode(text)) for octets, text in json.loads(fetched.stdout)]


def test_every_message_of_the_corpus_comes_back_to_the_octet(mail_system: MailSystem) -> None:
    paths = sorted(CORPUS.rglob("*.eml"))
    if not paths:
        pytest.skip(f"no corpus in {CORPUS}")
    sent = [path.read_bytes().replace(b"\n", b"\r\n") for path in paths]
    received = cross(mail_system, sent)
    assert len(received) == len(sent)
    for path, message, (octets, stored) in zip(paths, sent, received, strict=True):
        assert octets == len(stored), path
        assert without_added_lines(stored) == message, path


def test_lines_that_a_mailbox_file_could_trip_over(mail_system: MailSystem) -> None:
    body = [b"From here to there", b">From", b">>From me", b"", b".", b"..", b"", b"From ", b""]
    message = b"Subject: hard\r\n\r\n" + b"\r\n".join(body) + b"\r\n"
    long_line = b"Subject: long\r\n\r\n" + b"x" * 100_000 + b"\r\n"
    received = cross(mail_system, [message, long_line])
    assert [without_added_lines(stored) for _, stored in received] == [message, long_line]


def test_fifty_megabytes_cross_and_are_opened(mail_system: MailSystem) -> None:
    # Made there: a pipe of that size is not what is to be tested.
    make = r"""
import smtplib
line = b"0123456789" * 7 + b"\r\n"
message = b"Subject: big\r\n\r\n" + line * (49_900_000 // len(line))
server = smtplib.SMTP("mailserver", 25)
server.sendmail("alice@mailserver", ["bob@mailserver"], message)
server.quit()
"""
    sent = mail_system.run_client("", "python3", "-c", make, seconds=180)
    assert sent.returncode == 0, sent.stderr
    read = mail_system.run_client("bob\nbuilder\n1\n1\nq\n3\n", seconds=180)
    assert read.returncode == 0, read.stderr
    assert read.stdout.count("0123456789" * 7) == 49_900_000 // 72
    # nobody was killed for want of memory
    assert not mail_system.container.attrs["State"]["OOMKilled"]
    assert mail_system.container.attrs["RestartCount"] == 0


def test_ten_users_at_once(mail_system: MailSystem) -> None:
    users = [f"user{number}" for number in range(10)]
    lines = "".join(f"{user} secret of {user}\n" for user in users)
    mail_system.exec("bash", "-c", f"printf '%s' '{lines}' >> /data/users.txt")
    work = r"""
import poplib, smtplib, sys
from concurrent.futures import ThreadPoolExecutor
users = [f"user{number}" for number in range(10)]
def send(sender):
    server = smtplib.SMTP("mailserver", 25)
    for number in range(20):
        for to in users:
            text = f"Subject: {sender} {number}\r\n\r\nfor {to}\r\n"
            server.sendmail(f"{sender}@mailserver", [f"{to}@mailserver"], text)
    server.quit()
def fetch(user):
    pop = poplib.POP3("mailserver", 110)
    pop.user(user); pop.pass_(f"secret of {user}")
    count, _ = pop.stat()
    subjects = []
    for number in range(1, count + 1):
        lines = pop.retr(number)[1]
        assert lines[-1] == f"for {user}".encode(), lines
        subjects += [line for line in lines if line.startswith(b"Subject: ")]
        pop.dele(number)
    pop.quit()
    return sorted(subjects)
with ThreadPoolExecutor(10) as pool:
    list(pool.map(send, users))
    boxes = list(pool.map(fetch, users))
expected = sorted(f"Subject: {s} {n}".encode() for s in users for n in range(20))
assert all(box == expected for box in boxes)
print("all there")
"""
    done: subprocess.CompletedProcess[str] = mail_system.run_client(
        "", "python3", "-c", work, seconds=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "all there\n"

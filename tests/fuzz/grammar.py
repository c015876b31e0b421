"""What both servers may say, whatever they were told."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.dialogs.machine import Machine, in_thread

from mailserver.smtp.service import Service
from mailserver.threads import InThread

USERS = {"alice": "wonderland", "bob": "builder"}

# RFC 5321 4.2, with RFC 2034's codes; RFC 1939 3, with multi-line responses.
_SMTP = re.compile(rb"(?:(?:([2-5]\d\d)-[\t -~]*\r\n)*[2-5]\d\d [\t -~]*\r\n)+")
_POP3 = re.compile(rb"(?:\+OK|-ERR)(?: [^\0-\x1f\x7f]*)?|\+ [A-Za-z0-9+/]*={0,2}")
_MULTI_LINE = re.compile(rb"\+OK (.* follow|.* follows|\d+ octets|top of message)")
# SCRAM's first challenge begins with "r="; its salt is another one on each machine.
_SMTP_SALT = re.compile(rb"(?m)^334 cj[!-~]+")
_POP3_SALT = re.compile(rb"(?m)^\+ cj[!-~]+")


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder for a while, in memory where there is such a place: the disk is not looked at."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@contextmanager
def machine(service: Service | None = None, hashing: InThread = in_thread) -> Iterator[Machine]:
    """A MailServer with two messages for alice."""
    with memory_folder() as folder:
        made = Machine(folder, USERS, service=service, hashing=hashing)
        made.deliver("alice", b"Subject: one\r\n\r\n.\r\n..\r\ntext\r\n")
        made.deliver("alice", "Subject: zwölf\r\n".encode())
        try:
            yield made
        finally:
            made.close()


def check_smtp(server: Machine, chunks: Sequence[bytes]) -> bytes:
    """All replies to these octets, without what is random in them."""
    answer = bytes(server.smtp(chunks).sent)
    assert _SMTP.fullmatch(answer), answer
    lines = answer.split(b"\r\n")
    assert all(len(line) + 2 <= 512 for line in lines)
    commands = b"".join(chunks).count(b"\n") + 1
    assert len(answer) <= 200 + commands * 700, "more was said than was asked for"
    return _SMTP_SALT.sub(b"334 r=", answer)


def check_pop3(server: Machine, chunks: Sequence[bytes]) -> bytes:
    """The same for POP3."""
    answer = bytes(server.pop3(chunks).sent)
    assert answer.endswith(b"\r\n")
    inside = False
    for line in answer[:-2].split(b"\r\n"):
        if inside:
            inside = line != b"."
            continue
        assert len(line) + 2 <= 512
        assert _POP3.fullmatch(line), line
        inside = bool(_MULTI_LINE.fullmatch(line))
    assert not inside, "a multi-line response without an end"
    return _POP3_SALT.sub(b"+ r=", answer)

"""Systems that start with a full queue: messages for 1,000 domains, each with a host of its own.

The hosts are loopback addresses; smtp-sink is at nine of ten, and nobody at the others.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.mailbox import Mailbox
from bench.systems import (
    OWNER,
    PEERS,
    Server,
    empty_run_folder,
    ours,
    postfix_house,
    serving,
)
from mailserver.message.envelope import MailParameters, Recipient
from mailserver.relay.entry import Entry, line_of
from mailserver.wire.address import ForwardPath, ReversePath
from mailserver.wire.address import Mailbox as Address

DOMAINS = 1_000
DEAD = 10
"""One of so many is."""
SINK = Path("/data/sink")
"""What smtp-sink says of itself."""
SENDER = Address(OWNER, "mailserver")
TEXT = b"Subject: waiting\r\n\r\n" + (b"x" * 70 + b"\r\n") * 56
_SECONDS_TO_FILL = 900.0


def living(queued: int) -> int:
    """How many of so many messages find a server."""
    return queued - queued // DEAD


def _host(domain: int) -> str:
    port = 2701 if domain % DEAD == 0 else 2700
    return f"127.1.{domain // 250}.{domain % 250 + 1}:{port}"


def taken() -> int:
    """Messages that smtp-sink has answered for."""
    with SINK.open("rb") as said:
        said.seek(max(0, os.fstat(said.fileno()).st_size - 200))
        counts = re.findall(rb"mesg=(\d+)\r", said.read())
    return int(counts[-1]) if counts else 0


@contextmanager
def _sink() -> Iterator[None]:
    with SINK.open("wb") as said:
        command = ["/usr/sbin/smtp-sink", "-c", "-u", OWNER, ":2700", "1000"]
        process = subprocess.Popen(command, stdout=said)
    try:
        yield
    finally:
        process.kill()
        process.wait()


# -- ours ------------------------------------------------------------------------------------------


@contextmanager
def smtpmail_with_queue(queued: Mailbox) -> Iterator[Server]:
    with (
        _sink(),
        ours("smtpmail.py", 2525, Mailbox(), partial(_fill, messages=queued.messages)) as server,
    ):
        yield server


def _fill(data: Path, messages: int) -> None:
    routes = [f'"d{number}.test" = "{_host(number)}"' for number in range(DOMAINS)]
    (data / "mailserver.toml").write_text("\n".join(["[routes]", *routes, ""]))
    folder = data / ".mailserver/queue/messages"
    folder.mkdir(parents=True)
    now = time.time()
    for number in range(messages):
        to = Recipient(ForwardPath(Address("someone", f"d{number % DOMAINS}.test")))
        entry = Entry(f"m-{number}", now, ReversePath(SENDER), MailParameters(), (to,), len(TEXT))
        (folder / entry.id).write_bytes(line_of(entry) + TEXT)


# -- Postfix ---------------------------------------------------------------------------------------


@contextmanager
def postfix_with_queue(queued: Mailbox) -> Iterator[Server]:
    """It takes all messages in while its queue manager is away, and is started again."""
    empty_run_folder()
    house = postfix_house()
    table = (f"d{n}.test smtp:[{host}]:{port}\n" for n, host, port in _hosts())
    (house / "etc/transport").write_text("".join(table))
    for name in ("main.cf", "master.cf"):
        with (house / "etc" / name).open("a") as file:
            file.write((PEERS / f"{name}.queue").read_text())
    whole = house / "etc/master.cf.whole"
    master = Path(shutil.move(house / "etc/master.cf", whole)).read_text()
    without = re.sub(r"(?m)^qmgr .*\n", "", master)
    (house / "etc/master.cf").write_text(without)
    with _serving(house):
        _submit(queued.messages)
    shutil.move(whole, house / "etc/master.cf")
    with _sink(), _serving(house) as server:
        yield server


def _hosts() -> Iterator[tuple[int, str, str]]:
    for number in range(DOMAINS):
        host, _, port = _host(number).partition(":")
        yield number, host, port


@contextmanager
def _serving(house: Path) -> Iterator[Server]:
    command: list[str | Path] = ["/usr/sbin/postfix", "-c", house / "etc", "start-fg"]
    with serving(command, 2600, "") as server:
        yield server


def _submit(messages: int) -> None:
    each = messages // DOMAINS
    send = f"smtp-source -d -s 10 -l {len(TEXT)} -m {each} -f {SENDER} -t someone@d$n.test"
    loop = f"for n in $(seq 0 {DOMAINS - 1}); do {send} 127.0.0.1:2600 || exit 1; done"
    subprocess.run(["sh", "-c", loop], check=True, timeout=_SECONDS_TO_FILL)

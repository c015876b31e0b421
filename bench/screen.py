"""`python -m bench.screen`: a large mailbox opened and scrolled, by our full screen and by mutt.

Both in a terminal of 80x24, on the same popserver, one after the other. Seconds are those of the
clock, until the rows are seen; CPU and memory are the client's process alone, from /proc.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.client_pty.face import Face

ROOT = Path(__file__).resolve().parents[1]
STORED = "From bob@mailserver Mon Nov 23 14:05:09 2026\n"
PATIENCE_SECONDS = 900.0  # mutt asks for one header block after another
PAGES = 20
MUTTRC = (
    "set ssl_starttls=no ssl_force_tls=no pop_checkinterval=32767\n"  # a check lists all again
    "set pop_pass=wonderland\nset header_cache="
)


def main() -> int:
    """Prints one row a client and opening."""
    parser = argparse.ArgumentParser(prog="python -m bench.screen", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    count = parser.parse_args().messages
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        fill(data, count)
        with popserver(data) as port:
            heads = f"{count:,} messages".ljust(26)
            print(f"{heads}first rows  {PAGES} pages  to message 1  CPU  memory")
            for which in ("first time", "again"):
                report(f"mailclient, {which}", *ours(data, port, count))
            if shutil.which("mutt"):
                for which in ("first time", "again"):
                    report(f"mutt, {which}", *mutt(data, port, count))
            else:
                print("mutt is not here: apt-get install mutt")
    return 0


def fill(data: Path, count: int) -> None:
    """A mailbox of small messages, as another program made it."""
    (data / "users.txt").write_text("alice wonderland\n")
    (data / "secret").write_text("wonderland\n")
    (data / "alice").mkdir()
    with (data / "alice" / "mymailbox").open("w") as box:
        for number in range(1, count + 1):
            box.write(
                f"{STORED}From: Bob <bob@mailserver>\nTo: alice@mailserver\n"
                f"Subject: subject-{number}.\nMessage-ID: <{number}@mailserver>\n"
                f"Date: Mon, 23 Nov 2026 14:05:09 +0000\n\nThe text of message {number}.\n\n"
            )


@contextmanager
def popserver(data: Path) -> Iterator[int]:
    """On a free port; one login before anything is measured makes its index."""
    command = [sys.executable, str(ROOT / "server" / "popserver.py"), "0"]
    process = subprocess.Popen(
        [*command, "--data", str(data), "--host", "127.0.0.1"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        port = 0
        for line in process.stderr:
            if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", line):
                port = int(found[1])
                break
        client = [sys.executable, str(ROOT / "client" / "mailclient.py"), "--user", "alice"]
        options = ["--password-file", str(data / "secret"), "--tls", "off"]
        subprocess.run([*client, *options, "127.0.0.1", "9", str(port), "count"], check=True)
        yield port
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


def ours(data: Path, port: int, count: int) -> tuple[float, float, float, float, float]:
    """The menu's first option, pages back, and the first message."""
    options = ["--user", "alice", "--password-file", str(data / "secret"), "--tls", "off"]
    command = [sys.executable, str(ROOT / "client" / "mailclient.py"), *options]
    client = start([*command, "127.0.0.1", "9", str(port)], data)
    client.waits_for("Welcome")
    begin = time.monotonic()
    client.types("1")
    client.waits_for(f"subject-{count}.")
    opened = time.monotonic()
    pages = paged(client, "\x1b[5~", [count - 18 * page for page in range(1, PAGES + 1)])
    jumped = time.monotonic()
    client.types("Home")
    client.waits_for("subject-1.")
    done = time.monotonic() - jumped
    cost = usage(client)
    client.types("q", "q")
    client.ends()
    return opened - begin, pages, done, *cost


def mutt(data: Path, port: int, count: int) -> tuple[float, float, float, float, float]:
    """From the start of the program on: it has no menu."""
    (data / "muttrc").write_text(f"set folder={data}\n{MUTTRC}{data / 'mutt-cache'}\n")
    (data / "mutt-cache").mkdir(exist_ok=True)
    begin = time.monotonic()
    client = start(
        ["mutt", "-n", "-F", str(data / "muttrc"), "-f", f"pop://alice@127.0.0.1:{port}"], data
    )
    client.waits_for("subject-")
    opened = time.monotonic()
    client.types("*")
    client.waits_for(f"subject-{count}.")
    pages = paged(client, "Z", [count - 21 * page + 1 for page in range(1, PAGES + 1)])
    jumped = time.monotonic()
    client.types("=")
    client.waits_for("subject-1.")
    done = time.monotonic() - jumped
    cost = usage(client)
    client.types("x")
    client.ends()
    return opened - begin, pages, done, *cost


def start(command: list[str], data: Path) -> Face:
    """In a terminal of 80x24, with a home of its own."""
    homes = {"HOME": str(data), "XDG_STATE_HOME": str(data / "state")}
    env = {**os.environ, **homes, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    return Face(command, env, patience_seconds=PATIENCE_SECONDS)


def paged(client: Face, key: str, numbers: list[int]) -> float:
    """Seconds for all pages; each is waited for by the number of a message on it."""
    begin = time.monotonic()
    for number in numbers:
        client.types(key)
        client.waits_for(f"subject-{number}.")
    return time.monotonic() - begin


def usage(client: Face) -> tuple[float, float]:
    """CPU seconds so far, and the most memory in MB."""
    process = Path("/proc") / str(client.child.pid)
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    peak = re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())
    return seconds, int(peak[1]) / 1000 if peak else 0.0


def report(name: str, opened: float, pages: float, jump: float, cpu: float, memory: float) -> None:
    """One row."""
    row = f"{name:<26}{opened:8.2f} s{pages:8.2f} s{jump:10.2f} s{cpu:9.2f} s{memory:6.0f} MB"
    print(row, flush=True)


if __name__ == "__main__":
    sys.exit(main())

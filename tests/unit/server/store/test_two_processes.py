"""One process delivers without a pause while the other logs in, deletes and quits."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

from tests.contract import post
from tests.contract.post import MORE

from mailserver.store.files import FileStore

ROUNDS = 200 * MORE

_DELIVER = """
import itertools, sys, threading
from pathlib import Path
from mailserver.message.verdict import Kind
from mailserver.store.files import FileStore
from tests.contract import post

store = FileStore(Path(sys.argv[1]), lambda: 0.0, reserve_octets=0)
stopped = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
for n in itertools.count():
    if stopped.is_set():
        break
    users = [["bob"], ["alice"], ["alice", "bob"]][n % 3]
    content = b"Subject: %d\\r\\n\\r\\n" % n + b"From x\\r\\n" * (n % 50)
    while True:
        verdict, _ = post.try_deliver(store, users, content)
        if verdict.kind is not Kind.MAILBOX_BUSY:
            break
        stopped.wait(0.001)
    assert verdict, verdict
    print(n, flush=True)
"""


def number_of(content: bytes, user: str) -> int:
    """Which message it is; it must be for this user."""
    found = re.search(rb"\tfor <(\w+)>\r\nSubject: (\d+)\r\n\r\n((?:From x\r\n)*)\Z", content)
    assert found is not None, content[:200]
    number = int(found[2])
    assert found[1].decode() == user
    assert found[3] == b"From x\r\n" * (number % 50)
    return number


def test_nothing_is_lost_or_twice(tmp_path: Path) -> None:
    choose = random.Random(4711)
    store = FileStore(tmp_path, lambda: 0.0, reserve_octets=0)
    deleted: dict[str, list[int]] = {"alice": [], "bob": []}
    ids: dict[tuple[str, int], str] = {}

    def look(user: str, mails: list[post.Mail]) -> list[int]:
        numbers = [number_of(mail.content, user) for mail in mails]
        for number, mail in zip(numbers, mails, strict=True):
            assert ids.setdefault((user, number), mail.unique_id) == mail.unique_id
        return numbers

    with subprocess.Popen(
        [sys.executable, "-c", _DELIVER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["", *filter(None, sys.path)])},
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "0\n"
        for turn in range(ROUNDS):
            user = ("bob", "alice")[turn % 2]
            maildrop = store.open_maildrop(user)
            numbers = look(user, post.listing(maildrop))
            gone = [n for n in range(1, len(numbers) + 1) if choose.random() < 0.7]
            maildrop.delete(gone)
            maildrop.close()
            deleted[user] += [numbers[n - 1] for n in gone]
        child.stdin.close()
        said = [0, *map(int, child.stdout.read().split())]
        assert child.wait() == 0
    assert said == list(range(len(said)))
    for user, turns in (("bob", (0, 2)), ("alice", (1, 2))):
        left = look(user, post.read(store, user))
        assert sorted(deleted[user] + left) == [n for n in said if n % 3 in turns]
    assert len(set(ids.values())) == len(ids)
    assert list((tmp_path / ".mailserver" / "lost+found").iterdir()) == []
    assert all(deleted.values())
    store.close()

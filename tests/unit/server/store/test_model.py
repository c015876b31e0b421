"""A data folder against a dictionary: our two programs, other people's, and a kill now and then."""

from __future__ import annotations

import itertools
import mailbox
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.contract import post
from tests.contract.post import MORE
from tests.faults.calls import Calls, Kills
from tests.faults.child import run_in_child

from mailserver.store.files import FileStore

USERS = ("alice", "bob")
_STATUS = b"Status: RO\r\n"

MOMENTS = st.sampled_from(["half", "after"])
users = st.sampled_from(USERS)
bodies = st.sampled_from(
    [
        b"At five.\r\n",
        b"",
        b"From me\r\n\r\nFrom you\r\n>From us\r\n\r\n\r\n",
        b"\r\n\r\n",
        b"x" * 70_000 + b"\r\n",
        b"From here\r\n" * 30_000,
    ]
)


@dataclass
class Box:
    mails: list[bytes] = field(default_factory=list)
    """Contents, without what other programs wrote into them."""
    ids: dict[bytes, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)


class Mailboxes(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.data = Path(tempfile.mkdtemp(dir=memory))
        self.clock = itertools.count()
        self.marks = itertools.count(1)
        self.boxes = {user: Box() for user in USERS}
        self.store = self.open()

    def open(self) -> FileStore:
        return FileStore(self.data, lambda: float(next(self.clock)), reserve_octets=0)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.data)

    def file(self, user: str) -> Path:
        return self.data / user / "mymailbox"

    # -- our programs ------------------------------------------------------------------------------

    @rule(to=st.sets(users, min_size=1), body=bodies)
    def deliver(self, to: set[str], body: bytes) -> None:
        content = b"Subject: tea\r\n\r\n" + body
        verdict, read = post.try_deliver(self.store, sorted(to), content)
        assert verdict
        for user in to:
            self.boxes[user].mails.append(read[user])

    @rule(user=users, count=st.integers(2, 4))
    def deliver_together(self, user: str, count: int) -> None:
        staged = [post.deposit_of(self.store, [user]) for _ in range(count)]
        assert all(self.store.append([deposit for _, deposit, _ in staged]))
        self.boxes[user].mails += [read[user] for _, _, read in staged]

    @rule(user=users, chosen=st.data(), meanwhile=st.booleans())
    def log_in_and_delete(self, user: str, chosen: st.DataObject, meanwhile: bool) -> None:
        box = self.boxes[user]
        maildrop = self.store.open_maildrop(user)
        self.check(user, post.listing(maildrop))
        count = len(box.mails)
        numbers = sorted(chosen.draw(st.sets(st.integers(1, count))) if count else ())
        if meanwhile:
            box.mails.append(post.deliver(self.store, user))
        maildrop.delete(numbers)
        maildrop.close()
        for number in reversed(numbers):
            del box.ids[box.mails.pop(number - 1)]

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = self.open()

    @rule(
        to=st.sets(users, min_size=1),
        at=st.integers(1, 30),
        when=st.sampled_from(["half", "after"]),
    )
    def killed_in_an_append(self, to: set[str], at: int, when: str) -> None:
        """By another process of ours; who had mail waiting may have it, whole, or not."""
        staged = [post.deposit_of(self.store, sorted(to)) for _ in range(2)]
        deposits = [deposit for _, deposit, _ in staged]

        def append() -> None:
            store = self.open()
            with Calls() as calls:
                calls.fault = Kills(at, when)
                store.append(deposits)

        killed = run_in_child(append)
        for user in to:
            box = self.boxes[user]
            waiting = [read[user] for _, _, read in staged]
            found = [self.plain(mail.content) for mail in post.read(self.store, user)]
            arrived = found[len(box.mails) :]
            assert arrived == waiting if not killed else arrived == waiting[: len(arrived)]
            box.mails += arrived
        for staging, _, _ in staged:
            staging.discard()

    # -- other people's ----------------------------------------------------------------------------

    def foreign(self) -> tuple[bytes, bytes]:
        """A record and its content."""
        text = b"Subject: foreign %d\n\n>From them\n" % next(self.marks)
        record = b"From carol Tue Nov 24 09:00:00 2026\n" + text + b"\n"
        return record, text.replace(b">From", b"From").replace(b"\n", b"\r\n")

    @rule(user=users, unfinished=st.booleans())
    def foreign_append(self, user: str, unfinished: bool) -> None:
        self.store.open_maildrop(user).close()
        record, content = self.foreign()
        with self.file(user).open("ab") as file:
            file.write(record[:-1] if unfinished else record)
        self.boxes[user].mails.append(content)

    @rule(user=users, count=st.integers(0, 3), in_place=st.booleans())
    def foreign_mailbox(self, user: str, count: int, in_place: bool) -> None:
        records = [self.foreign() for _ in range(count)]
        octets = b"".join(record for record, _ in records)
        self.file(user).parent.mkdir(exist_ok=True)
        if in_place:
            self.file(user).write_bytes(octets)
        else:
            (self.data / "dropped").write_bytes(octets)
            (self.data / "dropped").replace(self.file(user))
        self.boxes[user].mails = [content for _, content in records]
        self.boxes[user].ids.clear()

    @rule(user=users, chosen=st.data(), gone=st.booleans())
    def pythons_mailbox(self, user: str, chosen: st.DataObject, gone: bool) -> None:
        """Changes the status of some messages, or removes one; writes a new file."""
        self.store.open_maildrop(user).close()
        box = self.boxes[user]
        if not box.mails:
            return
        numbers = chosen.draw(st.sets(st.integers(0, len(box.mails) - 1), min_size=1))
        with closing(mailbox.mbox(self.file(user), create=False)) as theirs:
            keys = theirs.keys()
            assert len(keys) == len(box.mails)
            for number in numbers:
                theirs[keys[number]] = self.toggled(theirs.get_bytes(keys[number], from_=True))
            if gone:
                theirs.remove(keys[0])
        if gone:
            box.ids.pop(box.mails.pop(0), None)

    @rule(user=users, number=st.integers(0, 5))
    def status_in_place(self, user: str, number: int) -> None:
        """As mutt does."""
        self.store.open_maildrop(user).close()
        octets = self.file(user).read_bytes()
        records = [b"From " + part for part in (b"\n" + octets).split(b"\nFrom ")[1:]]
        if number < len(records):
            records[number] = self.toggled(records[number])
            self.file(user).write_bytes(b"\n".join(records))

    @staticmethod
    def toggled(record: bytes) -> bytes:
        line = _STATUS.replace(b"\r", b"")
        if line in record:
            return record.replace(line, b"")
        head, empty, body = record.partition(b"\n\n")
        return head + b"\n" + line[:-1] + empty + body if empty else head + line

    @rule(user=users)
    def index_removed(self, user: str) -> None:
        (self.data / user / ".index").unlink(missing_ok=True)

    @rule(user=users, size=st.integers(0, 400))
    def index_cut(self, user: str, size: int) -> None:
        path = self.data / user / ".index"
        if path.exists() and size < path.stat().st_size:
            os.truncate(path, size)

    # -- what must be true -------------------------------------------------------------------------

    @staticmethod
    def plain(content: bytes) -> bytes:
        return re.sub(rb"^" + _STATUS, b"", content, flags=re.MULTILINE)

    def check(self, user: str, mails: Sequence[post.Mail]) -> None:
        box = self.boxes[user]
        assert [self.plain(mail.content) for mail in mails] == box.mails
        for mail in mails:
            content = self.plain(mail.content)
            if content in box.ids:
                assert box.ids[content] == mail.unique_id
            else:
                assert mail.unique_id not in box.used
                box.ids[content] = mail.unique_id
                box.used.add(mail.unique_id)

    @rule(user=users)
    def log_in(self, user: str) -> None:
        self.check(user, post.read(self.store, user))
        with closing(mailbox.mbox(self.file(user), create=False)) as theirs:
            assert len(theirs) == len(self.boxes[user].mails)

    @invariant()
    def nothing_was_set_aside_that_was_acknowledged(self) -> None:
        """A kill leaves pieces of what nobody was told of; whole messages are no such pieces."""
        if not hasattr(self, "data"):
            return
        kept = [content for box in self.boxes.values() for content in box.mails]
        for path in (self.data / ".mailserver" / "lost+found").iterdir():
            piece = path.read_bytes()
            for content in kept:
                assert content.replace(b"\r\n", b"\n").replace(b"\nFrom ", b"\n>From ") not in piece


TestMailboxes = Mailboxes.TestCase
TestMailboxes.settings = settings(
    max_examples=100 * MORE, stateful_step_count=30, deadline=None, print_blob=True
)

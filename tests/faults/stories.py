"""What is going on when the disk fails or the process is killed, and what must be true then."""

from __future__ import annotations

import itertools
import mailbox
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tests.contract import post
from tests.faults.calls import Calls

from mailserver.store import index, mbox
from mailserver.store.base import Deposit, Staging
from mailserver.store.files import FileStore
from mailserver.store.intake import JOURNAL_OCTETS

FOREIGN = b"From carol@elsewhere Tue Nov 24 09:00:00 2026\nSubject: foreign\n\nIt is me.\n\n"
TORN = post.FROM_LINE + b"Subject: torn\n\nFor ever\n\nand ev"

Tell = Callable[[str], None]


class Story:
    """A data folder in some state, and something that is then done to it.

    `sure` is what must be in the mailboxes whatever happens, `due` what must be there if the action
    says that it worked, and `going` what may then no longer be there.
    """

    users: Sequence[str] = ("alice", "bob")
    before: Sequence[bytes] = tuple(b"Subject: %d\r\n\r\nbefore\r\n" % n for n in range(4))
    journal_octets = JOURNAL_OCTETS

    def __init__(self, data: Path) -> None:
        self.data = data
        self.store = self.open()
        self.sure: dict[str, list[bytes]] = {user: [] for user in self.users}
        self.ids: dict[bytes, str] = {}
        self.due: dict[str, list[tuple[str, bytes]]] = {user: [] for user in self.users}
        self.going: dict[str, list[tuple[str, bytes]]] = {user: [] for user in self.users}
        self._staged: list[Staging] = []
        self._named: dict[str, Deposit] = {}
        self.prepare()
        for user in self.users:
            if (data / user / "mymailbox").exists() and self.sure[user]:
                self.ids.update((mail.content, mail.unique_id) for mail in self.look(user))
        self.spoil()
        self.stage()

    def open(self) -> FileStore:
        ticks = itertools.count()
        clock = lambda: float(next(ticks))  # noqa: E731
        # so little memory that a big message goes to a file
        return FileStore(
            self.data,
            clock,
            reserve_octets=0,
            memory_octets=200_000,
            journal_octets=self.journal_octets,
        )

    def prepare(self) -> None:
        """Mail that is there before."""
        deposits = []
        for content in self.before:
            staging, deposit, read = post.deposit_of(self.store, self.users, content)
            deposits.append(deposit)
            self._staged.append(staging)
            for user in self.users:
                self.sure[user].append(read[user])
        assert all(self.store.append(deposits))

    def spoil(self) -> None:
        """What happens to the folder then."""

    def stage(self) -> None:
        """The mail that is going to come."""

    def action(self, tell: Tell) -> None:
        """What is done while the faults happen; tells the names of what it was told to be done."""
        verdicts = self.store.append(list(self._named.values()))
        for name, verdict in zip(self._named, verdicts, strict=True):
            if verdict:
                tell(name)

    def look(self, user: str) -> list[post.Mail]:
        return post.read(self.store, user)

    # -- for stories -------------------------------------------------------------------------------

    def mail(self, name: str, users: Sequence[str], content: bytes = post.CONTENT) -> None:
        staging, deposit, read = post.deposit_of(self.store, users, content)
        self._staged.append(staging)
        self._named[name] = deposit
        for user in users:
            self.due[user].append((name, read[user]))

    def quit(self, numbers: Sequence[int]) -> bool:
        """Bob logs in, deletes, and is told by QUIT that it was done."""
        try:
            post.delete(self.store, "bob", *numbers)
        except OSError:
            return False
        return True

    # -- afterwards --------------------------------------------------------------------------------

    def asked(self) -> set[str]:
        """What the action wants to be told."""
        return {name for user in self.users for name, _ in self.due[user] + self.going[user]}

    def check(self, told: set[str], *, exact: bool, disk: Calls | None = None) -> None:
        """Whatever happened: what was promised is there, once, whole, and by its old id.

        `exact`: what was refused is not there, and nothing is gone but what was told so.
        """
        fresh = self.open()
        try:
            for user in self.users:
                if disk is not None and told:
                    self.check_durable(user, told, disk)
                self.check_user(fresh, user, told, exact=exact)
        finally:
            fresh.close()

    def check_durable(self, user: str, told: set[str], calls: Calls) -> None:
        mine = {name for name, _ in self.due[user] + self.going[user]}
        if mine & told:
            assert calls.disk.at_risk(str(self.data), user, "mymailbox") == []

    def check_user(self, store: FileStore, user: str, told: set[str], *, exact: bool) -> None:
        mails = post.read(store, user)
        found = Counter(mail.content for mail in mails)
        for content in self.sure[user]:
            assert found.pop(content, 0) == 1, f"acknowledged mail of {user}: {content[:99]!r}"
        for name, content in self.due[user]:
            count = found.pop(content, 0)
            assert count == 1 if name in told else count <= (0 if exact else 1), (name, count)
        for name, content in self.going[user]:
            count = found.pop(content, 0)
            assert count == 0 if name in told else count <= 1, (name, count)
            if exact and name not in told:
                assert count == 1, f"deleted without being told: {name}"
        assert not found, [content[:99] for content in found]
        for mail in mails:
            assert self.ids.get(mail.content, mail.unique_id) == mail.unique_id
        self._check_file(user, len(mails))

    def _check_file(self, user: str, count: int) -> None:
        path = self.data / user / "mymailbox"
        assert len(list(mbox.record_starts([path.read_bytes()]))) == count
        theirs = mailbox.mbox(path, create=False)
        assert len(theirs) == count
        theirs.close()

    def works_again(self, calls: Calls | None = None) -> None:
        """The store that saw the faults goes on."""
        for user in self.users:
            verdict, read = post.try_deliver(self.store, [user], b"Subject: after\r\n\r\nx\r\n")
            assert verdict, verdict
            if calls is not None:
                assert calls.disk.at_risk(str(self.data), user, "mymailbox") == []
            assert self.look(user)[-1].content == read[user]
            self.sure[user].append(read[user])

    def close(self) -> None:
        for staging in self._staged:
            staging.discard()
        self._named.clear()
        self.store.close()


BIG = b"Subject: big\r\n\r\n" + b"From here to there\r\n" * 1000 + b"x" * 300_000 + b"\r\n"


class AppendOne(Story):
    """To a mailbox that is open already."""

    def stage(self) -> None:
        self.mail("one", ["bob"])


class AppendBatch(Story):
    """Several messages, several recipients, one from the spool."""

    def stage(self) -> None:
        self.mail("one", ["bob"])
        self.mail("both", ["alice", "bob"], b"Subject: to both\r\n\r\nFrom me\r\n")
        self.mail("big", ["alice", "bob"], BIG)
        self.mail("other", ["alice"])


class AppendToNobody(Story):
    """To users who never had mail, with a store that never opened a mailbox."""

    def prepare(self) -> None:
        """Nothing."""

    def stage(self) -> None:
        self.mail("one", ["bob"])
        self.mail("both", ["bob", "alice"])


class AppendAndSettle(AppendBatch):
    """Then the journal is emptied, as when no more mail comes."""

    def action(self, tell: Tell) -> None:
        super().action(tell)
        with suppress(OSError):
            self.store.settle()


class AppendToFullJournal(Story):
    """One by one: the other file of the journal goes on, and then this one again."""

    journal_octets = 16 * 1024

    def stage(self) -> None:
        for name in ("one", "two", "three", "four"):
            self.mail(name, ["alice", "bob"])

    def action(self, tell: Tell) -> None:
        for name, deposit in self._named.items():
            if self.store.append([deposit])[0]:
                tell(name)


class Start(Story):
    """After a power cut: nothing of what a journal promises is in the mailboxes."""

    def spoil(self) -> None:
        gone, self.store = self.store, self.open()
        assert gone._intake is not None
        gone._intake.close()
        gone._intake = None
        gone.close()
        for user in self.users:
            os.truncate(self.data / user / "mymailbox", 0)

    def action(self, tell: Tell) -> None:
        with suppress(OSError):
            self.open().close()


class _Delete(Story):
    numbers: tuple[int, ...]

    def spoil(self) -> None:
        for number in sorted(self.numbers, reverse=True):
            content = self.sure["bob"].pop(number - 1)
            self.going["bob"].append((f"all {self.numbers}", content))

    def action(self, tell: Tell) -> None:
        if self.quit(self.numbers):
            tell(f"all {self.numbers}")


class DeleteAmong(_Delete):
    """A rewrite."""

    numbers = (1, 3)


class DeleteBesideBig(DeleteAmong):
    """So much stays that it goes to the disk past the kernel's memory."""

    before = (*DeleteAmong.before, BIG)


class DeleteLast(_Delete):
    """A truncation."""

    numbers = (3, 4)


class DeleteAll(_Delete):
    """The whole mailbox."""

    numbers = (1, 2, 3, 4)


class _Torn(Story):
    def spoil(self) -> None:
        """A process was killed in an append to bob's mailbox."""
        self.store.close()
        record = TORN + b"er\n\n"
        path = self.data / "bob" / "mymailbox"
        entry = index.Entry(
            path.stat().st_size, len(record), 1, mbox.digest([record]), 1, index.beginning(record)
        )
        with (self.data / "bob" / ".index").open("ab") as file:
            file.write(index.pack([entry]))
        with path.open("ab") as file:
            file.write(TORN)
        (self.data / "alice" / ".index").unlink()
        self.store = self.open()


class RepairByLogin(_Torn):
    """A mailbox with a torn tail, one without an index."""

    def action(self, tell: Tell) -> None:
        for user in self.users:
            try:
                self.store.open_maildrop(user).close()
            except OSError:
                return


class RepairByAppend(_Torn):
    """The same."""

    def stage(self) -> None:
        self.mail("both", ["alice", "bob"])


class ForeignByAppend(Story):
    """Another program appended, and left its record unfinished; a third one dropped a file."""

    def spoil(self) -> None:
        with (self.data / "bob" / "mymailbox").open("ab") as file:
            file.write(FOREIGN[:-1])
        self.sure["bob"].append(b"Subject: foreign\r\n\r\nIt is me.\r\n")
        (self.data / "dropped").write_bytes(FOREIGN)
        os.replace(self.data / "dropped", self.data / "alice" / "mymailbox")
        self.sure["alice"] = [b"Subject: foreign\r\n\r\nIt is me.\r\n"]

    def stage(self) -> None:
        self.mail("both", ["alice", "bob"])


class ForeignAndDelete(ForeignByAppend):
    """The same, seen first by a login that deletes."""

    def spoil(self) -> None:
        super().spoil()
        self.going["bob"].append(("gone", self.sure["bob"].pop(1)))

    def stage(self) -> None:
        """Nothing comes."""

    def action(self, tell: Tell) -> None:
        if self.quit([2]):
            tell("gone")


STORIES: list[type[Story]] = [
    AppendOne,
    AppendBatch,
    AppendToNobody,
    AppendAndSettle,
    AppendToFullJournal,
    Start,
    DeleteAmong,
    DeleteBesideBig,
    DeleteLast,
    DeleteAll,
    RepairByLogin,
    RepairByAppend,
    ForeignByAppend,
    ForeignAndDelete,
]

"""What lies on a disk, or will: headers, mailboxes, lists of users, settings."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from zlib import crc32

from tests.dialogs import dialog as dialogs
from tests.fuzz import grammar
from tests.fuzz.target import Target

from mailserver.accounts import users_list
from mailserver.message import header
from mailserver.message.downgrade import AsciiHeader
from mailserver.settings import toml_file
from mailserver.store import index, mbox
from mailserver.store.base import Delivery, MailboxUnusable
from mailserver.store.files import FileStore


class Header(Target):
    """A message's header, read and made ASCII, whole and in pieces."""

    seeds = (
        b"From: a@b\nSubject: =?utf-8?q?=C3=BC?= =?iso-8859-1?b?/A==?=\n x\n\nbody\n",
        b'From me\nSubject : x\nTo: \xc3\xbc <a@b>, "c" <d@e>, g: h@i;\n\n',
        b'Content-Type: text/plain; name="\xc3\xbc.txt"; x=y\nX-Y: \xff\n\n',
    )
    words = (
        b"Subject:",
        b"From ",
        b"To:",
        b"=?utf-8?q?",
        b"?=",
        b"=?x?b?",
        b"\n ",
        b'"',
        b"<",
        b";a=",
    )
    end = b"\n"

    def check(self, data: bytes) -> None:
        content = data.replace(b"\r", b"")
        found = header.read_header(content)
        assert 0 <= found.after_subject <= found.end <= len(content)
        wire = content.replace(b"\n", b"\r\n")
        whole, cut = AsciiHeader(), AsciiHeader()
        made = whole.take(wire) + whole.end()
        half = len(wire) // 2
        assert cut.take(wire[:half]) + cut.take(wire[half:]) + cut.end() == made
        assert made.replace(b"\r\n", b"").count(b"\n") == 0


class Mbox(Target):
    """A mailbox file's octets: quoting comes off as it went on, and reads the same in pieces."""

    seeds = (
        b"From a@b Mon Nov 23 14:05:09 2026\nSubject: x\n\n>From y\n>>From z\n\nFrom c\n\n",
        b"From x\r\nStatus: RO\r\nContent-Length: 9\r\n\r\n\r\nFrom y\r\n",
        b"\n\n\nFrom \n\nFrom \n",
    )
    words = (b"From ", b">", b"Status: x", b"Content-Length: 99", b"text", b"\r", b"\0", b"\xff")
    end = b"\n"

    def check(self, data: bytes) -> None:
        half = len(data) // 2
        starts = list(mbox.record_starts([data]))
        assert starts == list(mbox.record_starts([data[:half], data[half:]]))
        assert all(data[start:].startswith(b"From ") for start in starts)
        for start, end in zip(starts, [*starts[1:], len(data)], strict=False):
            record = data[start:end]
            first, last = mbox.message_span(record)
            reader = mbox.ContentReader()
            middle = (first + last) // 2
            read = reader.read(record[first:middle]) + reader.read(record[middle:last])
            assert read + reader.end() == mbox.read_record(record)
            assert len(mbox.digest([record])) == mbox.DIGEST_OCTETS
        content = data.replace(b"\r", b"")
        stored = b"From x\n" + mbox.quote(content) + b"\n"
        if content.endswith(b"\n"):
            assert mbox.read_record(stored) == content.replace(b"\n", b"\r\n")
            assert list(mbox.record_starts([stored])) == [0]


class IndexFile(Target):
    """An index file's octets: entries that join, or none."""

    seeds = (
        index.pack_header(7, 60, 1)
        + index.pack(
            [index.Entry(0, 20, 15, b"a" * 12, 1, 9), index.Entry(20, 40, 30, b"b" * 12, 1, 8)]
        ),
        index.pack_header(7, 0, 1),
    )

    def check(self, data: bytes) -> None:
        found = index.unpack(data, 7)
        for one, other in zip(found.entries, found.entries[1:], strict=False):
            assert one.end == other.offset
        assert len({entry.unique_id for entry in found.entries}) == len(found.entries)


class Mailbox(Target):
    """Any octets as `mymailbox`, and any as its index, under the real store: they are listed and
    read, a message comes behind them, one is deleted, and the sizes are what is sent."""

    share = 1.0
    seeds = tuple(Mbox.seeds)
    words = Mbox.words
    end = b"\n"
    batch = 100

    @cached_property
    def folder(self) -> Path:
        return self.stack.enter_context(grammar.memory_folder())

    def check(self, data: bytes) -> None:
        foreign, _, indexed = data.partition(b"\xff")
        folder = self.folder / "bob"
        folder.mkdir(exist_ok=True)
        if crc32(foreign) % 2:  # a new file, or the old one, written over
            (folder / "mymailbox").unlink(missing_ok=True)
        (folder / "mymailbox").write_bytes(foreign)
        if indexed:
            found = (folder / "mymailbox").stat()
            header = index.pack_header(found.st_ino, found.st_size, found.st_ctime_ns)
            (folder / ".index").write_bytes(header + indexed)
        store = FileStore(self.folder, lambda: 0.0, reserve_octets=0)
        try:
            self._read(store)
            new = b"Subject: new\r\n\r\nFrom x\r\n"
            self._append(store, new)
            found = self._read(store)
            assert found[-1] == new
            self._delete(store)
            assert self._read(store)[-1:] == (found[1:])[-1:]
        finally:
            store.close()

    @staticmethod
    def _read(store: FileStore) -> list[bytes | None]:
        found: list[bytes | None] = []
        maildrop = store.open_maildrop("bob")
        try:
            for number, octets in enumerate(maildrop.octets, 1):
                try:
                    content = b"".join(maildrop.content(number))
                except MailboxUnusable:  # another program wrote over it, not over the last one
                    assert number < len(maildrop.octets)
                    found.append(None)
                    continue
                assert len(content) == octets, (number, octets, content)
                assert maildrop.content_at_hand(number) in (None, content)
                found.append(content)
            assert len(set(maildrop.unique_ids)) == len(maildrop.octets)
            return found
        finally:
            maildrop.close()

    @staticmethod
    def _append(store: FileStore, content: bytes) -> None:
        staging = store.stage()
        staging.write(content)
        message = staging.finish()
        delivery = Delivery("bob", b"From a@b x\n", message.header_block, message.body)
        assert all(store.append([(delivery,)]))
        staging.discard()

    @staticmethod
    def _delete(store: FileStore) -> None:
        maildrop = store.open_maildrop("bob")
        try:
            maildrop.delete([1])
        finally:
            maildrop.close()


class Users(Target):
    """users.txt: names that can be folders, problems with the number of their line."""

    seeds = (
        b"alice wonderland\nbob  two words\n# no\n\n",
        b"carol {SCRAM-SHA-256}4096,c2FsdA==,AAAA,AAAA\n",
        b"dave $argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2g\n",
        "\ufeffeve pässword\r\n".encode(),
    )
    words = (
        b"alice",
        b" ",
        b"\t",
        b"../",
        b".x",
        b"{SCRAM-SHA-256}",
        b"$argon2id$",
        b",",
        b"=",
        b"#",
    )
    end = b"\n"

    def check(self, data: bytes) -> None:
        found = users_list.parse(data)
        for name in found.credentials:
            assert users_list.is_user_name(name)
            assert name not in (".", "..")
            assert "/" not in name
        lines = data.count(b"\n") + 1
        for problem in found.problems:
            assert problem.isprintable(), problem
            assert 1 <= int(problem.split()[1].rstrip(":")) <= lines


class Settings(Target):
    """mailserver.toml: values, or problems that are one printable line each."""

    share = 2.0
    seeds = (
        (dialogs.FOLDER.parents[1] / "docs" / "mailserver.toml")
        .read_bytes()
        .replace(b"#", b"")[-4000:],
        b'domains = ["a.example", "b.example"]\nmessage_limit = 1000\n[aliases]\nx = ["alice"]\n',
        b"apop = 'always'\nproxies = ['192.0.2.0/24']\nsubject_limit = 'off'\n",
    )
    words = (
        b"apop",
        b" = ",
        b"true",
        b"[aliases]",
        b"1",
        b'"x"',
        b"{",
        b"}",
        b"[",
        b"]",
        b"a.b",
        b"'''",
    )
    end = b"\n"

    @cached_property
    def path(self) -> Path:
        return self.stack.enter_context(grammar.memory_folder()) / toml_file.NAME

    def check(self, data: bytes) -> None:
        self.path.write_bytes(data)
        _, problems = toml_file.read(self.path)
        for problem in problems:
            assert problem.startswith(f"{self.path}:"), problem
            assert problem.isprintable(), problem

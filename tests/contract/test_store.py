"""What `store.base` promises, tested on every backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract import post
from tests.contract.post import CONTENT, MORE, contents, delete, deliver, read, try_deliver

from mailserver.message import header
from mailserver.message.verdict import ACCEPTED, Kind
from mailserver.store.base import MaildropInUse, MailStore, Usage
from mailserver.store.files import FileStore
from mailserver.store.memory import MemoryStore


@dataclass
class Backend:
    store: MailStore
    spoil: Callable[[str], None]
    """From now on this user's mailbox cannot be used."""


def _files(data: Path) -> Iterator[Backend]:
    data.mkdir(exist_ok=True)
    store = FileStore(data, lambda: 0.0, reserve_octets=0)
    yield Backend(store, lambda user: (data / user / "mymailbox").mkdir(parents=True))
    store.close()


def _memory(data: Path) -> Iterator[Backend]:
    store = MemoryStore()
    yield Backend(store, store.unusable.add)


BACKENDS = [_files, _memory]


@pytest.fixture(params=BACKENDS, ids=["files", "memory"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    yield from request.param(tmp_path)


@pytest.fixture
def store(backend: Backend) -> MailStore:
    return backend.store


CONTENTS = {
    "plain": CONTENT,
    "no body": b"Subject: tea\r\n\r\n",
    "no header": b"\r\nAt five.\r\n",
    "From at line starts": b"A: b\r\n\r\nFrom me\r\n>From me\r\n>>From me\r\nxFrom me\r\nFrom\r\n",
    "From behind empty lines": b"A: b\r\n\r\n\r\n\r\nFrom a Mon Nov 23 14:05:09 2026\r\n\r\n\r\n",
    "From at the very end": b"Subject: x\r\n\r\nFrom \r\n",
    "empty lines at the end": b"Subject: x\r\n\r\nx\r\n\r\n\r\n\r\n",
    "8 bit": b"Subject: \xc3\xa4\r\n\r\n\xff\xfe\x80\r\n",
    "status fields": b"Status: RO\r\nX-Status: A\r\nContent-Length: 7\r\nSubject: x\r\n\r\nx\r\n",
    "full stops": b"Subject: x\r\n\r\n.\r\n..\r\n.x\r\n",
    "long line": b"Subject: x\r\n\r\n" + b"x" * 300_000 + b"\r\n",
    "big": b"Subject: x\r\n\r\n" + b"From here to there\r\n" * 60_000,
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_octets_come_back_as_they_were_sent(store: MailStore, content: bytes) -> None:
    expected = deliver(store, "bob", content)
    assert expected.endswith(content[post._header_octets(content) :])
    assert contents(store, "bob") == [expected]


_LINES = st.lists(
    st.sampled_from(
        [b"", b"From x", b">From x", b">>From ", b"From ", b"Fro", b">", b".", b"x\xff y"]
    )
    | st.binary(max_size=12).map(lambda octets: octets.translate(None, b"\r\n\0"))
)


@settings(max_examples=60 * MORE, deadline=None)
@given(bodies=st.lists(_LINES, min_size=1, max_size=4), files=st.booleans())
def test_any_lines_come_back(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[list[bytes]], files: bool
) -> None:
    for backend in (_files if files else _memory)(tmp_path_factory.mktemp("data")):
        sent = [
            deliver(
                backend.store, "bob", b"".join(line + b"\r\n" for line in (b"A: b", b"", *lines))
            )
            for lines in bodies
        ]
        assert contents(backend.store, "bob") == sent


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize("content", CONTENTS.values(), ids=list(CONTENTS))
def test_what_is_staged_can_be_read(store: MailStore, content: bytes, piece: int) -> None:
    staging = post.staged(store, content, piece)
    message = staging.finish()
    head = message.header_block.replace(b"\n", b"\r\n")
    for _ in range(2):
        assert head + b"".join(message.body.read()) == content
    staging.discard()


def test_header_and_body_are_told_apart(store: MailStore) -> None:
    message = post.staged(store, b"Subject: tea\r\nTo: bob\r\n\r\nAt five.\r\n").finish()
    assert message.header is not None
    assert message.header.subject == "tea"
    assert message.header_block == b"Subject: tea\nTo: bob\n"
    assert message.body.octets == len(b"\r\nAt five.\r\n")


@pytest.mark.parametrize(
    "content",
    [
        b"A: b\r\n" * (header.FIELD_LIMIT + 1) + b"\r\n",
        b"A: " + b"x" * header.OCTET_LIMIT + b"\r\n\r\n",
    ],
    ids=["fields", "octets"],
)
def test_a_header_over_the_limits_is_none(store: MailStore, content: bytes) -> None:
    assert post.staged(store, content).finish().header is None


def test_a_header_at_the_limit_is_read(store: MailStore) -> None:
    message = post.staged(store, b"A: b\r\n" * header.FIELD_LIMIT + b"\r\n").finish()
    assert message.header is not None
    assert message.header.fields == header.FIELD_LIMIT


def test_what_is_discarded_is_stored_nowhere(store: MailStore) -> None:
    staging = post.staged(store, CONTENT)
    staging.discard()
    staging.discard()
    assert read(store, "bob") == []


def test_a_mailbox_that_never_had_mail_is_empty(store: MailStore) -> None:
    maildrop = store.open_maildrop("bob")
    assert list(maildrop.octets) == []
    assert list(maildrop.unique_ids) == []
    maildrop.delete([])
    maildrop.close()


def test_messages_are_listed_in_the_order_they_came(store: MailStore) -> None:
    sent = [deliver(store, "bob", b"Subject: %d\r\n\r\nx\r\n" % n) for n in range(20)]
    assert contents(store, "bob") == sent


def test_each_recipient_has_a_copy_and_nobody_else(store: MailStore) -> None:
    verdict, copies = try_deliver(store, ["alice", "bob"])
    assert verdict
    assert copies["alice"] != copies["bob"]
    assert contents(store, "alice") == [copies["alice"]]
    assert contents(store, "bob") == [copies["bob"]]
    assert contents(store, "carol") == []


def test_a_batch_has_a_verdict_for_each(backend: Backend) -> None:
    backend.spoil("bob")
    staged = [post.deposit_of(backend.store, users) for users in (["alice"], ["bob"], ["alice"])]
    verdicts = backend.store.append([deposit for _, deposit, _ in staged])
    assert [verdict.kind for verdict in verdicts] == [
        Kind.ACCEPTED,
        Kind.MAILBOX_UNUSABLE,
        Kind.ACCEPTED,
    ]
    assert contents(backend.store, "alice") == [staged[0][2]["alice"], staged[2][2]["alice"]]


def test_an_empty_batch_is_nothing(store: MailStore) -> None:
    assert store.append([]) == []


def test_all_recipients_get_it_or_none(backend: Backend) -> None:
    backend.spoil("bob")
    verdict, _ = try_deliver(backend.store, ["alice", "bob", "carol"])
    assert verdict.kind is Kind.MAILBOX_UNUSABLE
    assert contents(backend.store, "alice") == []
    assert contents(backend.store, "carol") == []


def test_the_same_delivery_twice_is_two_messages(store: MailStore) -> None:
    """Equal to the octet, but `post.listing` wants their unique ids to differ."""
    staging, deposit, copies = post.deposit_of(store, ["bob"])
    assert all(store.append([deposit, deposit]))
    assert all(store.append([deposit]))
    staging.discard()
    before = read(store, "bob")
    assert [mail.content for mail in before] == [copies["bob"]] * 3
    delete(store, "bob", 1)
    assert read(store, "bob") == before[1:]


def test_a_message_for_nobody_is_kept_nowhere(store: MailStore) -> None:
    staging, deposit, copies = post.deposit_of(store, ["bob"], CONTENT)
    assert store.append([(), deposit, ()]) == [ACCEPTED] * 3
    assert store.append([()]) == [ACCEPTED]
    staging.discard()
    assert contents(store, "bob") == [copies["bob"]]


def test_deleting(store: MailStore) -> None:
    sent = [deliver(store, "bob") for _ in range(5)]
    before = read(store, "bob")
    delete(store, "bob", 1, 3)
    assert read(store, "bob") == [before[1], before[3], before[4]]
    assert [mail.content for mail in before] == sent


@pytest.mark.parametrize("gone", [(1,), (2,), (3,), (1, 2), (2, 3), (1, 3), (3, 1), (1, 2, 3), ()])
def test_deleting_any_of_three(store: MailStore, gone: tuple[int, ...]) -> None:
    for _ in range(3):
        deliver(store, "bob")
    before = read(store, "bob")
    delete(store, "bob", *gone)
    assert read(store, "bob") == [mail for n, mail in enumerate(before, 1) if n not in gone]
    later = deliver(store, "bob")
    assert contents(store, "bob")[-1] == later


def test_a_session_sees_the_mailbox_as_it_was_at_login(store: MailStore) -> None:
    first = deliver(store, "bob")
    maildrop = store.open_maildrop("bob")
    second = deliver(store, "bob")
    assert [mail.content for mail in post.listing(maildrop)] == [first]
    maildrop.close()
    assert contents(store, "bob") == [first, second]


@pytest.mark.parametrize("numbers", [(1,), (2,), (1, 2)])
def test_what_arrived_meanwhile_survives_the_deletions(
    store: MailStore, numbers: tuple[int, ...]
) -> None:
    sent = [deliver(store, "bob"), deliver(store, "bob")]
    maildrop = store.open_maildrop("bob")
    late = deliver(store, "bob")
    maildrop.delete(numbers)
    maildrop.close()
    assert contents(store, "bob") == [
        *(content for n, content in enumerate(sent, 1) if n not in numbers),
        late,
    ]


def test_a_maildrop_is_for_one_session_at_a_time(store: MailStore) -> None:
    deliver(store, "bob")
    maildrop = store.open_maildrop("bob")
    with pytest.raises(MaildropInUse):
        store.open_maildrop("bob")
    store.open_maildrop("alice").close()
    assert len(post.listing(maildrop)) == 1
    maildrop.close()
    maildrop.close()
    assert len(read(store, "bob")) == 1


def test_the_last_login_is_remembered(store: MailStore) -> None:
    maildrop = store.open_maildrop("bob")
    assert maildrop.last_login() == 0
    maildrop.note_login(1795442709)
    maildrop.close()
    maildrop = store.open_maildrop("bob")
    assert maildrop.last_login() == 1795442709
    maildrop.close()


def test_closing_twice_does_not_free_the_next_session(store: MailStore) -> None:
    first = store.open_maildrop("bob")
    first.close()
    second = store.open_maildrop("bob")
    first.close()
    with pytest.raises(MaildropInUse):
        store.open_maildrop("bob")
    second.close()


def test_leaving_without_quit_deletes_nothing(store: MailStore) -> None:
    deliver(store, "bob")
    before = read(store, "bob")
    assert read(store, "bob") == before


def test_unique_ids_are_never_used_again(store: MailStore) -> None:
    seen: set[str] = set()
    for _ in range(6):
        deliver(store, "bob")
        deliver(store, "bob")
        mails = read(store, "bob")
        new = {mail.unique_id for mail in mails[-2:]}
        assert not new & seen
        seen |= new
        delete(store, "bob", len(mails))


@pytest.mark.parametrize("user", ["", "..", "../alice", ".mailserver", "a/b", "a\0b"])
def test_files_refuses_what_is_no_plain_name(tmp_path: Path, user: str) -> None:
    for backend in _files(tmp_path / "data"):
        with pytest.raises(ValueError, match="not a user's folder"):
            backend.store.open_maildrop(user)
        with pytest.raises(ValueError, match="not a user's folder"):
            try_deliver(backend.store, ["bob", user])
        assert contents(backend.store, "bob") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_usage_tells_how_full_a_mailbox_is(backend: Backend) -> None:
    assert backend.store.usage("alice") == Usage()
    deliver(backend.store, "alice", CONTENT)
    once = backend.store.usage("alice")
    assert once.messages == 1
    assert once.octets >= len(CONTENT.replace(b"\r\n", b"\n"))
    deliver(backend.store, "alice", CONTENT)
    assert backend.store.usage("alice") == Usage(2 * once.octets, 2)
    delete(backend.store, "alice", 1, 2)
    assert backend.store.usage("alice").messages == 0

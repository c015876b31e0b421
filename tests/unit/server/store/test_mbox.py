"""The mailbox file's form: quoting, where records start, by what a record is recognised."""

from __future__ import annotations

import hashlib
import io
import mailbox
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.post import MORE

from mailserver.store import mbox
from mailserver.store.mbox import ContentReader, Quoter, Unquoter

FROM = b"From alice@mailserver Mon Nov 23 14:05:09 2026\n"

_WORDS = st.sampled_from([b"From ", b"From", b"Fro", b">", b">>", b" ", b"x", b"\n", b"\n\n"])
_OCTETS = st.binary(max_size=4).map(lambda octets: octets.replace(b"\r", b""))
TEXT = st.lists(_WORDS | _OCTETS, max_size=30).map(b"".join)
FOREIGN = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b">From "])).map(b"".join)
CUTS = st.lists(st.integers(1, 7), min_size=1, max_size=8)


def cut(octets: bytes, sizes: list[int]) -> list[bytes]:
    chunks, start, turn = [], 0, 0
    while start < len(octets):
        chunks.append(octets[start : start + sizes[turn % len(sizes)]])
        start += sizes[turn % len(sizes)]
        turn += 1
    return chunks


def stream(coder: Quoter, chunks: list[bytes]) -> bytes:
    return b"".join(coder.encode(chunk) for chunk in chunks) + coder.end()


@pytest.mark.parametrize(
    ("plain", "quoted"),
    [
        (b"", b""),
        (b"From ", b">From "),
        (b"From", b"From"),
        (b"From\n", b"From\n"),
        (b"From\tme\n", b"From\tme\n"),
        (b"from me\n", b"from me\n"),
        (b" From me\n", b" From me\n"),
        (b"From me\n", b">From me\n"),
        (b">From me\n", b">>From me\n"),
        (b">>>From me\n", b">>>>From me\n"),
        (b"> From me\n", b"> From me\n"),
        (b">x>From me\n", b">x>From me\n"),
        (b"x\nFrom a\nFrom b\n\nFrom c", b"x\n>From a\n>From b\n\n>From c"),
        (b"From From From \n", b">From From From \n"),
        (b">", b">"),
        (b"\n>\n", b"\n>\n"),
    ],
)
def test_quoting(plain: bytes, quoted: bytes) -> None:
    assert mbox.quote(plain) == quoted
    assert stream(Quoter(), [plain]) == quoted
    assert stream(Unquoter(), [quoted]) == plain
    for size in range(1, len(quoted) + 1):
        assert stream(Quoter(), cut(plain, [size])) == quoted
        assert stream(Unquoter(), cut(quoted, [size])) == plain


@settings(max_examples=300 * MORE, deadline=None)
@given(text=TEXT, sizes=CUTS)
def test_quoting_in_chunks_is_quoting_the_whole(text: bytes, sizes: list[int]) -> None:
    quoted = mbox.quote(text)
    assert stream(Quoter(), cut(text, sizes)) == quoted
    assert stream(Unquoter(), cut(quoted, sizes)) == text
    assert not any(line.startswith(b"From ") for line in quoted.split(b"\n"))


@settings(max_examples=300 * MORE, deadline=None)
@given(text=TEXT, sizes=CUTS)
def test_unquoting_foreign_text_is_the_same_in_chunks(text: bytes, sizes: list[int]) -> None:
    """A foreign file may have a bare `From ` in its text."""
    assert stream(Unquoter(), cut(text, sizes)) == stream(Unquoter(), [text])


def test_a_long_run_of_quote_signs_is_not_held_back() -> None:
    quoter = Quoter()
    chunk = b">" * 1000
    given_out = sum(len(quoter.encode(chunk)) for _ in range(200))
    assert given_out == 200_000
    assert quoter.encode(b"From x\n") == b">From x\n"


def read_stored(chunks: list[bytes]) -> bytes:
    reader = ContentReader()
    return b"".join(map(reader.read, chunks)) + reader.end()


@settings(max_examples=200 * MORE, deadline=None)
@given(text=TEXT, sizes=CUTS)
def test_the_message_in_a_record_is_what_was_stored(text: bytes, sizes: list[int]) -> None:
    stored = mbox.quote(text)
    expected = text.replace(b"\n", b"\r\n")
    assert read_stored(cut(stored, sizes)) == expected
    if text.endswith(b"\n"):
        assert mbox.read_record(FROM + stored + b"\n") == expected


@settings(max_examples=200 * MORE, deadline=None)
@given(octets=FOREIGN, sizes=CUTS)
def test_foreign_text_with_cr_reads_the_same_in_chunks(octets: bytes, sizes: list[int]) -> None:
    whole = read_stored([octets])
    assert read_stored(cut(octets, sizes)) == whole
    assert mbox.read_record(FROM + octets + b"x\n\n") == read_stored([octets + b"x\n"])
    assert whole.count(b"\n") == whole.count(b"\r\n")


@pytest.mark.parametrize(
    ("file", "starts"),
    [
        (b"", []),
        (b"\n", []),
        (b"no mbox at all\n", []),
        (b"From a\n\nx\n\n", [0]),
        (b"From a\n\nx\n\nFrom b\n\ny\n\n", [0, 11]),
        (b"From a\n\nx\nFrom b\n\ny\n\n", [0]),
        (b"junk\n\nFrom a\n\nx\n\n", [6]),
        (b"\n\nFrom a\n\nx\n\n", [2]),
        (b"\nFrom a\n\nx\n\n", [1]),
        (b"From a\n\n\n\n\nFrom b\n\n", [0, 11]),
        (b"From a\n\nFrom b\n\nFrom c\n\n", [0, 8, 16]),
        (b"From a\n\n>From b\n\n", [0]),
        (b"From a\n\nFrom", [0]),
        (b"From a\n\nContent-Length: 99\n\nx\n\nFrom b\n\n", [0, 31]),
    ],
)
def test_where_records_start(file: bytes, starts: list[int]) -> None:
    for size in range(1, len(file) + 1):
        assert list(mbox.record_starts(cut(file, [size]))) == starts
    assert list(mbox.record_starts([file])) == starts


@settings(max_examples=60 * MORE, deadline=None)
@given(texts=st.lists(TEXT, max_size=5), sizes=st.lists(st.integers(1, 50), min_size=1, max_size=4))
def test_pythons_mailbox_finds_the_same_records(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], sizes: list[int]
) -> None:
    records = [FROM + b"A: b\n\n" + mbox.quote(text + b"\n") + b"\n" for text in texts]
    file = b"".join(records)
    path = tmp_path_factory.mktemp("mbox") / "mymailbox"
    path.write_bytes(file)
    if not texts:
        return  # it has no keys() for an empty file
    theirs = mailbox.mbox(path, create=False)
    starts = list(mbox.record_starts(cut(file, sizes)))
    assert len(theirs) == len(starts) == len(texts)
    ends = [*starts[1:], len(file)]
    for key, start, end in zip(theirs.keys(), starts, ends, strict=True):
        # it takes the record's last line end off
        assert theirs.get_bytes(key, from_=True) + b"\n" == file[start:end]
    theirs.close()


VOLATILE = [
    b"Status: RO\n",
    b"X-Status: A\n",
    b"status: O\n",
    b"X-Keywords: a\n b\n\tc\n",
    b"Content-Length: 12\nLines: 3\n",
    b"X-UID: 7\n",
    b"X-IMAP: 1 2\n",
    b"X-IMAPbase: 1 2\n",
]


@pytest.mark.parametrize("field", VOLATILE)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_status_fields_do_not_change_a_digest(field: bytes, place: int) -> None:
    lines = [b"Return-Path: <a@b>\n", b"Subject: x\n"]
    body = b"\nStatus: this is text\n\n"
    plain = mbox.digest([FROM + b"".join(lines) + body])
    lines.insert(place, field)
    assert mbox.digest([FROM + b"".join(lines) + body]) == plain


@pytest.mark.parametrize(
    "other",
    [
        FROM + b"Subject: y\n\nStatus: a\n\n",
        FROM + b"Subject: x\n\nStatus: b\n\n",
        FROM + b"Subject: x\nStatusx: a\n\nStatus: a\n\n",
        FROM + b"Subject: x\n Status: a\n\nStatus: a\n\n",
        FROM.replace(b"alice", b"alicf") + b"Subject: x\n\nStatus: a\n\n",
        FROM + b"Subject: x\n\nStatus: a\n\n\n",
    ],
)
def test_all_else_changes_a_digest(other: bytes) -> None:
    assert mbox.digest([other]) != mbox.digest([FROM + b"Subject: x\n\nStatus: a\n\n"])


_LINES = st.lists(
    st.sampled_from(
        [b"Status: RO\n", b"x-uid: 1\n", b" more\n", b"\tmore\n", b"A: b\n", b"Lines\n"]
    )
)


@given(_LINES, st.sampled_from([b"", b"\nStatus: a\n", b"Status: a", b" b"]))
def test_what_counts_of_a_header_is_found_line_by_line(lines: list[bytes], end: bytes) -> None:
    """Unique ids are made of it: they have to stay what they are."""
    counted, skipping = [FROM], False
    for line in lines:
        begun = line.lower().startswith((b"status:", b"x-uid:"))
        skipping = begun or (skipping and line[:1] in (b" ", b"\t"))
        counted += [] if skipping else [line]
    plain = hashlib.sha256(b"".join(counted) + end).digest()[: mbox.DIGEST_OCTETS]
    assert mbox.digest([FROM + b"".join(lines) + end]) == plain


def test_a_digest_does_not_depend_on_the_chunks_behind_the_first() -> None:
    record = io.BytesIO(FROM + b"Subject: x\n\n" + b"x\n" * mbox.HEAD_OCTETS)
    head = record.read(mbox.HEAD_OCTETS)
    rest = record.read()
    assert len(mbox.digest([head, rest])) == mbox.DIGEST_OCTETS
    assert mbox.digest([head, *cut(rest, [1000, 1, 77])]) == mbox.digest([head, rest])


def test_a_header_beyond_the_first_chunk_has_a_digest_too() -> None:
    head = FROM + b"Subject: " + b"x" * mbox.HEAD_OCTETS
    first, rest = head[: mbox.HEAD_OCTETS], head[mbox.HEAD_OCTETS :] + b"\nStatus: RO\n\nx\n\n"
    assert mbox.digest([first, rest]) == mbox.digest([first, rest[:3], rest[3:]])


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"From a\n\n", b""),
        (b"From a\n", b""),
        (b"From a", b""),
        (b"From a\nA: b\n\n", b"A: b\r\n"),
        (b"From a\nA: b\n\nx\n\n", b"A: b\r\n\r\nx\r\n"),
        (b"From a\nA: b\n\nx\n\n\n", b"A: b\r\n\r\nx\r\n\r\n"),
        (b"From a\nA: b\n\nx\n", b"A: b\r\n\r\nx\r\n"),
        (b"From a\nA: b\n\nx", b"A: b\r\n\r\nx"),
        (b"From a\nA: b\r\n\r\nx\r\n\n", b"A: b\r\n\r\nx\r\n"),
        (b"From a\n>From b\n>>From c\n\n", b"From b\r\n>From c\r\n"),
    ],
)
def test_the_message_in_a_record(record: bytes, message: bytes) -> None:
    assert mbox.read_record(record) == message


def test_a_real_mbox_file_comes_back(tmp_path: Path) -> None:
    """What Python's mailbox wrote, with its own quoting (mboxo): its text is kept as it is."""
    path = tmp_path / "mbox"
    theirs = mailbox.mbox(path)
    theirs.add(b"Subject: one\n\nFrom here\n")
    theirs.add(b"Subject: two\n\n")
    theirs.close()
    file = path.read_bytes()
    starts = list(mbox.record_starts([file]))
    assert len(starts) == 2
    assert mbox.read_record(file[: starts[1]]) == b"Subject: one\r\n\r\nFrom here\r\n"

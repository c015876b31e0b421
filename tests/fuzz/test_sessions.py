"""Any octets, cut in any way: both servers answer by their grammar or close, and nothing else.

How many examples are tried: FUZZ_EXAMPLES (default 300 a test); `FUZZ_EXAMPLES=100000` for a night.
"""

from __future__ import annotations

import os
import random
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.dialogs import dialog as dialogs
from tests.dialogs.dialog import Dialog
from tests.dialogs.machine import Machine

from mailserver.smtp.service import Limits, Service

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
USERS = {"alice": "wonderland", "bob": "builder"}
DIALOGS = dialogs.all_dialogs()

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# RFC 5321 4.2, with RFC 2034's codes; RFC 1939 3, with multi-line responses.
SMTP_ANSWER = re.compile(rb"(?:(?:([2-5]\d\d)-[\t -~]*\r\n)*[2-5]\d\d [\t -~]*\r\n)+")
POP3_STATUS = re.compile(rb"(?:\+OK|-ERR)(?: [^\0-\x1f\x7f]*)?|\+ [A-Za-z0-9+/]*={0,2}")
SCRAM_CHALLENGE = re.compile(rb"\+ [^\r]{40,}")

SMTP_WORDS = [
    *(b"EHLO c", b"HELO c", b"MAIL FROM:<alice@mailserver>", b"MAIL FROM:<>", b"DATA", b"QUIT"),
    *(
        b"BDAT 3",
        b"BDAT 12 LAST",
        b"BDAT 0 LAST",
        b"BDAT 99999999999999999999",
        b"bdat x",
        b"BDAT ",
    ),
    *(b"STARTTLS", b"AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=", b"AUTH PLAIN", b"AUTH LOGIN =", b"*"),
    *(b"AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPXg=", b"YWxpY2U=", b"EXPN a", b"VRFY bob SMTPUTF8"),
    *("MAIL FROM:<é@bücher.example> SMTPUTF8".encode(), "RCPT TO:<bøb@mailserver>".encode()),
    *(
        b" RET=HDRS",
        b" ENVID=a+2B",
        b" NOTIFY=NEVER",
        b" ORCPT=utf-8;\\x{E5}",
        b" REQUIRETLS",
        b" AUTH=<>",
    ),
    *(b"RCPT TO:<bob@mailserver>", b"RCPT TO:<x@y>", b"RSET", b"NOOP", b"VRFY a", b"HELP"),
    *(
        b" SIZE=1",
        b" BODY=8BITMIME",
        b".",
        b"..",
        b"Subject: x",
        b"From a",
        b"\r\n.\r\n",
        b"<",
        b">",
    ),
]
POP3_WORDS = [
    *(b"USER alice", b"PASS wonderland", b"PASS x", b"CAPA", b"STAT", b"LIST", b"UIDL", b"RETR 1"),
    *(b"TOP 1 0", b"TOP 2 1", b"DELE 1", b"RSET", b"NOOP", b"QUIT", b" 2", b"RETR 2", b"LIST 1"),
    *(b"APOP alice 0123456789abcdef0123456789abcdef", b"STLS", b"UTF8", b"LANG", b"LANG en"),
    *(b"AUTH", b"AUTH PLAIN", b"AUTH PLAIN =", b"AUTH LOGIN", b"AUTH SCRAM-SHA-256"),
    # PLAIN: alice and her password; LOGIN: the same; SCRAM: a first message
    *(b"AGFsaWNlAHdvbmRlcmxhbmQ=", b"YWxpY2U=", b"d29uZGVybGFuZA==", b"biwsbj1hbGljZSxyPWE="),
    *(b"*", b"=", b"AAAA"),
]
OCTETS = [b"\r\n"] * 6 + [
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\xff",
    b"\x16",
    b"\x1b",
    b"9" * 30,
    b"a" * 300,
]


def said(words: list[bytes]) -> st.SearchStrategy[bytes]:
    """Sense and nonsense: whole lines, pieces of lines, octets."""
    line = st.sampled_from(words).map(lambda word: word + b"\r\n")
    piece = st.one_of(line, line, st.sampled_from(words + OCTETS), st.binary(max_size=8))
    return st.lists(piece, max_size=40).map(b"".join)


cuts = st.lists(st.integers(0, 2000), max_size=8)


def pieces(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({min(place, len(data)) for place in places} | {len(data)})
    return [piece for a, b in zip([0, *ends], ends, strict=False) if (piece := data[a:b])]


@contextmanager
def machine(service: Service | None = None) -> Iterator[Machine]:
    """A MailServer with two messages for alice, in memory where there is such a place."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        made = Machine(Path(folder), USERS, service=service)
        made.deliver("alice", b"Subject: one\r\n\r\n.\r\n..\r\ntext\r\n")
        made.deliver("alice", "Subject: zwölf\r\n".encode())
        try:
            yield made
        finally:
            made.close()


# SCRAM's first challenge begins with "r="; its salt is another one on each machine.
SCRAM_CHALLENGE = re.compile(rb"(?m)^334 cj[!-~]+")


def check_smtp(server: Machine, chunks: list[bytes]) -> bytes:
    answer = bytes(server.smtp(chunks).sent)
    assert SMTP_ANSWER.fullmatch(answer), answer
    lines = answer.split(b"\r\n")
    assert all(len(line) + 2 <= 512 for line in lines)
    commands = b"".join(chunks).count(b"\n") + 1
    assert len(answer) <= 200 + commands * 700, "more was said than was asked for"
    return SCRAM_CHALLENGE.sub(b"334 r=", answer)


def check_pop3(server: Machine, chunks: list[bytes]) -> bytes:
    answer = bytes(server.pop3(chunks).sent)
    assert answer.endswith(b"\r\n")
    inside = False
    for line in answer[:-2].split(b"\r\n"):
        assert len(line) + 2 <= 512
        if inside:
            inside = line != b"."
            continue
        assert POP3_STATUS.fullmatch(line), line
        inside = bool(re.fullmatch(rb"\+OK (.* follow|.* follows|\d+ octets|top of message)", line))
    assert not inside, "a multi-line response without an end"
    return answer


@many
@given(said(SMTP_WORDS), cuts)
def test_smtp_answers_any_octets_by_its_grammar(data: bytes, places: list[int]) -> None:
    with machine(Service(Limits(message_octets=200, recipients=2))) as server:
        whole = check_smtp(server, pieces(data, []))
    with machine(Service(Limits(message_octets=200, recipients=2))) as server:
        assert check_smtp(server, pieces(data, places)) == whole


@many
@given(said(POP3_WORDS), cuts)
def test_pop3_answers_any_octets_by_its_grammar(data: bytes, places: list[int]) -> None:
    with machine() as server:
        whole = check_pop3(server, pieces(data, []))
    with machine() as server:
        in_pieces = check_pop3(server, pieces(data, places))
    # each machine has its own salt for SCRAM
    assert SCRAM_CHALLENGE.sub(b"", in_pieces) == SCRAM_CHALLENGE.sub(b"", whole)


@many
@given(st.binary(max_size=2000), cuts)
def test_noise(data: bytes, places: list[int]) -> None:
    with machine() as server:
        check_smtp(server, pieces(data, places))
        check_pop3(server, pieces(data, places))
        assert len(server.messages("alice")) == 2


@many
@given(said(SMTP_WORDS))
def test_a_mailbox_has_as_many_messages_as_were_acknowledged(data: bytes) -> None:
    with machine() as server:
        answer = check_smtp(server, pieces(data, []))
        stored = answer.count(b"OK message stored")
        assert len(server.messages("bob")) + len(server.messages("alice")) - 2 >= stored
        assert len(server.messages("bob")) <= stored


def mutated(dialog: Dialog, chance: random.Random) -> bytes:
    """A dialog's client that has something wrong with it."""
    data = bytearray(dialog.client)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(data) + 1)
        end = min(len(data), place + chance.choice([1, 1, 2, 10, 100]))
        match chance.randrange(6):
            case 0:
                del data[place:end]
            case 1:
                data[place:place] = data[place:end]
            case 2:
                data[place:place] = chance.choice(OCTETS)
            case 3:
                data[place:end] = chance.randbytes(end - place)
            case 4:
                other = chance.choice(DIALOGS).client
                data[place:place] = other[chance.randrange(len(other)) :][:200]
            case 5:
                data[place : place + 1] = bytes([data[place] ^ 0x20]) if place < len(data) else b""
    return bytes(data)


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_dialogs_with_something_wrong(protocol: str) -> None:
    seeds = [dialog for dialog in DIALOGS if dialog.protocol == protocol]
    for number in range(EXAMPLES * 3):
        chance = random.Random(f"{protocol}{number}")
        dialog = chance.choice(seeds)
        data = mutated(dialog, chance)
        places = [chance.randrange(len(data) + 1) for _ in range(chance.randint(0, 4))]
        with machine(dialog.service()) as server:
            check = check_smtp if protocol == "smtp" else check_pop3
            try:
                check(server, pieces(data, places))
            except BaseException:
                print("example", number, dialog.name, data, places)
                raise

"""Any octets, cut in any way: both servers answer by their grammar or close, and nothing else.

How many examples are tried: FUZZ_EXAMPLES (default 300 a test); `FUZZ_EXAMPLES=100000` for a night.
"""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.dialogs import dialog as dialogs
from tests.fuzz.grammar import check_pop3, check_smtp, machine
from tests.fuzz.inputs import LINE_ENDS, OCTETS, POP3_WORDS, SMTP_WORDS, mutated, pieces

from mailserver.smtp.service import Limits, Service

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
DIALOGS = dialogs.all_dialogs()

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def said(words: list[bytes]) -> st.SearchStrategy[bytes]:
    """Sense and nonsense: whole lines, pieces of lines, octets."""
    line = st.sampled_from(words).map(lambda word: word + b"\r\n")
    piece = st.one_of(
        line, line, st.sampled_from([*words, *LINE_ENDS, *OCTETS]), st.binary(max_size=8)
    )
    return st.lists(piece, max_size=40).map(b"".join)


cuts = st.lists(st.integers(0, 2000), max_size=8)


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
    assert in_pieces == whole


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


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_dialogs_with_something_wrong(protocol: str) -> None:
    seeds = [dialog for dialog in DIALOGS if dialog.protocol == protocol]
    others = [dialog.client for dialog in DIALOGS]
    for number in range(EXAMPLES * 3):
        chance = random.Random(f"{protocol}{number}")
        dialog = chance.choice(seeds)
        data = mutated(dialog.client, others, chance)
        places = [chance.randrange(len(data) + 1) for _ in range(chance.randint(0, 4))]
        with machine(dialog.service()) as server:
            check = check_smtp if protocol == "smtp" else check_pop3
            try:
                check(server, pieces(data, places))
            except BaseException:
                print("example", number, dialog.name, data, places)
                raise

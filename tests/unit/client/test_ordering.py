from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailapp.ordering import Order, base_subject, place
from mailapp.summary import Summary

BOB = Summary(
    1, "bob", "2026-11-23 : 10 : 00", "Re: lab", size=300, date="2026-11-23T10:00:00+01:00"
)
ANN = Summary(2, "Ann", "2026-11-22 : 10 : 00", "zoo", size=20, date="")
EVE = Summary(3, "eve", "", "Fwd: [list] Lab", size=300, date="2026-11-23T09:30:00+00:00")


@pytest.mark.parametrize(
    ("order", "numbers"),
    [
        (Order.NUMBER, [1, 2, 3]),
        (Order.DATE, [2, 1, 3]),  # 9:00 and 9:30 in UTC
        (Order.SENDER, [2, 1, 3]),
        (Order.SUBJECT, [1, 3, 2]),
        (Order.SIZE, [2, 1, 3]),
    ],
)
def test_sorted(order: Order, numbers: list[int]) -> None:
    assert [line.summary.number for line in place([EVE, BOB, ANN], order)] == numbers
    backwards = [line.summary.number for line in place([EVE, BOB, ANN], order, is_reversed=True)]
    assert backwards == numbers[::-1]


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("Re: AW: Fwd:  Lab  3", "lab 3"),
        ("[list] re[2]: x", "x"),
        ("re:", "re:"),
        ("[only]", "[only]"),
        ("regards", "regards"),
        ("", ""),
    ],
)
def test_the_subject_itself(subject: str, base: str) -> None:
    assert base_subject(subject) == base


def line(number: int, subject: str = "", own: str = "", *references: str) -> Summary:
    when = f"2026-11-{number:02} : 10 : 00"
    return Summary(number, "x", when, subject, message_id=own, references=references)


def drawn(*lines: Summary, is_reversed: bool = False) -> list[tuple[int, int]]:
    return [(one.summary.number, one.depth) for one in place(lines, Order.THREADS, is_reversed)]


def test_threads_by_references() -> None:
    mail = [
        line(1, "a", "<1>"),
        line(2, "b", "<2>"),
        line(3, "Re: a", "<3>", "<1>"),
        line(4, "other words", "<4>", "<1>", "<3>"),
        line(5, "Re: a", "<5>", "<1>", "<lost>"),
        line(6, "c", "<6>"),
    ]
    threads = [(2, 0), (1, 0), (3, 1), (4, 2), (5, 1), (6, 0)]
    assert drawn(*mail) == threads
    assert drawn(*reversed(mail)) == threads
    backwards = [(6, 0), (1, 0), (3, 1), (4, 2), (5, 1), (2, 0)]
    assert drawn(*mail, is_reversed=True) == backwards


def test_answers_to_a_message_that_is_not_here_stay_together() -> None:
    mail = [line(1, "x", "<1>", "<own>"), line(2, "y"), line(3, "z", "<3>", "<own>", "<more>")]
    assert drawn(*mail) == [(2, 0), (1, 0), (3, 1)]


def test_a_reply_without_references_is_found_by_its_subject() -> None:
    assert drawn(line(1, "Lab"), line(2, "lab"), line(3, "RE: lab")) == [(2, 0), (1, 0), (3, 1)]
    assert drawn(line(1, "Re: lab"), line(2, "Re: lab")) == [(1, 0), (2, 1)]


def test_messages_that_name_each_other() -> None:
    mail = [line(1, "", "<1>", "<2>"), line(2, "", "<2>", "<1>"), line(3, "", "<3>", "<3>")]
    assert sorted(number for number, _ in drawn(*mail)) == [1, 2, 3]


IDS = st.sampled_from(["<1>", "<2>", "<3>", "<4>", ""])
SUBJECTS = st.sampled_from(["", "a", "Re: a", "Re: "])


@given(st.lists(st.tuples(SUBJECTS, IDS, st.lists(IDS, max_size=3)), max_size=28))
def test_every_message_is_placed_once(mail: list[tuple[str, str, list[str]]]) -> None:
    lines = [line(n, subject, own, *refs) for n, (subject, own, refs) in enumerate(mail, 1)]
    for order in Order:
        assert sorted(one.summary.number for one in place(lines, order)) == [
            *range(1, len(lines) + 1)
        ]


def test_a_thread_as_long_as_a_mailbox() -> None:
    chain = [
        Summary(n, "", "", "", message_id=f"<{n}>", references=(f"<{n - 1}>",))
        for n in range(20_000)
    ]
    started = time.process_time()
    assert place(chain, Order.THREADS)[-1].depth == 19_999
    assert time.process_time() - started < 5

from __future__ import annotations

import pytest

from mailapp.manage_mail import VERBS
from mailapp.meter import Meter
from mailapp.typed import UnknownWords, number, split


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("3", ("read", "3")),
        ("5-7", ("read", "5-7")),
        ("d 3", ("delete", "3")),
        ("DEL 3", ("delete", "3")),
        ("u 3", ("undelete", "3")),
        ("$", ("commit", "")),
        ("/from:bob x", ("find", "from:bob x")),
        ("f 3", ("forward", "3")),
        ("F 3", ("whole", "3")),
        ("o date back", ("sort", "date back")),
        ("h 1", ("headers", "1")),
        ("help", ("help", "")),
        ("?", ("help", "")),
        ("quit", ("quit", "")),
    ],
)
def test_words_and_letters(line: str, found: tuple[str, str]) -> None:
    assert split(line, VERBS) == found


@pytest.mark.parametrize("line", ["z", "", "\x1b[A", "deleted 3"])
def test_what_is_no_word(line: str) -> None:
    with pytest.raises(UnknownWords, match="is not known here"):
        split(line, VERBS)


def test_each_letter_means_one_thing() -> None:
    letters = "".join(verb.letters for verb in VERBS)
    assert len(set(letters)) == len(letters)


def test_one_message_and_the_rest() -> None:
    assert number("3 all /tmp/a b", 3) == (3, "all /tmp/a b")
    with pytest.raises(UnknownWords, match="One message at a time"):
        number("1-2", 3)


def test_what_is_done_at_once_says_nothing() -> None:
    said: list[str] = []
    meter = Meter(said.append, "List:")
    meter(5, 10)
    meter.end()
    assert said == []
    meter = Meter(said.append, "", is_said=True)
    for done in (1, 2, 50, 100):
        meter(done, 100)
    meter(0, 0)
    meter.end()
    assert "".join(said) == " 50% 100%\n"

"""What is typed below the screen: a path that Tab completes, and what is said meanwhile."""

from __future__ import annotations

import pytest

from mailapp.compose import Draft
from mailapp.screen.compose_form import Form
from mailapp.screen.desk import Cancel, Desk
from mailapp.screen.keys import Key
from mailapp.screen.mail_list import MailList
from mailapp.screen.news import Completed, Listing, Trouble
from mailapp.screen.paint import Size
from mailapp.screen.wishes import Attach, CompletePath, Job

SIZE = Size(80, 24)
DRAFT = Draft("alice@x", (), "", ())


def press(desk: Desk, *names: str) -> list[object]:
    return [wish for name in names for wish in desk.press(Key(name), SIZE, 0.0)]


def shown(desk: Desk, now: float = 0.0) -> str:
    rows = desk.view(SIZE, now).rows
    return "\n".join("".join(text for _, text in row).rstrip() for row in rows)


def asked(typed: str) -> tuple[Desk, Job]:
    """For a file to attach; so much is typed, and Tab."""
    desk = Desk(Form.of(DRAFT), "mail.example")
    *nothing, job = press(desk, "c-a", *typed, "c-i")
    assert nothing == []
    assert job == CompletePath(typed)
    assert isinstance(job, Job)
    return desk, job


@pytest.mark.parametrize(
    ("offers", "then", "said"),
    [
        ((), "d/a", "Nothing fits."),
        (("d/alpha",), "d/alpha", ""),
        (("d/alpha", "d/alpine/"), "d/alp", "2 fit: alpha  alpine/"),
        (("d/a", "d/a\x1b\n"), "d/a", "2 fit: a  a^[^J"),
    ],
)
def test_a_path_as_far_as_those_that_fit_agree(
    offers: tuple[str, ...], then: str, said: str
) -> None:
    desk, job = asked("d/a")
    assert desk.hear(Completed("d/a", offers), SIZE, 0.0, job) == []
    assert f"{said}\n Attach the file: {then}\nTab complete" in shown(desk)
    assert press(desk, "c-m") == [Attach(DRAFT, then)]


def test_only_what_stands_before_the_cursor_is_completed() -> None:
    desk, job = asked("a")
    press(desk, "z", "left", "c-i")  # these wait
    (again,) = desk.hear(Completed("a", ("ab",)), SIZE, 0.0, job)
    assert again == CompletePath("ab")
    assert isinstance(again, Job)
    desk.hear(Completed("ab", ("abc/",)), SIZE, 0.0, again)
    assert press(desk, "c-m") == [Attach(DRAFT, "abc/z")]


def test_a_newline_in_a_name_is_no_end_of_the_line() -> None:
    desk, job = asked("a")
    desk.hear(Completed("a", ("a\nb",)), SIZE, 0.0, job)
    press(desk, "home", ".", "/", "end", "c")
    assert "Attach the file: ./a^Jbc\n" in shown(desk)
    press(desk, "c-u")
    assert "Attach the file:\n" in shown(desk)


def test_a_slow_disk_can_be_left_alone() -> None:
    desk, job = asked("a")
    assert "Looking for files … Ctrl-C cancels\n Attach the file: a\n" in shown(desk, 0.6)
    assert press(desk, "c-c") == [Cancel()]
    desk.hear(Trouble("Cancelled.", job), SIZE, 0.0, job)
    assert "Cancelled.\n Attach the file: a\n" in shown(desk)


def test_what_asks_for_no_path_completes_none() -> None:
    desk = Desk(MailList.of("alice", Listing(1, 3, 999)), "mail.example")
    assert press(desk, "/", "a", "c-i") == []
    assert "Find: a\nEnter do it" in shown(desk)

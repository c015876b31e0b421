"""Screens as values: what they look like at every size, and where keys lead."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.document import Document

from mailapp.actions import Account
from mailapp.compose import Draft
from mailapp.ordering import Order
from mailapp.render import width, wrapped_words
from mailapp.screen import body_editor, editing
from mailapp.screen.base import Ask, Back, Beneath, Prompt, Say, Screen
from mailapp.screen.compose_form import Form
from mailapp.screen.desk import Cancel, Desk
from mailapp.screen.dialogue import MAX_LINES, Record
from mailapp.screen.help import Keys
from mailapp.screen.keys import PASTE, Key
from mailapp.screen.login import Login
from mailapp.screen.mail_list import MailList
from mailapp.screen.menu import Menu
from mailapp.screen.message import Message
from mailapp.screen.news import Arranged, Left, Lines, Listing, News, Opened, SignedIn, Trouble
from mailapp.screen.paint import Size, body_size
from mailapp.screen.reading import Text
from mailapp.screen.wishes import (
    Arrange,
    Commit,
    Leave,
    Load,
    OpenMail,
    Quit,
    Read,
    Send,
    SignIn,
)
from mailapp.summary import Summary
from mailapp.trace import Line

SIZE = Size(80, 24)
ROOM = body_size(SIZE)
LOREM = "Es war einmal 漢字 e\u0301 " * 40 + "\n\n> quoted\n" + "x" * 500


def summary(number: int, status: str = "new") -> Summary:
    sender, subject = "Ngô 漢字 \u202e", f"subject {number} " + "long " * 20
    return Summary(number, sender, "2026-11-23 : 14 : 05", subject, size=12_345, status=status)


def a_list(count: int, *, has_lines: bool = True) -> MailList:
    made = MailList.of("alice", Listing(1, count, 1234 * count))
    lines = tuple(summary(number) for number in range(1, min(count, 500) + 1))
    return made.with_lines(Lines(1, lines)) if has_lines else made


def pressed(screen: Screen, *names: str) -> Screen:
    for name in names:
        screen, _ = screen.press(Key(name), ROOM)
    return screen


SCREENS: list[Screen] = [
    Menu("mail.example", "alice", "12 messages, 3 new", 1),
    Login("mail.example", editing.field("漢字" * 50), editing.field("secret" * 40), at=1),
    a_list(0),
    a_list(300),
    a_list(100_000, has_lines=False),
    Text("A text", "", LOREM),
    Message("Message 3", "3 of 12", LOREM, top=1, number=3),
    Form.of(Draft("alice@x", ("bob@x",), "s" * 60, tuple(LOREM.split("\n")))),
]


@pytest.mark.parametrize("screen", SCREENS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("size", [(80, 24), (40, 10), (200, 60), (41, 11), (20, 6), (72, 19)])
def test_a_screen_fills_the_terminal_exactly(screen: Screen, size: tuple[int, int]) -> None:
    columns, rows = size
    desk = Desk(screen, "mail.example")
    for notice in ("", "漢字 " * 100):
        desk._notice = notice
        view = desk.view(Size(columns, rows), 0.0)
        assert len(view.rows) == rows
        for row in view.rows:
            text = "".join(part for _, part in row)
            assert width(text.rstrip()) <= columns
            assert "\u202e" not in text
            assert "\n" not in text
        assert 0 <= view.cursor[0] < rows
        assert 0 <= view.cursor[1] < columns


@pytest.mark.parametrize(("columns", "rows"), [(40, 10), (80, 24)])
def test_what_is_said_is_said_to_its_end(columns: int, rows: int) -> None:
    desk = Desk(a_list(300), "mail.example")
    desk.begin(Ask(f"{'word ' * 20}now?", ()), Size(columns, rows), 0.0)
    view = desk.view(Size(columns, rows), 0.0)
    shown = ["".join(part for _, part in row).rstrip() for row in view.rows]
    bottom = next(at for at, row in enumerate(shown) if row.endswith("now?"))
    assert " ".join(shown[bottom - 100 // columns : bottom + 1]).count("word") == 20
    assert view.cursor == (bottom, len(shown[bottom]))
    assert any(row.startswith(">300 N") for row in shown), "the line one is at stays"


def test_a_key_is_explained_once() -> None:
    for screen in SCREENS:
        keys = [row.split("  ")[1] for row in Keys.of(screen).text.split("\n")]
        assert len(keys) == len(set(keys)), keys
        assert any("F1" in key for key in keys)


def test_keys_are_explained_in_80_columns() -> None:
    for screen in SCREENS:
        assert [row for row in Keys.of(screen).text.split("\n") if width(row) > 80] == []


def test_a_narrow_menu_cuts_nothing_off() -> None:
    menu = Menu("mail.example", "alice", "100,307 messages, 1.2 MB")
    assert menu.view(Size(40, 7)).rows[1][0][1].strip() == "> 1  Manage Mail  (100,307 messages)"


def test_the_menu() -> None:
    menu = SCREENS[0]
    assert menu.press(Key("1"), ROOM)[1] == OpenMail()
    assert menu.press(Key("q"), ROOM)[1] == Quit()
    assert pressed(menu, "down").press(Key("c-m"), ROOM)[1] == menu.press(Key("s"), ROOM)[1]
    assert isinstance(pressed(menu, "up", "up", "up"), Menu)


def test_login_asks_for_the_name_first() -> None:
    login: Screen = Login("mail.example")
    login, wish = login.press(Key("c-m"), ROOM)
    assert isinstance(wish, Say)
    login = pressed(login, *"bob", "c-m", *"se cret")
    assert login.press(Key("c-m"), ROOM)[1] == SignIn(Account("bob", "se cret"))
    assert "cret" not in repr(login)


def test_only_lines_near_the_page_are_asked_for() -> None:
    mail = a_list(100_000, has_lines=False)
    load = mail.lacks(ROOM)
    assert load == Load(1, tuple(range(100_001 - (ROOM.rows - 1), 100_001)))
    mail = mail.with_lines(Lines(1, tuple(map(summary, load.numbers))))
    around = mail.lacks(ROOM)
    assert around is not None
    assert max(around.numbers) < min(load.numbers)
    assert len(around.numbers) < 2 * ROOM.rows
    top = pressed(mail, "home")
    assert isinstance(top, MailList)
    assert top.lacks(ROOM) == Load(1, tuple(range(1, ROOM.rows)))
    assert top.with_lines(Lines(0, (summary(1),))) is top, "numbers of another session"


def test_marks_and_leaving() -> None:
    mail = a_list(3)
    assert mail.press(Key("q"), ROOM)[1] == Leave(frozenset())
    mail = pressed(mail, "home", "d", "d", "up", "u")
    assert isinstance(mail, MailList)
    assert mail.marked == {1}
    _, ask = mail.press(Key("q"), ROOM)
    assert isinstance(ask, Ask)
    assert [wish for _, _, wish in ask.choices] == [Leave(frozenset({1})), Leave(frozenset())]
    _, ask = mail.press(Key("$"), ROOM)
    assert isinstance(ask, Ask)
    assert ask.choices[0][2] == Commit(frozenset({1}))


def test_a_number_goes_there() -> None:
    mail = a_list(30)
    _, prompt = mail.press(Key("1"), ROOM)
    assert prompt == Prompt("number", "Message number: ", "1")
    there, _ = mail.answer("number", "17", ROOM)
    assert isinstance(there, MailList)
    assert there.here == 17
    assert isinstance(mail.answer("number", "31", ROOM)[1], Say)


def test_a_text_keeps_its_place_when_the_terminal_changes() -> None:
    text: Screen = Text("t", "", "\n".join(f"line {n} " + "word " * 30 for n in range(100)))
    for _ in range(3):
        text = pressed(text, " ")
    first = text.view(ROOM).rows[0][0][1]
    word = first.split()[0]
    wide = "".join(part for row in text.view(Size(160, 20)).rows[:2] for _, part in row)
    assert word in wide
    assert pressed(text, "G").press(Key("q"), ROOM)[1] == Back()


def test_a_message_moves_the_list_beneath() -> None:
    message = SCREENS[6]
    assert message.press(Key("n"), ROOM)[1] == Beneath(Key("j"), reads=True)
    assert message.press(Key("d"), ROOM)[1] == Beneath(Key("d"), reads=True)


@given(st.text(), st.integers(2, 60))
def test_wrapping_loses_nothing(text: str, columns: int) -> None:
    text = text.replace("\n", "")
    pieces = wrapped_words(text, columns)
    assert "".join(pieces) == text
    assert all(width(piece) <= columns for piece in pieces)


NAMES = ["left", "right", "home", "end", "backspace", "delete", "c-u", "c-k", "c-w", "c-left"]
NAMES += ["c-right", "up", "down", "pageup", "pagedown", "c-m", "c-i", "a", " ", "漢", "\u0301"]


@given(st.lists(st.one_of(st.sampled_from(NAMES).map(Key), st.text().map(lambda t: Key(PASTE, t)))))
def test_any_keys_keep_the_cursor_in_the_text(keys: list[Key]) -> None:
    field, body = Document(), Document()
    for key in keys:
        field = editing.edited(field, key) or field
        body = body_editor.edited(body, key, 20, 5) or body
        assert "\n" not in field.text
        rows, (row, column) = body_editor.layout(body, 20)
        assert 0 <= row < len(rows)
        assert 0 <= column <= width(rows[row])
        text, at = editing.window(field, 10)
        assert width(text) <= 10
        assert 0 <= at < 10


def test_a_form_says_which_field_is_wrong_and_asks_before_it_sends() -> None:
    form: Screen = Form.of(Draft("alice@x", (), "", ()))
    form, say = form.press(Key("c-d"), ROOM)
    assert isinstance(say, Say)
    assert say.text.startswith("To: ")
    form = pressed(form, *"bob@x", "c-i", "c-i", "c-i", *"s" * 51)
    _, say = form.press(Key("c-d"), ROOM)
    assert isinstance(say, Say)
    assert "at most 50" in say.text
    form = pressed(form, "backspace", "down", *"Hi", "c-m", *"you")
    _, ask = form.press(Key("c-d"), ROOM)
    assert isinstance(ask, Ask)
    wish = ask.choices[0][2]
    assert isinstance(wish, Send)
    assert wish.draft == Draft("alice@x", ("bob@x",), "s" * 50, ("Hi", "you"))


# The desk


def hear(desk: Desk, news: News) -> list[object]:
    """As the answer to whatever is under way."""
    job = desk.underway or desk.loading
    return list(desk.hear(news, SIZE, 0.0, job.job if job else None))


def press(desk: Desk, *names: str) -> list[object]:
    return [wish for name in names for wish in desk.press(Key(name), SIZE, 0.0)]


def shown(desk: Desk, now: float = 0.0) -> str:
    rows = desk.view(SIZE, now).rows
    return "\n".join("".join(text for _, text in row).rstrip() for row in rows)


def at_the_list() -> Desk:
    desk = Desk(Login("mail.example"), "mail.example")
    hear(desk, SignedIn(Account("alice", "secret"), "3 messages"))
    assert press(desk, "1") == [OpenMail()]
    assert hear(desk, Listing(1, 3, 999)) == [Load(1, (1, 2, 3))]
    assert hear(desk, Lines(1, tuple(map(summary, (1, 2, 3))))) == []
    return desk


def test_what_takes_long_is_shown_and_can_be_cancelled() -> None:
    desk = at_the_list()
    assert press(desk, "c-m") == [Read(3, "")]
    assert "Ctrl-C" not in shown(desk, 0.4)
    assert "Fetching the message … Ctrl-C cancels" in shown(desk, 0.6)
    assert desk.underway is not None
    assert desk.progress(desk.underway.job, 20_000_000, 50_000_000)
    assert "] 20.0 MB of 50.0 MB  Ctrl-C cancels" in shown(desk, 0.6)
    assert press(desk, "c-c") == [Cancel()]
    hear(desk, Trouble("Cancelled.", Read(3, "")))
    assert "Cancelled." in shown(desk)


def test_a_mailbox_with_marks_is_held() -> None:
    desk = at_the_list()
    assert desk.is_idle
    press(desk, "d")
    assert not desk.is_idle


def test_keys_typed_ahead_wait() -> None:
    desk = at_the_list()
    press(desk, "c-m", "q", "d")
    assert isinstance(desk.top, MailList)
    hear(desk, Opened(3, "text"))
    assert isinstance(desk.top, MailList)
    assert desk.top.marked == {3}
    assert desk.top.lines[3].status == "read"


def test_a_message_that_is_marked_shows_the_next() -> None:
    desk = at_the_list()
    press(desk, "home", "c-m")
    hear(desk, Opened(1, "one"))
    assert press(desk, "d") == [Read(2, "")]
    hear(desk, Opened(2, "two"))
    press(desk, "n")
    hear(desk, Opened(3, "three"))
    assert press(desk, "d") == []
    assert isinstance(desk.top, MailList)
    assert desk.top.marked == {1, 3}


def test_a_lost_list_is_not_fetched_again_by_itself() -> None:
    desk = at_the_list()
    hear(desk, Listing(2, 500, 999))
    load = Load(2, tuple(range(501 - (ROOM.rows - 1), 501)))
    assert hear(desk, Trouble("The connection was lost.", load)) == []
    assert "The connection was lost." in shown(desk)
    press(desk, "up")
    assert desk.lacks(SIZE, 0.0) != []
    hear(desk, Trouble("The connection was lost.", load))
    press(desk, "q")
    leave = Leave(frozenset())
    assert hear(desk, Trouble("The server is away. Nothing was deleted.", leave)) == []
    assert "Nothing was deleted." in shown(desk)


def test_the_order_outlives_the_session() -> None:
    desk = at_the_list()
    assert press(desk, "o", "t") == [Arrange(Order.THREADS, "")]
    hear(desk, Arranged(Order.THREADS, "", (3, 1, 2), {1: 1}))
    press(desk, "l", *"is:new", "c-m")
    hear(desk, Arranged(Order.THREADS, "is:new", (3, 1), {1: 1}))
    assert "2 with is:new — by threads" in shown(desk)
    assert hear(desk, Listing(2, 4, 999)) == [Arrange(Order.THREADS, "is:new")]
    assert desk.loading is not None
    assert desk.progress(desk.loading.job, 1, 4)
    assert "] 1 of 4  Ctrl-C cancels" in shown(desk, 0.6)
    hear(desk, Arranged(Order.THREADS, "is:new", (4, 1), {}))
    assert isinstance(desk.top, MailList)
    assert desk.top.order == (4, 1)
    hear(desk, Listing(3, 2, 999))
    hear(desk, Arranged(Order.THREADS, "is:new", (), {}))
    assert "Nothing fits is:new." in shown(desk)
    assert desk.loading is not None
    assert desk.loading.job == Arrange(Order.THREADS, "")


def test_a_list_on_its_way_can_be_cancelled() -> None:
    desk = at_the_list()
    hear(desk, Listing(2, 500, 999))
    assert press(desk, "c-c") == []
    assert desk.press(Key("c-c"), SIZE, 0.6) == [Cancel()]


def test_a_mailbox_in_use_and_a_wrong_password() -> None:
    desk = at_the_list()
    press(desk, "c")
    hear(desk, Trouble("It is open elsewhere.", OpenMail(), is_in_use=True))
    assert "It is open elsewhere. Try again?" in shown(desk)
    assert press(desk, "y") == [OpenMail()]
    hear(desk, Trouble("Wrong password.", OpenMail(), is_login=True))
    assert isinstance(desk.top, Login)


def test_leaving_says_what_was_deleted() -> None:
    desk = at_the_list()
    assert press(desk, "d", "q", "y") == [Leave(frozenset({3}))]
    hear(desk, Left("1 message deleted.", "2 messages"))
    assert "1 message deleted." in shown(desk)
    assert "(2 messages)" in shown(desk)


def test_the_keys_of_every_screen_have_a_page() -> None:
    for screen in SCREENS:
        desk = Desk(screen, "mail.example")
        press(desk, "f1", "f1")
        assert shown(desk).startswith(" Keys: ")
        press(desk, "q")
        assert desk.top == screen


def test_the_dialogue_follows_until_one_looks_back() -> None:
    record = Record()
    moment = datetime(2026, 11, 24, tzinfo=UTC)
    for number in range(1, MAX_LINES + 11):
        record.hear(Line(moment, "POP3", "C", f"RETR {number}", "TRANSACTION"))
    desk = at_the_list()
    press(desk, "c-m", "P")
    desk.overhear(*record.lines())
    assert f">00:00:00.000 POP3 C: RETR {MAX_LINES + 10}" in shown(desk)
    assert "The whole message" in shown(desk)
    assert press(desk, "c-c") == [Cancel()]
    press(desk, "up")
    record.hear(Line(moment, "POP3", "S", "+OK", "TRANSACTION"))
    desk.overhear(*record.lines())
    assert f">00:00:00.000 POP3 C: RETR {MAX_LINES + 9}" in shown(desk)
    press(desk, "home")
    assert ">00:00:00.000 POP3 C: RETR 12" in shown(desk)
    hear(desk, Opened(3, "the text"))
    press(desk, "q")
    assert "the text" in shown(desk)

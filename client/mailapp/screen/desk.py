"""The screens in a pile, one question or prompt on top, and what is under way. No I/O.

Keys and news go in; `Job`s, `Quit` and `EditOutside` come out for those who can do them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from prompt_toolkit.document import Document

from mailapp import exits
from mailapp.render import visible_line, width
from mailapp.screen import editing, paint, wishes
from mailapp.screen.base import Ask, Back, Beneath, Prompt, Say, Screen, Show, Step, Wish
from mailapp.screen.compose_form import Form
from mailapp.screen.help import Keys
from mailapp.screen.keys import Key
from mailapp.screen.login import Login
from mailapp.screen.mail_list import MailList
from mailapp.screen.menu import Menu
from mailapp.screen.paint import Size, View, line
from mailapp.screen.reading import Message, Text
from mailapp.screen.underway import Underway
from mailapp.screen.wishes import Job, Load, News, Quit
from mailapp.summary import READ

S = TypeVar("S", bound=Screen)
MAX_WAITING_KEYS = 64  # typed ahead while something is under way


@dataclass(frozen=True)
class Cancel(Wish):
    """The person does not want to wait any more."""


class Desk:
    """All of what is seen. `size` is the terminal's."""

    def __init__(self, first: Screen, server: str) -> None:
        self.pile = [first]
        self._server = server
        self._notice = ""
        self._question: Ask | None = None
        self._prompt: tuple[Prompt, Document] | None = None
        self.underway: Underway | None = None
        self._loading: Underway | None = None
        self._waiting: list[Key] = []

    @property
    def top(self) -> Screen:
        """The screen that is seen."""
        return self.pile[-1]

    # What is seen

    def view(self, size: Size, now: float) -> View:
        """The whole terminal."""
        room = paint.body_size(size)
        body = self.top.view(room)
        notice, column, hints = line("", room.columns), None, self.top.hints
        if self._question is not None:
            hints = (*((key, what) for key, what, _ in self._question.choices), ("Esc", "no"))
            notice = line(f" {self._question.text}", room.columns, "question")
            column = min(width(self._question.text) + 1, room.columns - 1)
        elif self._prompt is not None:
            prompt, document = self._prompt
            text, column = editing.window(document, room.columns - width(prompt.label) - 2)
            notice = line(f" {prompt.label}{text}", room.columns, "question")
            column += width(prompt.label) + 1
            hints = (("Enter", "do it"), ("Esc", "never mind"))
        elif words := self._words(now, room.columns):
            notice = line(f" {words}", room.columns, "notice")
        view = paint.frame(self.top.title(), body, notice, hints, size)
        bottom = room.rows + 1
        return view if column is None else replace(view, cursor=(bottom, column))

    def _words(self, now: float, columns: int) -> str:
        for one in (self.underway, self._loading):
            if one is not None and one.is_long(now):
                return one.words(columns - 2)
        return self._notice

    # What comes in

    def press(self, key: Key, size: Size, now: float) -> list[Wish]:
        """A key. While something is under way, it waits; Ctrl-C does not."""
        if self.underway is not None:
            if key.name == "c-c":
                self._waiting.clear()
                return [Cancel()]
            if len(self._waiting) < MAX_WAITING_KEYS:
                self._waiting.append(key)
            return []
        self._notice = ""
        if self._question is not None:
            return self._answer_question(key, size, now)
        if self._prompt is not None:
            return self._type_prompt(key, size, now)
        if key.name == "f1" or (key.name == "?" and not self.top.takes_text):
            is_seen = isinstance(self.top, Keys)
            return [] if is_seen else self._do(Show(Keys.of(self.top)), size, now)
        if key.name == "c-c" and isinstance(self.top, Menu):
            return [Quit(exits.INTERRUPTED)]
        return self._take(self.top.press(key, paint.body_size(size)), size, now)

    def begin(self, wish: Wish, size: Size, now: float) -> list[Wish]:
        """As if the first screen had wished for it."""
        return self._do(wish, size, now)

    def hear(self, news: News, size: Size, now: float) -> list[Wish]:
        """What became of a job; then the keys that waited."""
        is_load = isinstance(news, wishes.Lines) or (
            isinstance(news, wishes.Trouble) and isinstance(news.wish, Load)
        )
        if is_load:
            self._loading = None
        elif self.underway is not None:
            self.underway = None
        out = self._hear(news, size, now)
        while self._waiting and self.underway is None:
            out += self.press(self._waiting.pop(0), size, now)
        return out + self.lacks(size, now)

    def progress(self, done: int, everything: int) -> None:
        """Of what is under way."""
        if self.underway is not None:
            self.underway = replace(self.underway, done=done, everything=everything)

    def lacks(self, size: Size, now: float) -> list[Wish]:
        """What the screen needs to be whole, unless it is on its way."""
        load = self.top.lacks(paint.body_size(size)) if isinstance(self.top, MailList) else None
        if load is None or self._loading is not None:
            return []
        self._loading = Underway(load, now)
        return [load]

    # Keys

    def _take(self, step: Step, size: Size, now: float) -> list[Wish]:
        self.pile[-1], wish = step
        return [] if wish is None else self._do(wish, size, now)

    def _do(self, wish: Wish, size: Size, now: float) -> list[Wish]:
        match wish:
            case Say(text=text):
                self._notice = text
            case Ask():
                self._question = wish
            case Prompt():
                self._prompt = (wish, editing.field(wish.text))
            case Show(screen=screen):
                self.pile.append(screen)
            case Back():
                self.pile.pop()
            case Beneath():
                return self._beneath(wish, size, now)
            case Job():
                self.underway = Underway(wish, now)
                return [wish]
            case _:
                return [wish]
        return []

    def _answer_question(self, key: Key, size: Size, now: float) -> list[Wish]:
        assert self._question is not None
        question, self._question = self._question, None
        for name, _, wish in question.choices:
            if key.name.lower() == name:
                return self._do(wish, size, now)
        if key.name not in {"escape", "c-c", "n", "q"}:
            self._question = question
        return []

    def _type_prompt(self, key: Key, size: Size, now: float) -> list[Wish]:
        assert self._prompt is not None
        prompt, document = self._prompt
        if key.name in {"escape", "c-c"}:
            self._prompt = None
        elif key.name == "c-m":
            self._prompt = None
            room = paint.body_size(size)
            return self._take(self.top.answer(prompt.name, document.text, room), size, now)
        else:
            self._prompt = (prompt, editing.edited(document, key) or document)
        return []

    def _beneath(self, wish: Beneath, size: Size, now: float) -> list[Wish]:
        """The message on top lets the list move; where it cannot, one is back at the list."""
        mail_list = self._find(MailList)
        assert mail_list is not None
        at = self.pile.index(mail_list)
        moved, _ = mail_list.press(wish.key, paint.body_size(size))
        assert isinstance(moved, MailList)
        self.pile[at] = moved
        if not wish.reads:
            self._notice = "Not marked any more."
            return []
        if moved.here == mail_list.here:
            del self.pile[at + 1 :]
            return []
        return self._do(moved.read(moved.here), size, now)

    def _find(self, kind: type[S]) -> S | None:
        return next((one for one in reversed(self.pile) if isinstance(one, kind)), None)

    def _put(self, old: Screen, new: Screen) -> None:
        self.pile[self.pile.index(old)] = new

    # News

    def _hear(self, news: News, size: Size, now: float) -> list[Wish]:
        mail_list, form = self._find(MailList), self._find(Form)
        match news:
            case wishes.SignedIn():
                self.pile = [Menu(self._server, visible_line(news.account.user), news.contents)]
                self._notice = news.said or f"Welcome, {visible_line(news.account.user)}."
            case wishes.Listing():
                self._list(news, mail_list)
            case wishes.Lines() if mail_list is not None:
                self._put(mail_list, mail_list.with_lines(news))
            case wishes.Opened():
                self._open(news, mail_list)
            case wishes.Left():
                self.pile = [
                    replace(menu, contents=news.contents)
                    for menu in self.pile[:1]
                    if isinstance(menu, Menu)
                ]
                self._notice = news.said
            case wishes.Started():
                self.pile.append(Form.of(news.draft))
            case wishes.Edited() if form is not None:
                self._notice = news.said
                if news.text is not None:
                    self._put(form, form.with_body(news.text))
            case wishes.Sent() if form is not None:
                self._sent(news, form)
            case wishes.Trouble():
                return self._trouble(news, mail_list, size, now)
        return []

    def _list(self, listing: wishes.Listing, mail_list: MailList | None) -> None:
        self._notice = listing.said
        if mail_list is not None:
            self._put(mail_list, mail_list.with_listing(listing))
        elif isinstance(menu := self.pile[0], Menu):
            self.pile.append(MailList.of(menu.user, listing))

    def _open(self, news: wishes.Opened, mail_list: MailList | None) -> None:
        if mail_list is None:
            return
        changed = mail_list.with_listing(news.listing) if news.listing else mail_list
        changed = changed.with_status(news.number, READ)
        at = self.pile.index(mail_list)
        aside = f"{news.number:,} of {changed.listing.count:,}"
        self.pile[at:] = [
            changed,
            Message(f"Message {news.number:,}", aside, news.text, number=news.number),
        ]

    def _sent(self, news: wishes.Sent, form: Form) -> None:
        if news.is_sent:
            self.pile.remove(form)
            self._notice = "Sent. " + "; ".join(news.answers)
        else:
            self.pile.append(Text("Not sent", "q: back to the message", "\n".join(news.answers)))

    def _trouble(
        self, news: wishes.Trouble, mail_list: MailList | None, size: Size, now: float
    ) -> list[Wish]:
        self._notice = news.text
        if isinstance(news.wish, Load) and mail_list is not None:
            self._put(mail_list, replace(mail_list, is_stalled=True))
        elif isinstance(news.wish, wishes.Leave) and not news.is_in_use:
            self._notice += " Nothing was deleted."
        if news.is_login:
            user = news.wish.account.user if isinstance(news.wish, wishes.SignIn) else ""
            self.pile = [Login(self._server, editing.field(user), at=1 if user else 0)]
        elif news.is_in_use:
            self._notice = ""
            again = (("y", "try again", news.wish),)
            return self._do(Ask(f"{news.text} Try again?", again), size, now)
        return []

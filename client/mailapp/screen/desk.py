"""The screens in a pile, one question or prompt on top, and what is under way. No I/O.

Keys and news go in; `Job`s, `Quit` and `EditOutside` come out for those who can do them.
"""

from __future__ import annotations

from dataclasses import replace
from os.path import commonprefix
from typing import TypeVar

from prompt_toolkit.document import Document

from mailapp import exits
from mailapp.render import visible_line, width
from mailapp.screen import editing, paint
from mailapp.screen.base import Ask, Back, Beneath, Prompt, Say, Screen, Show, Step, Wish
from mailapp.screen.dialogue import Dialogue
from mailapp.screen.hearing import hear
from mailapp.screen.help import Keys
from mailapp.screen.keys import Key
from mailapp.screen.mail_list import MailList
from mailapp.screen.menu import Menu
from mailapp.screen.news import Completed, News
from mailapp.screen.paint import Size, View, line
from mailapp.screen.pile import Pile
from mailapp.screen.underway import Underway
from mailapp.screen.wishes import CompletePath, Job, Quit
from mailapp.trace import Line
from mailapp.value import value

S = TypeVar("S", bound=Screen)
MAX_WAITING_KEYS = 64  # typed ahead while something is under way
MAX_SHOWN_NAMES = 500  # of files; more do not fit into half a screen


@value(frozen=True)
class Cancel(Wish):
    """The person does not want to wait any more."""


class Desk:
    """All of what is seen. `size` is the terminal's."""

    def __init__(self, first: Screen, server: str) -> None:
        self.pile = Pile(first)
        self._server = server
        self._notice = ""
        self._question: Ask | None = None
        self._prompt: tuple[Prompt, Document] | None = None
        self.underway: Underway | None = None
        self.loading: Underway | None = None
        self._waiting: list[Key] = []
        self._dialogue: Dialogue | None = None  # lies on everything

    @property
    def top(self) -> Screen:
        """The screen that is seen."""
        return self._dialogue or self.pile.top

    @property
    def is_listening(self) -> bool:
        """Whether the dialogue is seen."""
        return self._dialogue is not None

    def overhear(self, forgotten: int, lines: tuple[Line, ...]) -> None:
        """The dialogue as it is now."""
        if self._dialogue is not None:
            self._dialogue = self._dialogue.with_lines(forgotten, lines)

    @property
    def is_idle(self) -> bool:
        """Nothing is under way, and no message is marked to be deleted."""
        return self.underway is None and not self.marked

    @property
    def marked(self) -> frozenset[int]:
        """The messages that are to be deleted."""
        mail_list = self.pile.find(MailList)
        return mail_list.marked if mail_list else frozenset()

    # What is seen

    def view(self, size: Size, now: float) -> View:
        """The whole terminal."""
        room = paint.body_size(size)
        column, hints = None, self.top.hints
        words = self._words(now, room.columns)
        notice = paint.notice(words, room, "notice")
        said = notice if words else []  # above what is asked
        if self._question is not None:
            hints = (*((key, what) for key, what, _ in self._question.choices), ("Esc", "no"))
            notice = [*said, *paint.notice(self._question.text, room, "question")]
            column = min(width(notice[-1][0][1].rstrip()), room.columns - 1)
        elif self._prompt is not None:
            prompt, document = self._prompt
            text, column = editing.window(document, room.columns - width(prompt.label) - 2)
            notice = [*said, line(f" {prompt.label}{text}", room.columns, "question")]
            column += width(prompt.label) + 1
            completes = (("Tab", "complete"),) if prompt.is_path else ()
            hints = (*completes, ("Enter", "do it"), ("Esc", "back"))
        body = self.top.view(Size(room.columns, room.rows + 1 - len(notice)))
        view = paint.frame(self.top.title(), body, notice, hints, size)
        bottom = room.rows + 1
        return view if column is None else replace(view, cursor=(bottom, column))

    def _words(self, now: float, columns: int) -> str:
        for one in (self.underway, self.loading):
            if one is not None and one.is_long(now):
                return one.words(columns - 2)
        return self._notice

    # What comes in

    def press(self, key: Key, size: Size, now: float) -> list[Wish]:
        """A key. While something is under way, it waits; Ctrl-C does not."""
        if self._is_for_dialogue(key):
            self._turn_to_dialogue(key, size)
            return []
        is_long = self.loading is not None and self.loading.is_long(now)
        if key.name == "c-c" and (self.underway is not None or is_long):
            self._waiting.clear()
            return [Cancel()]
        if self.underway is not None:
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
        if key.name == "c-c" and isinstance(self.pile.top, Menu):
            return self._do(self.pile.top.leaving(Quit(exits.INTERRUPTED)), size, now)
        return self._take(self.top.press(key, paint.body_size(size)), size, now)

    def begin(self, wish: Wish, size: Size, now: float) -> list[Wish]:
        """As if the first screen had wished for it."""
        return self._do(wish, size, now)

    def hear(self, news: News, size: Size, now: float, job: Job | None = None) -> list[Wish]:
        """What became of this job; then the keys that waited."""
        if self.loading is not None and job is self.loading.job:
            self.loading = None
        if self.underway is not None and job is self.underway.job:
            self.underway = None
        wish = None
        if isinstance(job, CompletePath) and isinstance(news, Completed):
            self._complete(news)
        else:
            wish = hear(self.pile, news, self._server, paint.body_size(size))
        out = [] if wish is None else self._do(wish, size, now)
        while self._waiting and self.underway is None:
            out += self.press(self._waiting.pop(0), size, now)
        return out + self.lacks(size, now)

    def progress(self, job: Job, done: int, everything: int) -> bool:
        """How far it is; false when nobody waits for this job any more."""
        if self.underway is not None and self.underway.job is job:
            self.underway = replace(self.underway, done=done, everything=everything)
            return True
        if self.loading is not None and self.loading.job is job:
            self.loading = replace(self.loading, done=done, everything=everything)
            return True
        return False

    def lacks(self, size: Size, now: float) -> list[Wish]:
        """What the screen needs to be whole, unless it is on its way."""
        mail_list = self.pile.top
        if not isinstance(mail_list, MailList) or self.underway is not None:
            return []
        load = mail_list.lacks(paint.body_size(size))
        if load is None or self.loading is not None:
            return []
        self.loading = Underway(load, now)
        return [load]

    # Keys

    def _is_for_dialogue(self, key: Key) -> bool:
        """P or F2 opens it, whatever is under way; then it has all keys but Ctrl-C."""
        if self._dialogue is not None:
            return key.name != "c-c"
        is_letter = self._question or self._prompt or self.top.takes_text
        return key.name == "f2" or (key.name == "P" and not is_letter)

    def _turn_to_dialogue(self, key: Key, size: Size) -> None:
        if self._dialogue is None:
            self._dialogue = Dialogue()
            return
        dialogue, wish = self._dialogue.press(key, paint.body_size(size))
        assert isinstance(dialogue, Dialogue)
        self._dialogue = dialogue if wish is None else None

    def _take(self, step: Step, size: Size, now: float) -> list[Wish]:
        screen, wish = step
        self.pile.put(self.pile.top, screen)
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
                self.pile.push(screen)
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
        elif key.name == "c-i" and prompt.is_path:
            return self._do(CompletePath(document.text_before_cursor), size, now)
        else:
            self._prompt = (prompt, editing.edited(document, key) or document)
        return []

    def _complete(self, found: Completed) -> None:
        """The path up to the cursor, as far as all that fit agree; several are shown."""
        assert self._prompt is not None
        prompt, document = self._prompt
        if not found.offers:
            self._notice = "Nothing fits."
            return
        begun = commonprefix(found.offers)  # noqa: RUF071 - of a name, too
        self._prompt = (prompt, Document(begun + document.text_after_cursor, len(begun)))
        if len(found.offers) > 1:
            after = found.typed.rfind("/") + 1
            names = (visible_line(one[after:]) for one in found.offers[:MAX_SHOWN_NAMES])
            self._notice = f"{len(found.offers):,} fit: {'  '.join(names)}"

    def _beneath(self, wish: Beneath, size: Size, now: float) -> list[Wish]:
        """The message on top lets the list move; where it cannot, one is back at the list."""
        mail_list = self.pile.find(MailList)
        assert mail_list is not None
        moved, _ = mail_list.press(wish.key, paint.body_size(size))
        assert isinstance(moved, MailList)
        self.pile.put(mail_list, moved)
        if not wish.reads:
            self._notice = "Not marked any more."
            return []
        if moved.here == mail_list.here:
            self.pile.clear_above(moved)
            return []
        return self._do(moved.read(moved.here), size, now)

"""prompt_toolkit around the desk: keys in, rows out, one worker thread for the office."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from prompt_toolkit.application import Application, run_in_terminal
from prompt_toolkit.data_structures import Point
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import ALL_KEYS, Keys
from prompt_toolkit.layout import Layout, UIContent, UIControl, Window
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from mailapp import editor
from mailapp.job_control import NO_SHELL, has_shell
from mailapp.screen import wishes
from mailapp.screen.base import Say, Wish
from mailapp.screen.desk import Cancel, Desk
from mailapp.screen.dialogue import Record
from mailapp.screen.keys import Key
from mailapp.screen.news import Edited, News, Trouble
from mailapp.screen.office import Office
from mailapp.screen.paint import Row, Size
from mailapp.screen.underway import PATIENCE_SECONDS
from mailapp.screen.wishes import Job

IDLE_SECONDS = 60.0  # then others may have the mailbox
ESCAPE_SECONDS = 0.05  # what follows an Escape sooner belongs to it
REDRAW_SECONDS = 0.2  # progress is drawn no oftener
COLOURS = Style.from_dict(
    {
        "title": "reverse bold",
        "key": "reverse",
        "hint": "",
        "heads": "bold",
        "selected": "reverse",
        "marked": "ansired",
        "new": "bold",
        "old": "bold",
        "answered": "ansigreen",
        "quoted": "ansicyan",
        "label": "bold",
        "notice": "bold",
        "question": "bold ansiyellow",
        "warning": "bold ansired",
        "client": "bold ansiblue",
    }
)
_NOT_OURS = {
    *(Keys.CPRResponse, Keys.Vt100MouseEvent, Keys.WindowsMouseEvent, Keys.ScrollUp),
    *(Keys.ScrollDown, Keys.SIGINT, Keys.Ignore, Keys.Any),
}


class Shell:
    """One run of the full screen."""

    def __init__(
        self, desk: Desk, office: Office, record: Record, first: Wish | None = None
    ) -> None:
        """`first` is done at the start."""
        self._desk = desk
        self._record = record
        record.changed = self._overheard
        self._office = office
        self._first = first
        self._worker = Worker(office)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._nap: asyncio.TimerHandle | None = None
        self._app: Application[int] = Application(
            layout=Layout(Window(_Control(self), always_hide_cursor=False)),
            key_bindings=self._bindings(),
            style=COLOURS,
            include_default_pygments_style=False,
            full_screen=True,
            color_depth=ColorDepth.from_env() or ColorDepth.DEPTH_4_BIT,
        )
        self._app.ttimeoutlen = ESCAPE_SECONDS

    def run(self) -> int:
        """Until the person leaves; returns the exit status."""

        def begin() -> None:
            self._loop = asyncio.get_running_loop()
            if self._first is not None:
                self._serve(self._desk.begin(self._first, self._size, time.monotonic()))

        try:
            return self._app.run(pre_run=begin)
        finally:
            self._office.close()

    @property
    def _size(self) -> Size:
        size = self._app.output.get_size()
        return Size(size.columns, size.rows)

    def rows(self, columns: int, rows: int) -> tuple[list[Row], Point]:
        """What is seen now."""
        size = Size(columns, rows)
        self._desk.overhear(*self._record.lines())
        view = self._desk.view(size, time.monotonic())
        if wanted := self._desk.lacks(size, time.monotonic()):  # to serve is to draw again
            self._serve(wanted)
        made: list[Row] = [
            [(f"class:{style}" if style else "", text) for style, text in row] for row in view.rows
        ]
        return made, Point(x=view.cursor[1], y=view.cursor[0])

    def _overheard(self) -> None:
        """From the thread that talks."""
        if self._desk.is_listening:
            self._app.invalidate()

    def _bindings(self) -> KeyBindings:
        bindings = KeyBindings()

        def pressed(event: KeyPressEvent) -> None:
            for press in event.key_sequence:
                name = press.key.value if isinstance(press.key, Keys) else press.key
                text = press.data if name == Keys.BracketedPaste.value else ""
                self._press(Key(name, text))

        for name in ALL_KEYS:
            if name not in {key.value for key in _NOT_OURS}:
                bindings.add(name, eager=True)(pressed)
        bindings.add(Keys.Any)(pressed)
        return bindings

    def _press(self, key: Key) -> None:
        self._stay_awake()
        if key.name == "c-l":
            self._app.renderer.clear()
        elif key.name == "c-z":
            self._suspend()
        else:
            self._serve(self._desk.press(key, self._size, time.monotonic()))

    def _suspend(self) -> None:
        """To the shell, whatever is under way; when it goes on, the screen is drawn anew."""
        if has_shell():
            self._app.suspend_to_background()
        else:
            self._serve(self._desk.begin(Say(NO_SHELL), self._size, time.monotonic()))

    def _serve(self, wanted: list[Wish]) -> None:
        for wish in wanted:
            match wish:
                case wishes.Quit():
                    self._app.exit(result=wish.status)
                case wishes.EditOutside():
                    self._edit(wish.text)
                case Cancel():
                    self._cancel()
                case Job():
                    self._submit(wish)
        self._app.invalidate()

    def _stay_awake(self) -> None:
        """A mailbox in which nobody does anything, and nothing is marked, is let go."""
        assert self._loop is not None
        if self._nap is not None:
            self._nap.cancel()
        self._nap = self._loop.call_later(IDLE_SECONDS, self._release)

    def _release(self) -> None:
        if self._desk.is_idle:
            self._submit(wishes.Release())

    # Work

    def _submit(self, job: Job) -> None:
        assert self._loop is not None
        loop = self._loop
        amounts = [(0, 0)]  # written by the thread that works
        loop.call_later(PATIENCE_SECONDS, self._tick, job, amounts)
        self._office.note_marks(self._desk.marked)

        def tell(done: int, everything: int) -> None:
            amounts[0] = (done, everything)

        def finish(news: News | BaseException) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits for it
                loop.call_soon_threadsafe(self._hear, job, news)

        self._worker.submit(job, tell, finish)

    def _tick(self, job: Job, amounts: list[tuple[int, int]]) -> None:
        """As long as it lasts, the screen shows how far it is."""
        if self._desk.progress(job, *amounts[0]):
            self._app.invalidate()
            assert self._loop is not None
            self._loop.call_later(REDRAW_SECONDS, self._tick, job, amounts)

    def _hear(self, job: Job, news: News | BaseException) -> None:
        if isinstance(news, BaseException):
            self._app.exit(exception=news)
            return
        self._serve(self._desk.hear(news, self._size, time.monotonic(), job))

    def _cancel(self) -> None:
        """What cannot be hurried is left alone: its thread ends one day, and nobody listens."""
        waited_for = self._desk.loading or self._desk.underway  # which waits for the list
        if waited_for is None:
            return
        job = waited_for.job
        if not self._office.cancel(job):
            self._worker.retire()
            self._worker = Worker(self._office)
            self._hear(job, Trouble("Cancelled.", job))

    # The editor

    def _edit(self, text: str) -> None:
        async def edit() -> None:
            news = await run_in_terminal(lambda: _edited(text), in_executor=True)
            self._serve(self._desk.hear(news, self._size, time.monotonic()))

        self._app.create_background_task(edit())


class Worker:
    """One thread that does jobs one after another."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._is_retired = False
        threading.Thread(target=self._work, daemon=True, name="office").start()

    def submit(
        self,
        job: Job,
        tell: Callable[[int, int], None],
        finish: Callable[[News | BaseException], None],
    ) -> None:
        """Both are called from the thread, `finish` once; a retired worker calls neither."""

        def do() -> None:
            try:
                news: News | BaseException = self._office.perform(job, tell)
            except BaseException as bug:  # noqa: BLE001 - raised again where it is seen
                news = bug
            if not self._is_retired:
                finish(news)

        self._jobs.put(do)

    def retire(self) -> None:
        """What it still does concerns nobody."""
        self._is_retired = True
        self._jobs.put(None)

    def _work(self) -> None:
        while (do := self._jobs.get()) is not None:
            do()


class _Control(UIControl):
    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def is_focusable(self) -> bool:
        return True

    def create_content(self, width: int, height: int) -> UIContent:
        rows, cursor = self._shell.rows(width, height)
        return UIContent(lambda at: list(rows[at]), len(rows), cursor)


def _edited(text: str) -> Edited:
    """In the person's own editor; one that fails changes nothing."""
    try:
        return Edited(editor.edited(text))
    except editor.EditorProblem as problem:
        return Edited(None, str(problem))

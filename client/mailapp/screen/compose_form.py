"""The form of a message: its fields, a counter for the subject, and the text in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, replace
from typing import TypeVar

from prompt_toolkit.document import Document

from mailapp import compose, editor
from mailapp.compose import MAX_SUBJECT_CHARACTERS, Draft, FieldProblem
from mailapp.render import octets, visible_line, width
from mailapp.screen import body_editor, editing
from mailapp.screen.base import Ask, Back, Prompt, Say, Screen, Step
from mailapp.screen.keys import Key
from mailapp.screen.paint import Hints, Row, Size, View, line
from mailapp.screen.wishes import Attach, Complete, Drop, EditOutside, Keep, Send
from mailapp.value import value

T = TypeVar("T")
NAMES = ("From", "To", "Cc", "Bcc", "Subject")
_LABEL_COLUMNS = 9
BODY = len(NAMES)
_EDITOR: Hints = (("Ctrl-E", "editor"),) if editor.is_found() else ()


@value(frozen=True)
class Form(Screen):
    """`fields` are as in NAMES; `at` is the one that is typed into, or BODY."""

    draft: Draft  # what it began with: attachments and the thread it belongs to
    fields: tuple[Document, ...]
    body: Document = field(default_factory=Document)
    at: int = 1
    top: int = 0  # the first row of the body that is shown
    kept: int | None = None  # its number among the drafts
    answers: str = ""  # the unique id of the message that it answers

    takes_text = True
    hints = (
        ("Ctrl-D", "send"),
        ("Tab", "next field"),
        *_EDITOR,
        ("Ctrl-A", "attach"),
        ("F1", "keys"),
        ("Ctrl-C", "leave"),
    )
    more_keys = (
        ("Tab", "next field; in To, Cc, Bcc it completes an address"),
        ("Shift-Tab", "the field before"),
        ("Ctrl-A", "attach a file; Tab completes its path"),
        ("Ctrl-R", "take the last attachment away"),
        ("Ctrl-S", "keep as a draft"),
        ("Ctrl-U Ctrl-K Ctrl-W", "erase to the beginning, to the end, a word"),
        ("Ctrl-C", "leave; cancel what is under way"),
    )

    @classmethod
    def of(cls, draft: Draft, kept: int | None = None, answers: str = "") -> Form:
        """The cursor stands in the first field that is still empty."""
        texts = [
            draft.sender,
            *map(", ".join, (draft.recipients, draft.cc, draft.bcc)),
            draft.subject,
        ]
        fields = tuple(editing.field(text) for text in texts)
        at = next((at for at in (0, 1, 4) if not texts[at]), BODY)
        above = ("",) if kept is None and any(draft.body) else ()  # to write in
        body = Document("\n".join((*above, *draft.body)), 0)
        return cls(draft, fields, body, at, kept=kept, answers=answers)

    def title(self) -> tuple[str, str]:
        """What is written."""
        subject = visible_line(self.fields[4].text.strip())
        return f"Send Mail{': ' if subject else ''}{subject}", ""

    # What is shown

    def view(self, size: Size) -> View:
        """The fields, a rule with the counter, and the text."""
        rows: list[Row] = []
        cursor = (0, 0)
        for at in self._shown_fields(size):
            row, column = self._field_row(at, size.columns)
            if at == self.at:
                cursor = (len(rows), column)
            rows.append(row)
        rows.append(line(self._rule(size.columns), size.columns, "heads"))
        page = max(1, size.rows - len(rows))
        text_rows, (at_row, column) = body_editor.layout(self.body, size.columns)
        top = body_editor.top_for(at_row, self.top, page)
        if self.at == BODY:
            cursor = (len(rows) + at_row - top, column)
        rows += [line(text, size.columns) for text in text_rows[top : top + page]]
        return View(rows, cursor)

    def _rule(self, columns: int) -> str:
        """Between fields and text; what is attached stands in it."""
        attached = [
            f"{visible_line(one.name) or 'a message'} ({octets(len(one.content))})"
            for one in self.draft.attachments
        ]
        words = f"-- attached: {', '.join(attached)} " if attached else ""
        return words + "-" * (columns - width(words))

    def _shown_fields(self, size: Size) -> range:
        """All; on a low screen those around the one that is typed into."""
        room = max(1, min(len(NAMES), size.rows - 3))
        first = max(0, min(self.at, len(NAMES) - 1) - room + 1)
        return range(first, first + room)

    def _field_row(self, at: int, columns: int) -> tuple[Row, int]:
        """The field's row, and the cursor's column in it."""
        label = (">" if at == self.at else " ") + f"{NAMES[at]}:".ljust(_LABEL_COLUMNS)
        count = self._counter() if NAMES[at] == "Subject" else ""
        room = columns - width(label) - width(count)
        text, column = editing.window(self.fields[at], room - 1)
        style = "warning" if "!" in count else "hint"
        return [("label", label), *line(text, room), (style, count)], width(label) + column

    def _counter(self) -> str:
        """How much of the subject is used, and `!` when that is too much."""
        count = len(self.fields[4].text)
        return f" {'! ' * (count > MAX_SUBJECT_CHARACTERS)}{count}/{MAX_SUBJECT_CHARACTERS}"

    # Keys

    def press(self, key: Key, size: Size) -> Step:
        """Typing, moving between fields, and what the bottom row says."""
        if key.name in {"c-i", "s-tab"}:
            return self._tab(is_back=key.name == "s-tab")
        match key.name:
            case "c-d":
                return self._send()
            case "c-c" | "escape":
                return self, self._leave()
            case "c-e":
                return self, EditOutside(self.body.text)
            case "c-a":
                return self, Prompt("attach", "Attach the file: ", is_path=True)
            case "c-s":
                return self, Keep(self.written(), self.kept)
        if key.name == "c-r":
            fewer = replace(self.draft, attachments=self.draft.attachments[:-1])
            return replace(self, draft=fewer), None
        return self._type_body(key, size) if self.at == BODY else self._type_field(key), None

    def _tab(self, is_back: bool) -> Step:
        if is_back:
            return replace(self, at=(self.at - 1) % (BODY + 1)), None
        if self._has_unfinished_address():
            return self, Complete(self.fields[self.at].text)
        return self.to_next(), None

    def _type_field(self, key: Key) -> Form:
        match key.name:
            case "c-m" | "down" | "c-j":
                return replace(self, at=self.at + 1)
            case "up":
                return replace(self, at=max(0, self.at - 1))
        document = editing.edited(self.fields[self.at], key) or self.fields[self.at]
        fields = (*self.fields[: self.at], document, *self.fields[self.at + 1 :])
        return replace(self, fields=fields)

    def _type_body(self, key: Key, size: Size) -> Form:
        page = max(1, size.rows - len(self._shown_fields(size)) - 1)
        if key.name == "up" and body_editor.is_on_first_row(self.body, size.columns):
            return replace(self, at=BODY - 1)
        body = body_editor.edited(self.body, key, size.columns, page) or self.body
        row = body_editor.layout(body, size.columns)[1][0]
        return replace(self, body=body, top=body_editor.top_for(row, self.top, page))

    def with_body(self, text: str) -> Form:
        """What came back from the editor."""
        return replace(self, body=Document(text.rstrip("\n"), 0), top=0, at=BODY)

    def to_next(self) -> Form:
        """The next field."""
        return replace(self, at=(self.at + 1) % (BODY + 1))

    def _has_unfinished_address(self) -> bool:
        """Whether what stands behind the last comma of To, Cc or Bcc is no address yet."""
        if self.at not in {1, 2, 3}:
            return False
        last = self.fields[self.at].text.rpartition(",")[2].strip()
        return bool(last) and "@" not in last

    def completed(self, typed: str, offers: tuple[str, ...]) -> Step:
        """With the address met last; without one, Tab goes on to the next field."""
        if not offers or self.fields[self.at].text != typed:
            return self.to_next(), None
        fields = (*self.fields[: self.at], editing.field(offers[0]), *self.fields[self.at + 1 :])
        also = ", ".join(one.rpartition(",")[2].strip() for one in offers[1:])
        return replace(self, fields=fields), Say(f"Also: {also}") if also else None

    def answer(self, name: str, text: str, size: Size) -> Step:
        """The path of a file to attach."""
        return self, Attach(self.draft, text) if text.strip() else None

    def _leave(self) -> Ask | Back:
        is_begun = any(self.fields[at].text for at in (1, 2, 3, 4)) or bool(self.body.text.strip())
        if not is_begun:
            return Back()
        drop = Drop(self.kept) if self.kept is not None else Back()
        keep = Keep(self.written(), self.kept, leaves=True)
        return Ask(
            "Keep this message as a draft?", (("y", "keep", keep), ("n", "throw away", drop))
        )

    def written(self) -> Draft:
        """As it stands there, right or wrong: for keeping."""
        texts = [one.text.strip() for one in self.fields]
        to, cc, bcc = (
            tuple(one.strip() for one in text.split(",") if one.strip()) for text in texts[1:4]
        )
        body = tuple(self.body.text.split("\n"))
        made = replace(self.draft, sender=texts[0], recipients=to, subject=texts[4], body=body)
        return replace(made, cc=cc, bcc=bcc)

    def _send(self) -> Step:
        """Checked field by field; the first that is wrong is where the cursor goes."""
        try:
            draft = self.checked()
        except _Wrong as wrong:
            return replace(self, at=wrong.at), Say(f"{wrong}.")
        everybody = visible_line(", ".join(draft.envelope))
        return self, Ask(
            f"Send to {everybody}?", (("y", "send", Send(draft, self.kept, self.answers)),)
        )

    def checked(self) -> Draft:
        """As a draft. Raises _Wrong."""
        made = replace(
            self.draft,
            sender=self._value(0, compose.address),
            recipients=self._value(1, compose.addresses),
            cc=self._value(2, compose.addresses, ()),
            bcc=self._value(3, compose.addresses, ()),
            subject=self._value(4, compose.subject),
        )
        try:
            body = tuple(compose.body_line(one) for one in self.body.text.split("\n"))
        except FieldProblem as problem:
            raise _Wrong(BODY, f"Message: {visible_line(str(problem))}") from problem
        return replace(made, body=body)

    def _value(self, at: int, check: Callable[[str], T], empty: T | None = None) -> T:
        text = self.fields[at].text
        if empty is not None and not text.strip():
            return empty
        try:
            return check(text)
        except FieldProblem as problem:
            raise _Wrong(at, f"{NAMES[at]}: {visible_line(str(problem))}") from problem


class _Wrong(Exception):
    """What is wrong with a field, and which it is."""

    def __init__(self, at: int, text: str) -> None:
        super().__init__(text)
        self.at = at

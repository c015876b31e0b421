"""One message, and what is attached to it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from mailapp.render import cut, octets, pad, visible_line
from mailapp.saving import Enclosed, offered, safe_name
from mailapp.screen.base import Ask, Back, Beneath, Prompt, Say, Screen, Show, Step, Wish
from mailapp.screen.keys import Key, moved, top_for
from mailapp.screen.paint import Hints, Row, Size, View, line
from mailapp.screen.reading import BACK, Text
from mailapp.screen.wishes import Answer, OpenOutside, Read, Save, Way
from mailapp.value import value

ANSWERS = {"r": Way.REPLY, "g": Way.REPLY_ALL, "f": Way.FORWARD, "F": Way.FORWARD_WHOLE}
ANSWER_KEYS: Hints = (
    ("r", "reply"),
    ("g", "reply to all"),
    ("f", "forward, quoted"),
    ("F", "forward, whole"),
)


@value(frozen=True)
class Message(Text):
    """A message that was fetched from the list beneath."""

    number: int = 0
    unique_id: str = ""
    enclosed: tuple[Enclosed, ...] = ()

    hints = (
        ("Space", "page"),
        ("n", "next"),
        ("p", "previous"),
        ("d", "delete"),
        ("r", "reply"),
        ("f", "forward"),
        ("v", "attachments"),
        ("s", "save"),
        ("?", "keys"),
        ("q", "back"),
    )
    more_keys = (
        *ANSWER_KEYS,
        ("u", "take the mark away"),
        ("s", "save as a file; Tab completes its path"),
        ("t", "its HTML as text"),
        ("H", "all header lines"),
        ("e", "the source as it came"),
        ("b PgUp", "page back"),
        ("j k arrows", "a line"),
        ("Home G End", "beginning, end"),
    )

    def press(self, key: Key, size: Size) -> Step:
        """`g` answers everybody here; Home goes to the beginning."""
        if key.name in ANSWERS:
            return self, Answer(self.number, self.unique_id, ANSWERS[key.name])
        return super().press(key, size)

    def act(self, key: Key) -> Step:
        """What is done with the message, by itself or by the list beneath."""
        if key.name == "s":
            path = offered(f"message-{self.number}.eml")
            return self, Prompt("save", "Save the message as: ", path, is_path=True)
        wishes: dict[str, Wish] = {
            "n": Beneath(Key("j"), reads=True),
            "p": Beneath(Key("k"), reads=True),
            "d": Beneath(Key("d"), reads=True),
            "u": Beneath(Key("u")),
            "t": Read(self.number, self.unique_id, "HTML"),
            "H": Read(self.number, self.unique_id, "headers"),
            "e": Read(self.number, self.unique_id, "source"),
            "v": self._attachments(),
        }
        return (self, wishes[key.name]) if key.name in wishes else super().act(key)

    def _attachments(self) -> Wish:
        if not self.enclosed:
            return Say("Nothing is attached to this message.")
        return Show(Attachments(self.number, self.unique_id, self.enclosed))

    def answer(self, name: str, text: str, size: Size) -> Step:
        """Where to save it."""
        return self, Save(self.number, self.unique_id, 0, text) if text.strip() else None


@value(frozen=True)
class Attachments(Screen):
    """What is attached: saved, or opened by another program after asking."""

    number: int
    unique_id: str
    enclosed: tuple[Enclosed, ...]
    at: int = 0

    hints: ClassVar[Hints] = (
        ("Enter", "save"),
        ("o", "open"),
        ("?", "keys"),
        ("q", "back"),
    )
    more_keys: ClassVar[Hints] = (
        ("j k arrows", "next, previous"),
        ("s", "save; Tab completes the path"),
    )

    def title(self) -> tuple[str, str]:
        """Whose they are."""
        return f"Attachments of message {self.number:,}", f"{len(self.enclosed)}"

    def view(self, size: Size) -> View:
        """Number, name, kind and octets."""
        top = top_for(self.at, 0, len(self.enclosed), size.rows)
        rows: list[Row] = []
        room = max(10, size.columns - 40)
        for place, one in enumerate(self.enclosed[top : top + size.rows], start=top):
            here = ">" if place == self.at else " "
            name = pad(cut(visible_line(one.name) or "(no name)", room), room)
            kind = visible_line(one.content_type)
            text = f"{here}{one.number:>3} {name} {octets(one.octets):>9}  {kind}"
            rows.append(line(text, size.columns, "selected" if place == self.at else ""))
        return View(rows, (self.at - top, 0))

    @property
    def _here(self) -> Enclosed:
        return self.enclosed[self.at]

    def press(self, key: Key, size: Size) -> Step:
        """Movements, save and open."""
        to = moved(key, self.at, len(self.enclosed), size.rows)
        if to is not None:
            return replace(self, at=to), None
        match key.name:
            case "c-m" | "s":
                return self, Prompt("save", "Save as: ", offered(self._name()), is_path=True)
            case "o":
                name = visible_line(self._name())
                opens = OpenOutside(self.number, self.unique_id, self._here.number)
                text = f"Open {name} with another program? It is as safe as who sent it."
                return self, Ask(text, (("y", "open", opens),))
            case name if name in BACK:
                return self, Back()
        return self, None

    def _name(self) -> str:
        is_message = self._here.content_type == "message/rfc822"
        fallback = "message.eml" if is_message else f"part-{self._here.number}"
        return safe_name(self._here.name or fallback)

    def answer(self, name: str, text: str, size: Size) -> Step:
        """Where to save it."""
        save = Save(self.number, self.unique_id, self._here.number, text)
        return self, save if text.strip() else None

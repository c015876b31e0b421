"""The menu with its three options."""

from __future__ import annotations

from dataclasses import replace

from mailapp.outbox import loss
from mailapp.render import counted, width
from mailapp.screen.base import Ask, Screen, Step, Wish
from mailapp.screen.keys import DOWN, UP, Key
from mailapp.screen.paint import Row, Size, View, line
from mailapp.screen.wishes import OpenMail, Quit, StartDraft
from mailapp.value import value

OPTIONS = (
    ("Manage Mail", "view stored emails", OpenMail()),
    ("Send Mail", "compose and send", StartDraft()),
    ("Quit", "", Quit()),
)


@value(frozen=True)
class Menu(Screen):
    """`at` is the option that Enter takes."""

    server: str
    user: str
    contents: str = ""
    drafts: int = 0
    at: int = 0
    safety: str = ""  # such as `TLS`
    keeps_drafts: bool = True  # when the client ends

    hints = (("1 2 3", "choose"), ("Enter", "take it"), ("?", "keys"), ("q", "quit"))
    more_keys = (("arrows, j, k", "move"), ("m", "Manage Mail"), ("s", "Send Mail"))

    def title(self) -> tuple[str, str]:
        """Where one is, and who."""
        safety = f" ({self.safety})" if self.safety else ""
        return f"mailclient — {self.server}{safety}", self.user

    def view(self, size: Size) -> View:
        """The options, one a row where there is no room for more."""
        is_roomy = size.rows >= 10
        rows: list[Row] = [line("", size.columns)] * (2 if is_roomy else 1)
        cursor = 0
        asides = {0: self.contents, 1: counted(self.drafts, "draft") if self.drafts else ""}
        for at, (name, what, _) in enumerate(OPTIONS):
            words = f" {'>' if at == self.at else ' '} {at + 1}  {name}"
            if what and size.columns >= 60:
                words += f": {what}"
            aside = asides.get(at, "")
            if width(f"{words}  ({aside})") > size.columns:
                aside = aside.partition(", ")[0]
            if aside:
                words += f"  ({aside})"
            if at == self.at:
                cursor = len(rows)
            rows.append(line(words, size.columns, "selected" if at == self.at else ""))
            rows += [line("", size.columns)] * is_roomy
        return View(rows, (cursor, 1))

    def press(self, key: Key, size: Size) -> Step:
        """A number, a first letter, or the arrows and Enter."""
        if key.name in UP | DOWN:
            step = -1 if key.name in UP else 1
            return replace(self, at=(self.at + step) % len(OPTIONS)), None
        for at, (name, _, wish) in enumerate(OPTIONS):
            if key.name in {str(at + 1), name[0].lower()}:
                return replace(self, at=at), self.leaving(wish)
        if key.name in {"c-m", "right", "l"}:
            return self, self.leaving(OPTIONS[self.at][2])
        if key.name == "c-d":
            return self, self.leaving(Quit())
        return self, None

    def leaving(self, wish: Wish) -> Wish:
        """The wish; before a Quit that loses drafts a question."""
        if self.keeps_drafts or not self.drafts or not isinstance(wish, Quit):
            return wish
        return Ask(f"{loss(self.drafts)} Quit?", (("y", "quit", wish),))

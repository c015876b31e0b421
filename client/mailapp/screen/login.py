"""User name and password."""

from __future__ import annotations

from dataclasses import field, replace

from prompt_toolkit.document import Document

from mailapp.actions import Account
from mailapp.screen import editing
from mailapp.screen.base import Say, Screen, Step
from mailapp.screen.keys import Key
from mailapp.screen.paint import Size, View, line
from mailapp.screen.wishes import Quit, SignIn
from mailapp.value import value


@value(frozen=True)
class Login(Screen):
    """`at` is the field that is typed into; the password is shown as stars."""

    server: str
    user: Document = field(default_factory=Document)
    password: Document = field(default_factory=Document, repr=False)
    at: int = 0

    takes_text = True
    hints = (("Enter", "go on"), ("Tab", "other field"), ("Ctrl-C", "quit"), ("F1", "keys"))

    def title(self) -> tuple[str, str]:
        """Whose password it is that is asked for."""
        return f"mailclient — {self.server}", "sign in"

    def view(self, size: Size) -> View:
        """The two fields."""
        rows = [line("", size.columns)]
        cursor = (1, 0)
        fields = (("User name: ", self.user, False), ("Password:  ", self.password, True))
        for at, (label, document, is_hidden) in enumerate(fields):
            text, column = editing.window(document, size.columns - len(label) - 2, is_hidden)
            if at == self.at:
                cursor = (len(rows), 1 + len(label) + column)
            rows.append(line(f" {label}{text}", size.columns))
        return View(rows, cursor)

    def press(self, key: Key, size: Size) -> Step:
        """Enter goes from the name to the password, and then signs in."""
        if key.name in {"c-c", "escape"} or (key.name == "c-d" and not self._here.text):
            return self, Quit()
        if key.name in {"c-i", "s-tab", "up", "down"}:
            return replace(self, at=1 - self.at), None
        if key.name == "c-m":
            return self._enter()
        if document := editing.edited(self._here, key):
            return replace(self, **{("user", "password")[self.at]: document}), None  # type: ignore[arg-type]
        return self, None

    @property
    def _here(self) -> Document:
        return self.password if self.at else self.user

    def _enter(self) -> Step:
        name = self.user.text.strip()
        if not name:
            return replace(self, at=0), Say("Please type your user name.")
        if self.at == 0:
            return replace(self, at=1), None
        return self, SignIn(Account(name, self.password.text))

"""What was written and not sent: to go on with, or to throw away."""

from __future__ import annotations

from dataclasses import replace

from mailapp.outbox import KeptDraft
from mailapp.render import cut, pad, visible_line
from mailapp.screen.base import Ask, Back, Screen, Show, Step
from mailapp.screen.compose_form import Form
from mailapp.screen.keys import Key, moved, top_for
from mailapp.screen.paint import Row, Size, View, line
from mailapp.screen.reading import BACK
from mailapp.screen.wishes import Drop, StartDraft
from mailapp.value import value


@value(frozen=True)
class DraftList(Screen):
    """The first row is a new message, the others are what is kept, the newest first."""

    kept: tuple[KeptDraft, ...]
    at: int = 0

    hints = (("Enter", "write"), ("d", "throw away"), ("?", "keys"), ("q", "back"))
    more_keys = (("j k arrows", "next, previous"),)

    def title(self) -> tuple[str, str]:
        """What they are."""
        return "Send Mail", f"{len(self.kept)} kept"

    def view(self, size: Size) -> View:
        """To whom, and the subject."""
        texts = ["A new message"]
        for draft in (one.draft for one in self.kept):
            to = visible_line(", ".join(draft.envelope)) or "(to nobody yet)"
            subject = visible_line(draft.subject) or "(no subject)"
            texts.append(f"{pad(cut(to, size.columns // 3), size.columns // 3)}  {subject}")
        top = top_for(self.at, 0, len(texts), size.rows)
        rows: list[Row] = []
        for at, text in enumerate(texts[top : top + size.rows], start=top):
            mark, style = (">", "selected") if at == self.at else (" ", "")
            rows.append(line(f"{mark} {text}", size.columns, style))
        return View(rows, (self.at - top, 0))

    def press(self, key: Key, size: Size) -> Step:
        """Movements, Enter, and d."""
        to = moved(key, self.at, len(self.kept) + 1, size.rows)
        if to is not None:
            return replace(self, at=to), None
        if key.name in BACK:
            return self, Back()
        if key.name == "c-m":
            return self, self._write()
        if key.name in {"d", "delete"} and self.at:
            drop = Drop(self.kept[self.at - 1].number)
            return self, Ask("Throw this draft away?", (("y", "throw away", drop),))
        return self, None

    def _write(self) -> Show | StartDraft:
        if not self.at:
            return StartDraft(is_new=True)
        here = self.kept[self.at - 1]
        return Show(Form.of(here.draft, kept=here.number))

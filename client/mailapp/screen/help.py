"""`?`: every key of a screen."""

from __future__ import annotations

from mailapp.render import pad, width
from mailapp.screen.base import Screen
from mailapp.screen.reading import Text


class Keys(Text):
    """A page of its own."""

    @classmethod
    def of(cls, screen: Screen) -> Keys:
        """Its keys, and those that hold everywhere."""
        everywhere = (
            ("Ctrl-C", "cancel what is under way; in the menu: quit"),
            ("F2" if screen.takes_text else "P, F2", "what client and server say to each other"),
            ("Ctrl-L", "draw the screen again"),
            ("F1", "this page" if screen.takes_text else "this page, like ?"),
        )
        keys = [row for row in (*screen.hints, *screen.more_keys) if row[1] != "keys"]
        keys += everywhere
        column = max(width(key) for key, _ in keys) + 2
        lines = [f"  {pad(key, column)}{what}" for key, what in keys]
        return cls(f"Keys: {screen.title()[0]}", "", "\n".join(lines))

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
            ("Ctrl-Z", "to the shell; its `fg` leads back"),
            ("Ctrl-L", "draw the screen again"),
            ("F1", "this page" if screen.takes_text else "this page, like ?"),
        )
        own = dict(screen.hints) | dict(screen.more_keys)  # which say more of the same key
        keys = {key: what for key, what in own.items() if what != "keys"}
        keys |= {key: what for key, what in everywhere if key not in keys}
        column = max(map(width, keys)) + 2
        lines = [f"  {pad(key, column)}{what}" for key, what in keys.items()]
        return cls(f"Keys: {screen.title()[0]}", "", "\n".join(lines))

"""What the list asks before it does something."""

from __future__ import annotations

from mailapp.ordering import Order
from mailapp.render import counted
from mailapp.screen.base import Ask, Say
from mailapp.screen.wishes import Arrange, Commit, Leave

_ORDERS = {
    "n": (Order.NUMBER, "number"),
    "d": (Order.DATE, "date"),
    "f": (Order.SENDER, "from"),
    "s": (Order.SUBJECT, "subject"),
    "z": (Order.SIZE, "size"),
    "t": (Order.THREADS, "threads"),
}


def leaving(marked: frozenset[int]) -> Ask | Leave:
    """What becomes of the marks."""
    if not marked:
        return Leave(frozenset())
    choices = (("y", "delete", Leave(marked)), ("n", "keep all", Leave(frozenset())))
    return Ask(f"Delete {counted(len(marked), 'marked message')}?", choices)


def committing(marked: frozenset[int]) -> Ask | Say:
    """Before what is marked is deleted at once."""
    if not marked:
        return Say("No message is marked: d marks one.")
    text = f"Delete {counted(len(marked), 'message')} now?"
    return Ask(text, (("y", "delete", Commit(marked)),))


def sorting(limit: str) -> Ask:
    """By what; the limit stays."""
    choices = ((key, name, Arrange(order, limit)) for key, (order, name) in _ORDERS.items())
    return Ask("Sort by?", tuple(choices))

"""Addresses that a person may mean, from those that were written to and read."""

from __future__ import annotations

from mailapp.state import State

MAX_OFFERED = 10


def offers(state: State, typed: str) -> list[str]:
    """Forms of the whole field with its last address completed; the one met last comes first.

    Addresses that stand in the field already are not offered again.
    """
    before, comma, beginning = typed.rpartition(",")
    beginning = beginning.strip()
    if not beginning or not beginning.isprintable():
        return []
    already = {one.strip().lower() for one in before.split(",")}
    found = state.addresses(beginning, MAX_OFFERED + len(already))
    left = f"{before}{comma} " if comma else ""
    return [left + one for one in found if one not in already][:MAX_OFFERED]

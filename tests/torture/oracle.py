"""What a mailbox must hold, told by nothing but what was asked and what was answered.

Each happening is a line of JSON, written down before something is asked and after it was answered.
`Oracle` reads them in order, up to the moment of a crash, and then judges what was found:

    asked to store, no answer      0 or 1 copies: the sender will ask again
    stored (250)                   exactly 1, equal to the octet
    asked to delete, no answer     0 or 1
    deleted (+OK)                  0, for ever
    a unique id that was shown     the same for ever, and nobody else's
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple


class Violation(AssertionError):
    """A promise was broken."""


class State(Enum):
    """Of one message in one mailbox."""

    ASKED = "asked to store"
    STORED = "stored"
    LEAVING = "asked to delete"
    DELETED = "deleted"


_LEGAL = {
    State.ASKED: (0, 1),
    State.STORED: (1,),
    State.LEAVING: (0, 1),
    State.DELETED: (0,),
}


class Found(NamedTuple):
    """A message in a mailbox."""

    unique_id: str
    fingerprint: str


def fingerprint(content: bytes) -> str:
    """Of a message as POP3 sends it; no two messages of a run have the same."""
    return hashlib.sha256(content).hexdigest()[:24]


# -- what happens ----------------------------------------------------------------------------------

Copies = Sequence[tuple[str, str]]  # users and fingerprints


def ask_to_store(copies: Copies) -> bytes:
    return _line("ask", copies)


def stored(copies: Copies) -> bytes:
    return _line("stored", copies)


def ask_to_delete(user: str, fingerprints: Iterable[str]) -> bytes:
    return _line("leave", [(user, one) for one in fingerprints])


def deleted(user: str, fingerprints: Iterable[str]) -> bytes:
    return _line("deleted", [(user, one) for one in fingerprints])


def shown(user: str, mails: Iterable[Found]) -> bytes:
    """A POP3 session listed these."""
    return _line("shown", [(user, *mail) for mail in mails])


def _line(what: str, rows: Iterable[Sequence[str]]) -> bytes:
    return json.dumps([what, list(rows)]).encode()


# -- judging ---------------------------------------------------------------------------------------


class Oracle:
    """Knows what happened so far."""

    def __init__(self) -> None:
        self._states: dict[str, dict[str, State]] = defaultdict(dict)
        self._ids: dict[str, dict[str, str]] = defaultdict(dict)  # by fingerprint

    def hear(self, happening: bytes) -> None:
        """One more line."""
        what, rows = json.loads(happening)
        for user, *row in rows:
            self._hear_one(what, user, row)

    def _hear_one(self, what: str, user: str, row: list[str]) -> None:
        states = self._states[user]
        match what, row:
            case "ask", [one]:
                states[one] = State.ASKED
            case "stored", [one] if states[one] is State.ASKED:
                states[one] = State.STORED
            case "leave", [one] if states[one] is not State.DELETED:
                states[one] = State.LEAVING
            case "deleted", [one]:
                states[one] = State.DELETED
            case "shown", [unique_id, one]:
                self._ids[user][one] = unique_id

    @property
    def users(self) -> list[str]:
        """All who were ever sent mail."""
        return sorted(self._states)

    def judge(self, user: str, found: Sequence[Found]) -> None:
        """What POP3 shows. Raises Violation."""
        self.judge_copies(user, [mail.fingerprint for mail in found])
        self.judge_ids(user, found)

    def judge_copies(self, user: str, fingerprints: Iterable[str]) -> None:
        """What is in the mailbox. Raises Violation."""
        states = self._states[user]
        count = Counter(fingerprints)
        if foreign := count.keys() - states.keys():
            raise Violation(f"{user}: {len(foreign)} torn or not theirs: {sorted(foreign)}")
        for one, state in states.items():
            if count[one] not in _LEGAL[state]:
                raise Violation(f"{user}: {one}, {state.value}, is there {count[one]} times")

    def judge_ids(self, user: str, found: Sequence[Found]) -> None:
        """They are what they were. Raises Violation."""
        if len({mail.unique_id for mail in found}) < len(found):
            raise Violation(f"{user}: a unique id twice")
        known = self._ids[user]
        owners = {unique_id: one for one, unique_id in known.items()}
        for unique_id, one in found:
            if known.get(one, unique_id) != unique_id:
                raise Violation(f"{user}: {one} was {known[one]}, is {unique_id}")
            if owners.get(unique_id, one) != one:
                raise Violation(f"{user}: {unique_id} was {owners[unique_id]}'s, is {one}'s")

    def knows(self, user: str, fingerprint: str) -> bool:
        """Somebody was asked to store it."""
        return fingerprint in self._states[user]

    def summary(self) -> Mapping[str, int]:
        """How many messages are in which state."""
        return Counter(state.value for states in self._states.values() for state in states.values())

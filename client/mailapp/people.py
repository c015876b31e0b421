"""Who wrote and to whom: address lists (RFC 5322 3.4) read with bounds, and senders that pretend.

A list is one pass over its characters; nothing nests on the stack. Texts returned are decoded, not
yet visible.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from mailapp.headers import Headers, decode_words
from mailapp.value import value

MAX_PEOPLE = 1000
_ADDRESS_IN_NAME = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}")


@value(frozen=True)
class Person:
    """One mailbox of a list."""

    name: str  # may be empty
    address: str


def people(text: str) -> list[Person]:
    """The mailboxes of a field as it stands there: unfolded, its encoded words not decoded."""
    found: list[Person] = []
    reader = _Reader()
    for character in text:
        if reader.ends_before(character):
            found += reader.taken()
            if len(found) >= MAX_PEOPLE:
                return found
    return [*found, *reader.taken()]


class _Reader:
    """What was read of the mailbox at hand."""

    def __init__(self) -> None:
        self._words: list[str] = []  # outside of brackets: a name, or the address itself
        self._inside: list[str] | None = None  # of the brackets
        self._route = ""
        self._depth = 0  # of comments
        self._is_quoted = self._is_escaped = False

    def ends_before(self, character: str) -> bool:
        """Take the character; true when it ends the mailbox at hand."""
        if self._is_escaped or character == "\\":
            self._is_escaped = not self._is_escaped
            if not self._is_escaped and not self._depth:
                self._keep(character)
        elif self._is_quoted:
            self._is_quoted = character != '"'
            if self._is_quoted or self._inside is not None:
                self._keep(character)
        elif self._depth or character == "(":
            self._depth += {"(": 1, ")": -1}.get(character, 0)
        elif character == '"':
            self._is_quoted = True
            if self._inside is not None:
                self._keep(character)
        else:
            return self._outside(character)
        return False

    def _outside(self, character: str) -> bool:
        is_inside = self._inside is not None
        if character == "<" and not is_inside:
            self._inside = []
        elif character == ">" and is_inside:
            self._close()
        elif character in ",;" and not is_inside:
            return True
        elif character == ":" and not is_inside:
            self._words.clear()  # the name of a group
        else:
            self._keep(character)
        return False

    def _close(self) -> None:
        self._route, self._inside = "".join(self._inside or ()).strip(), None

    def _keep(self, character: str) -> None:
        (self._words if self._inside is None else self._inside).append(character)

    def taken(self) -> list[Person]:
        """The mailbox at hand, if there is one; from here on, the next."""
        if self._inside is not None:
            self._close()
        words = "".join(self._words).strip()
        person = Person(decode_words(words), self._route) if self._route else Person("", words)
        self.__init__()  # type: ignore[misc]
        return [person] if person.address else []


def first_sender(headers: Headers) -> Person:
    """The first mailbox of From; an empty one where there is none."""
    return next(iter(people(headers.raw("from"))), Person("", ""))


def sender(headers: Headers) -> str:
    """Who wrote it: the display name, or the address when there is no name (or a lying one)."""
    person = first_sender(headers)
    return person.name if person.name and "@" not in person.name else person.address


def warnings(headers: Headers, known: Iterable[str] = ()) -> tuple[str, ...]:
    """Why the sender may not be who it seems to be; `known` are addresses met before."""
    person = first_sender(headers)
    found = []
    shown = _ADDRESS_IN_NAME.search(unicodedata.normalize("NFKC", person.name))
    if shown and shown[0].lower() != person.address.lower():
        found.append(f"the name shows the address {shown[0]}, but it is {person.address}")
    if mixed := mixed_word(person.name):
        found.append(f"{mixed} in the name mixes letters of several alphabets that look alike")
    if headers.counts["from"] > 1 or len(people(headers.raw("from"))) > 1:
        found.append("it names more than one sender")
    if twin := looks_like(person.address, known):
        found.append(f"{person.address} looks like {twin}, but is another address")
    elif not person.address.isascii():
        found.append(f"the address holds letters that may imitate others: {_plain(person.address)}")
    return tuple(found)


_ALPHABETS = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})
_MAX_NAME = 500  # characters of a name that are looked at


def mixed_word(text: str) -> str:
    """The first word with letters of two alphabets that are drawn alike; empty for none."""
    if text.isascii():
        return ""
    for word in re.findall(r"\w+", text[:_MAX_NAME]):
        names = {unicodedata.name(letter, "").partition(" ")[0] for letter in word}
        if len(names & _ALPHABETS) > 1:
            return str(word)
    return ""


def looks_like(address: str, known: Iterable[str]) -> str:
    """The known address that this one is not, and is drawn like; empty when there is none."""
    others = [other.lower() for other in known]
    if address.lower() in others:
        return ""
    drawn = _skeleton(address)
    return next((other for other in others if _skeleton(other) == drawn), "")


# The common ones of Unicode's table of confusable characters (UTS 39 4), after NFKC and lower case.
_DRAWN_LIKE = str.maketrans(
    "01аеоросухіјѕԁһԛԝґкмтвнαορτυνικβεηγıļłĺ5$|",
    "olaeopocyxijsdhqwrkmtbhaoptuvikbenyilllssl",
)


def _skeleton(address: str) -> str:
    text = unicodedata.normalize("NFKD", address.lower())
    text = "".join(c for c in text if not unicodedata.combining(c)).translate(_DRAWN_LIKE)
    return text.replace("rn", "m").replace("vv", "w").replace("cl", "d")


def _plain(address: str) -> str:
    """With the domain as the name system has it."""
    local_part, at, domain = address.rpartition("@")
    try:
        return f"{local_part}{at}{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return ascii(address)

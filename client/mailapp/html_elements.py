"""Which elements are open at a place in HTML, and whether what stands there is hidden.

Hidden are the attribute `hidden`, and in the attribute `style` display:none, visibility:hidden and
font-size:0: what senders use for text that filters shall read and people shall not. Rules in a
style sheet are not looked at.
"""

from __future__ import annotations

import html
import re
from dataclasses import replace

from mailapp.value import value

MAX_DEPTH = 200  # elements inside each other; deeper ones count as their parent
_ATTRIBUTE = re.compile(r"""([^\s"'>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]*))?""")
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_ZERO = re.compile(r"0*\.?0*(?:[a-z]+|%)?(?:\s*/.*)?")  # also of `font: 0/0 a`
_KEEPS_ZERO = re.compile(r"[0-9.]+(?:em|ex|ch|%)|smaller|larger|inherit|unset")
_VOID = frozenset(
    "area base br col embed hr img input link meta param source track wbr".split()  # noqa: SIM905
)
_TABLE = frozenset({"table", "caption", "thead", "tbody", "tfoot", "tr", "td", "th"})
_CELLS = frozenset({"td", "th", "caption"})
_ROWS_END = frozenset({"tr", "td", "th"})
# HTML 13.1.2.4: what a start tag ends, and what it cannot see across.
_ENDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "li": (frozenset({"li"}), frozenset({"ul", "ol"}) | _CELLS),
    "dt": (frozenset({"dt", "dd"}), frozenset({"dl"}) | _CELLS),
    "dd": (frozenset({"dt", "dd"}), frozenset({"dl"}) | _CELLS),
    "tr": (_ROWS_END, frozenset({"table"})),
    "td": (_CELLS, frozenset({"table", "tr"})),
    "th": (_CELLS, frozenset({"table", "tr"})),
    "option": (frozenset({"option"}), frozenset({"select"})),
}
_PARAGRAPH_ENDS = (frozenset({"p"}), frozenset({"table"}) | _CELLS)


def attributes(tag: str) -> dict[str, str]:
    """Of a start tag without its brackets: the first of each name, as a browser takes them."""
    found: dict[str, str] = {}
    for name, text in _ATTRIBUTE.findall(tag)[1:]:
        bare = text[1:-1] if text[:1] in {'"', "'"} else text
        found.setdefault(name.lower(), html.unescape(bare))
    return found


@value(frozen=True)
class _Sight:
    """Why text is hidden."""

    is_gone: bool = False  # it and all that is in it
    is_unseen: bool = False  # until something in it is visible again
    is_tiny: bool = False  # until something in it has a size of its own

    def of_child(self, found: dict[str, str]) -> _Sight:
        one = _GONE if "hidden" in found else self
        for declaration in _COMMENT.sub("", found.get("style", "")).lower().split(";"):
            key, _, value = declaration.partition(":")
            one = one._styled(key.strip(), value.replace("!important", "").strip())
        return one

    def _styled(self, key: str, value: str) -> _Sight:
        match key:
            case "display" if value == "none":
                return _GONE
            case "visibility":
                return replace(self, is_unseen=value in {"hidden", "collapse"})
            case "font-size" if not _KEEPS_ZERO.fullmatch(value) or _ZERO.fullmatch(value):
                return replace(self, is_tiny=bool(_ZERO.fullmatch(value)))
            case "font":
                sizes = [word for word in value.split() if word[:1].isdigit()]
                return replace(self, is_tiny=any(_ZERO.fullmatch(word) for word in sizes[-1:]))
        return self


_GONE = _Sight(is_gone=True)
_SEEN = _Sight()


class Elements:
    """The open elements at one place, in order of their tags."""

    def __init__(self) -> None:
        self._names = [""]
        self._sights = [_SEEN]

    @property
    def is_hidden(self) -> bool:
        """Nobody would see a text here."""
        return self._sights[-1] != _SEEN

    def start(self, name: str, found: dict[str, str], is_block: bool) -> None:
        """A start tag with its attributes; it may end elements that are open."""
        if is_block:
            self._end(*_PARAGRAPH_ENDS)
        if name in _ENDS:
            self._end(*_ENDS[name])
        if name not in _VOID and len(self._names) <= MAX_DEPTH:
            sight = self._sights[-1]
            is_changed = sight is not _GONE and ("hidden" in found or "style" in found)
            self._sights.append(sight.of_child(found) if is_changed else sight)
            self._names.append(name)

    def end(self, name: str) -> None:
        """An end tag; one that ends nothing is passed over."""
        self._end(frozenset({name}), frozenset() if name in _TABLE else _CELLS)

    def _end(self, names: frozenset[str], boundaries: frozenset[str]) -> None:
        """The innermost of these and all that is in it; of several names the outermost in sight.

        For a row ends its cells too. Nothing is in sight beyond the boundaries.
        """
        end = 0
        for at in range(len(self._names) - 1, 0, -1):
            name = self._names[at]
            if name in names:
                end = at
                if len(names) == 1:
                    break
            elif name in boundaries:
                break
        if end:
            del self._names[end:], self._sights[end:]

"""HTML as simple text, in one linear pass over chunks.

`html.parser` keeps an unfinished tag or comment and scans it again for each chunk, and takes
quadratic time on some hostile input; a stranger's mail may be just that. This reader keeps only
the last few characters of a chunk, and knows what simple text needs: paragraphs, lists, links,
table rows, preformatted text. Hidden text is dropped, nothing is fetched, and where links really
lead is listed at the end.
"""

from __future__ import annotations

import html
import re
from urllib.parse import urlsplit

from mailapp.html_elements import Elements, attributes
from mailapp.render import width

COLUMNS = 78
_MAX_TAG = 4096  # characters of a tag that are looked at; the rest is skipped
_MAX_ENTITY = 40
# A comment, a tag (quotes may hold a >) or text; each alternative matches without going back.
_TOKEN = re.compile(
    r"""<!--|<([A-Za-z/!?](?:[^>"']|"[^"]{0,4096}"|'[^']{0,4096}')*)(>?)"""
    r"""|(?:[^<]|<(?![A-Za-z/!?]))+"""
)
_TAG_NAME = re.compile(r"/?([A-Za-z][A-Za-z0-9:-]{0,20})")
_SHOWN_HOST = re.compile(r"(?:[a-z]{2,6}://)?((?:[\w-]{1,63}\.){1,8}[a-z]{2,24})(?:[/:?#]|$)", re.I)
_SKIPPED = frozenset({"script", "style", "title"})
_PARAGRAPHS = frozenset(
    {
        *("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl"),
        *("table", "blockquote", "pre", "hr", "form", "section"),
    }
)
_LINES = frozenset(
    {
        *("div", "tr", "li", "dt", "dd", "header"),
        *("footer", "caption", "option", "address", "body"),
    }
)
_CELLS = frozenset({"td", "th"})
_SCHEMES = ("http:", "https:", "mailto:", "ftp:")
MAX_LINKS = 1000  # further ones stand where they are met
_MAX_LINK_TEXT = 200  # characters that are compared with the target


class HtmlText:
    """Feed HTML in chunks; each call returns the text that is certain by now."""

    def __init__(self) -> None:
        self._held = ""
        self._skip_to: re.Pattern[str] | None = None  # the end of what is thrown away
        self._elements = Elements()
        self._links = _Links()
        self._preformatted = False
        self._out = _Paragraphs()

    def feed(self, chunk: str) -> str:
        """Text with newlines only, wrapped at COLUMNS."""
        text = self._held + chunk
        end = _end_of_whole_tokens(text)
        self._held = text[end:]
        self._read(text, end)
        return self._out.taken()

    def close(self) -> str:
        """The rest; ends with a newline."""
        self._read(self._held, len(self._held))
        self._end_link()
        for line in self._links.listed():
            self._out.write_as_it_is(line)
        self._out.end()
        return self._out.taken()

    def _read(self, text: str, end: int) -> None:
        at = 0
        while at < end:
            if self._skip_to is not None:
                found = self._skip_to.search(text, at, end)
                if found is None:
                    self._held = text[max(at, end - _MAX_ENTITY) : end] + self._held
                    return
                at, self._skip_to = found.end(), None
            elif token := _TOKEN.match(text, at, end):
                at = token.end()
                self._token(token)

    def _token(self, token: re.Match[str]) -> None:
        if token[0] == "<!--":
            self._skip_to = re.compile("-->")
        elif token[1] is None:
            if not self._elements.is_hidden:
                self._text(html.unescape(token[0]))
        else:
            if not token[2]:  # longer than what is kept
                self._skip_to = re.compile(">")
            self._tag(token[1])

    def _text(self, text: str) -> None:
        self._links.add_text(text)
        if self._preformatted:
            self._out.write_as_it_is(text)
        else:
            self._out.write_words(text)

    def _tag(self, tag: str) -> None:
        found = _TAG_NAME.match(tag)
        name = found[1].lower() if found else ""
        opens = not tag.startswith("/")
        if name in _SKIPPED and opens:
            self._skip_to = re.compile(f"</{name}[^>]{{0,20}}>", re.IGNORECASE)
            return
        if name == "a":
            self._end_link()
        values = attributes(tag[:_MAX_TAG]) if opens else {}
        if opens:
            self._elements.start(name, values, name in _PARAGRAPHS or name in _LINES)
        else:
            self._elements.end(name)
        if self._elements.is_hidden:
            return
        if opens:
            self._start(name, values)
        self._layout(name, opens)

    def _start(self, name: str, values: dict[str, str]) -> None:
        if name == "a":
            self._links.start(values.get("href", ""))
        elif name == "img" and (text := values.get("alt", "").strip()):
            self._text(f"(picture: {text})")

    def _layout(self, name: str, opens: bool) -> None:
        if name in _PARAGRAPHS:
            self._out.break_line(2)
            self._preformatted = opens and name == "pre"
            if name == "hr":
                self._out.write_as_it_is("-" * 20)
                self._out.break_line(1)
        elif name == "br":
            self._out.feed_line()
        elif name in _LINES:
            self._out.break_line(1)
            if name == "li" and opens:
                self._out.write_as_it_is("- ")
        elif name in _CELLS and opens:
            self._out.next_cell()

    def _end_link(self) -> None:
        if mark := self._links.end():
            self._out.write_words(mark)


class _Links:
    """The link at hand, and the targets of those before it, each once."""

    def __init__(self) -> None:
        self._target = ""
        self._text = ""
        self._numbers: dict[str, int] = {}
        self._shown: dict[str, str] = {}  # target to the host that a lying text shows

    def start(self, target: str) -> None:
        """White space in a target is not part of it; what no browser would open is no link."""
        target = "".join(target.split())
        self._target = target if target.lower().startswith(_SCHEMES) else ""
        self._text = ""

    def add_text(self, text: str) -> None:
        """Of the link at hand, or of none."""
        if self._target and len(self._text) < _MAX_LINK_TEXT:
            self._text = (self._text + text[:_MAX_LINK_TEXT]).lstrip()

    def end(self) -> str:
        """What stands behind the link's text; empty where there is no link."""
        target, self._target = self._target, ""
        if not target:
            return ""
        if target not in self._numbers:
            if len(self._numbers) == MAX_LINKS:
                return f" <{target}>"
            self._numbers[target] = len(self._numbers) + 1
        if lie := _other_host(self._text, target):
            self._shown.setdefault(target, lie)
        return f" [{self._numbers[target]}]"

    def listed(self) -> list[str]:
        """Lines for the end of the text."""
        lines = []
        for target, number in self._numbers.items():
            lie = self._shown.get(target)
            lines.append(f"[{number}] {target}" + (f"  (its text shows {lie}!)" if lie else ""))
        return ["\n\nLinks:", *("\n" + line for line in lines)] if lines else []


def _other_host(text: str, target: str) -> str:
    """The host that a link's text shows although it leads to another; empty where it does not."""
    shown = _SHOWN_HOST.match(text)
    try:
        host = (urlsplit(target).hostname or "") if target.lower().startswith("http") else ""
    except ValueError:
        host = "?"
    if shown is None or not host:
        return ""
    there = shown[1].lower()
    is_same = host == there or host.endswith("." + there) or there.endswith("." + host)
    return "" if is_same else there


def _end_of_whole_tokens(text: str) -> int:
    """Where a tag, an entity or a word at the end may go on in the next chunk."""
    tag = text.rfind("<", max(0, len(text) - _MAX_TAG))
    token = _TOKEN.match(text, tag) if tag >= 0 else None
    if token and ("<!--".startswith(text[tag:]) or (token[1] is not None and not token[2])):
        return tag
    recent = max(0, len(text) - _MAX_ENTITY)
    blank = max(text.rfind(mark, recent) for mark in " \n>")
    if blank >= 0 or not recent:
        return blank + 1
    entity = text.rfind("&", recent)
    return entity if entity >= 0 else len(text)


class _Paragraphs:
    """Words into lines of at most COLUMNS. Newlines are written only before the next words."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._is_empty = True
        self._column = 0
        self._newlines = 0  # wanted before what comes next
        self._space = False

    def taken(self) -> str:
        """What was written since the last call."""
        text = "".join(self._pieces)
        self._pieces.clear()
        return text

    def break_line(self, newlines: int) -> None:
        """At least so many newlines here."""
        self._newlines = max(self._newlines, newlines)
        self._column, self._space = 0, False

    def feed_line(self) -> None:
        """One newline more; of many, two blank lines are left."""
        self.break_line(min(self._newlines + 1, 3))

    def next_cell(self) -> None:
        """A gap to what stands before it in this line."""
        if self._column:
            self.write_as_it_is("  ")

    def write_as_it_is(self, text: str) -> None:
        """Text whose white space counts."""
        if self._newlines >= 2:
            text = text.removeprefix("\n")
        for at, line in enumerate(text.split("\n")):
            if at:
                self.feed_line()
            self._put(line)
        self._space = False

    def write_words(self, text: str) -> None:
        """Text whose white space merely separates words."""
        text = text.replace("\u00a0", " ")
        words = text.split()
        self._space = self._space or text[:1].isspace()
        for word in words:
            if self._space and self._column and self._column + 1 + width(word) > COLUMNS:
                self.break_line(1)
            elif self._space and self._column:
                self._put(" ")
            self._put(word)
            self._space = True
        if words:
            self._space = text[-1:].isspace()

    def end(self) -> None:
        """End the last line."""
        if not self._is_empty:
            self._pieces.append("\n")

    def _put(self, text: str) -> None:
        if not text:
            return
        if not self._is_empty:
            self._pieces.append("\n" * self._newlines)
        self._pieces.append(text)
        self._column += width(text)
        self._newlines, self._is_empty = 0, False

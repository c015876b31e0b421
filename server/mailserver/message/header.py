"""The header block of a message (RFC 5322 2.2), read as far as a server needs it, and bounded.

The server never parses MIME. It finds where the header ends, counts the fields, and reads the
subject; a message may be as broken as it likes, its octets are kept as they came.
"""

from __future__ import annotations

import binascii
import re

from mailserver.wire.value import value

OCTET_LIMIT = 256 * 1024
"""The most octets of a header block."""
FIELD_LIMIT = 1000
"""The most fields of a header block."""

# No two neighbouring quantifiers can take the same octet, so matching is linear in the block's
# length. (Possessive quantifiers would say so, but Debian 12's Python 3.11.2 gets them wrong.)
_FIELD = rb"[!-9;-~]+[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*"
_BLOCK = re.compile(rb"(>*From [^\n]*\n)?(?:" + _FIELD + rb")*")
# Both in lines that have their end in front, which is quicker to find than a line's beginning.
_FIELD_BEGINS = re.compile(rb"\n[^ \t]")
_SUBJECT = re.compile(rb"\nsubject[ \t]*:((?:[^\n]*\n)(?:[ \t][^\n]*\n)*)", re.IGNORECASE)
# Python takes any name for a codec, some of which are slow or warn, and remembers for ever each one
# that it does not find: memory that a sender of names could fill.
_CHARSETS = frozenset(
    (
        *("utf-8", "us-ascii", "ascii", "utf-7", "utf-16", "koi8-r", "koi8-u", "gb2312", "gbk"),
        *(f"iso-8859-{part}" for part in range(1, 17) if part != 12),
        *(f"windows-{page}" for page in range(1250, 1259)),
        *("gb18030", "big5", "hz-gb-2312", "euc-jp", "iso-2022-jp", "shift_jis", "euc-kr"),
        *("iso-2022-kr", "ks_c_5601-1987", "tis-620", "utf8", "latin1", "macintosh", "ibm866"),
    )
)
"""In which encoded words are decoded, lower case; words in others stand as they are."""
# RFC 2047 2 allows 75 characters. Longer ones are about.
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,75})\?([bq])\?([^?\s]{0,2000})\?=", re.I)
_BETWEEN_WORDS = re.compile(r"(?<=\?=)[ \t]+(?==\?)")


@value(frozen=True, slots=True)
class Header:
    """Where things are in a header block with LF line ends; offsets in octets."""

    end: int
    """The block's length, without the empty line behind it."""
    fields: int
    subject: str
    """Unfolded and decoded; "" when there is none."""
    after_subject: int
    """Where a field that follows the subject goes; the block's end when there is no subject."""
    separated: bool
    """An empty line (or nothing at all) follows the block, as RFC 5322 3.5 wants it."""


def read_header(content: bytes) -> Header:
    """Read the header at the start of `content` (LF line ends, whole lines)."""
    block = _BLOCK.match(content)
    end = block.end() if block else 0
    first_field = max(block.end(1), 0) if block else 0  # behind a From_ line
    fields = b"\n" + content[first_field:end]
    subject = _SUBJECT.search(fields)
    return Header(
        end=end,
        fields=len(_FIELD_BEGINS.findall(fields)),
        subject=decode_text(subject[1]) if subject else "",
        after_subject=first_field + subject.end() - 1 if subject else end,
        separated=end == len(content) or content[end : end + 1] == b"\n",
    )


def decode_text(raw: bytes) -> str:
    """A field's text, unfolded (RFC 5322 2.2.3), with its encoded words (RFC 2047) decoded."""
    text = raw.replace(b"\n", b"").strip(b" \t").decode("utf-8", "replace")
    if "=?" not in text:
        return text
    return _ENCODED_WORD.sub(_decoded_word, _BETWEEN_WORDS.sub("", text))


def _decoded_word(word: re.Match[str]) -> str:
    name, encoding, encoded = word.groups()
    charset = name.partition("*")[0].lower()  # behind it is the language (RFC 2231 5)
    if charset not in _CHARSETS:
        return word[0]
    try:
        octets = encoded.encode("ascii")
        if encoding in "bB":
            plain = binascii.a2b_base64(octets)
        else:
            plain = binascii.a2b_qp(octets, header=True)
        return plain.decode(charset, "replace")
    except ValueError:  # what can't be decoded stands as it is
        return word[0]

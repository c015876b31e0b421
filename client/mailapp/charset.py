"""Octets to text by the charset a message names.

Only codecs that are known to be charsets are used: Python has others (idna, unicode_escape, zlib)
that are no business of a stranger's message. Nothing here raises.
"""

from __future__ import annotations

import codecs
import re

# Canonical names as codecs.lookup gives them.
_CHARSETS = re.compile(
    r"ascii|utf-(8|7|16|32)(-le|-be|-sig)?|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|tis-620|hz|"
    r"gb2312|gbk|gb18030|big5(hkscs)?|euc_(jp|kr|jis_2004|jisx0213)|shift_jis\w*|iso2022_\w+|"
    r"johab|kz1048|ptcp154|viscii"
)
_BYTE_ORDER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


def codec_of(charset: str) -> str | None:
    """The codec for a charset's name; None when there is none to be trusted."""
    try:
        name = codecs.lookup(charset.strip()[:40]).name
    except (LookupError, UnicodeError, ValueError):
        return None
    return name if _CHARSETS.fullmatch(name) else None


def decode_bytes(octets: bytes, charset: str) -> str:
    """A short text. In an unknown charset, or not valid in UTF-8, it is read as Latin-1."""
    codec = codec_of(charset) if charset else "utf-8"
    if codec in (None, "ascii", "utf-8"):
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            return octets.decode("latin-1")
    return octets.decode(codec, "replace")


def decoder_for(charset: str, beginning: bytes) -> codecs.IncrementalDecoder:
    """For a text in chunks, the first given. US-ASCII and unknown charsets are read as UTF-8."""
    codec = codec_of(charset) if charset else None
    if codec in (None, "ascii"):
        codec = "utf-8"
    if codec in ("utf-16", "utf-32") and not beginning.startswith(_BYTE_ORDER_MARKS):
        codec += "-be"  # RFC 2781 4.3
    return codecs.getincrementaldecoder(codec)("replace")

"""The text of a part, streamed: transfer encoding, charset, line ends and HTML undone on the way.

Every step takes chunks and gives chunks; what is not valid is shown as well as it can be. The
text that comes out is not yet `visible`.
"""

from __future__ import annotations

import binascii
import string
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from mailapp.charset import decoder_for
from mailapp.html_text import HtmlText
from mailapp.mime import Part

_CHUNK_OCTETS = 65_536
_BASE64 = frozenset((string.ascii_letters + string.digits + "+/").encode())
_NOT_BASE64 = bytes(octet for octet in range(256) if octet not in _BASE64)


PLAIN, HTML = "text/plain", "text/html"


def parts_to_show(parts: list[Part], form: str = PLAIN) -> list[int]:
    """The leaves that a person reads: inline text, and of alternatives that of the wanted form.

    RFC 2046 5.1.4; where no text of this form stands for it, the other is shown.
    """
    is_there: set[int] = set()
    for part in parts:
        if part.is_leaf and not part.is_attachment and part.content_type == form:
            around = part.parent
            while around >= 0 and around not in is_there:
                is_there.add(around)
                around = parts[around].parent
    covered: list[bool] = []  # parents stand before their children
    for at, part in enumerate(parts):
        is_answered = part.content_type == "multipart/alternative" and at in is_there
        covered.append(is_answered or (part.parent >= 0 and covered[part.parent]))
    return [
        at
        for at, part in enumerate(parts)
        if part.is_leaf
        and not part.is_attachment
        and not (covered[at] and part.content_type != form)
    ]


def text_of(message: BinaryIO, part: Part) -> Iterator[str]:
    """The part's text in chunks, with newlines only."""
    text = newlines(_characters(octets_of(message, part), part.charset))
    return _plain(text) if part.content_type == "text/html" else text


def octets_of(message: BinaryIO, part: Part) -> Iterable[bytes]:
    """The part's octets in chunks, its transfer encoding undone."""
    return _transfer_decoded(_octets(message, part), part.encoding)


def decoded_size(part: Part) -> int:
    """About how many octets the part has when decoded."""
    size = part.end - part.start
    return size * 57 // 78 if part.encoding == "base64" else size  # 57 octets make a line of 78


def _octets(message: BinaryIO, part: Part) -> Iterator[bytes]:
    at = part.start
    while at < part.end:
        message.seek(at)
        chunk = message.read(min(_CHUNK_OCTETS, part.end - at))
        if not chunk:
            return
        yield chunk
        at += len(chunk)


def _transfer_decoded(chunks: Iterable[bytes], encoding: str) -> Iterable[bytes]:
    """RFC 2045 6; an unknown encoding is shown as it is."""
    if encoding == "base64":
        return _base64_decoded(chunks)
    if encoding == "quoted-printable":
        return _quoted_printable_decoded(chunks)
    return chunks


def _base64_decoded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """RFC 2045 6.8 has whatever is not of the alphabet ignored."""
    held = b""
    for chunk in chunks:
        held += chunk.translate(None, _NOT_BASE64)
        whole = len(held) - len(held) % 4
        yield binascii.a2b_base64(held[:whole])
        held = held[whole:]
    if len(held) > 1:
        yield binascii.a2b_base64(held + b"=" * (4 - len(held)))


def _quoted_printable_decoded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """RFC 2045 6.7, cut where no soft line break and no =XX can be cut in two."""
    held = b""
    for chunk in chunks:
        held += chunk
        cut = held.rfind(b"\n") + 1
        if not cut and len(held) > _CHUNK_OCTETS:
            escape = held.rfind(b"=", -2)
            cut = escape if escape >= 0 else len(held)
        yield binascii.a2b_qp(held[:cut])
        held = held[cut:]
    yield binascii.a2b_qp(held)


def _characters(chunks: Iterable[bytes], charset: str) -> Iterator[str]:
    decoder = None
    for chunk in chunks:
        if chunk:
            decoder = decoder or decoder_for(charset, chunk)
            yield decoder.decode(chunk)
    if decoder is not None:
        yield decoder.decode(b"", True)


def newlines(chunks: Iterable[str]) -> Iterator[str]:
    """The chunks with CRLF made a newline, also where it is cut in two."""
    held = ""
    for chunk in chunks:
        text = held + chunk
        held = "\r" if text.endswith("\r") else ""
        yield text.removesuffix("\r").replace("\r\n", "\n") if held else text.replace("\r\n", "\n")
    if held:
        yield held


def _plain(chunks: Iterable[str]) -> Iterator[str]:
    html = HtmlText()
    for chunk in chunks:
        yield html.feed(chunk)
    yield html.close()

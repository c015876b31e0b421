"""The parameters of MAIL and RCPT: one function a keyword, under its grammar.

To add one: a field in `message/envelope.py`, a function here, and its row in `MAIL` or `RCPT`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mailserver.message.envelope import Notify, Return
from mailserver.smtp import replies
from mailserver.smtp.replies import Refused
from mailserver.wire import address, xtext
from mailserver.wire.cursor import Cursor, SyntaxProblem

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_VALUE = re.compile(r"[^ =]+")
_UTF8_ADDRESS = re.compile(r"\\x\{([0-9A-F]{2,6})\}")

Reader = Callable[[str], Any]
"""Takes the value, "" when there is none; raises Refused."""


def read(cursor: Cursor, known: dict[str, tuple[str, Reader]]) -> dict[str, Any]:
    """*( SP esmtp-keyword ["=" esmtp-value] ) (RFC 5321 4.1.2): fields and their values; raises
    Refused."""
    try:
        return _read(cursor, known)
    except SyntaxProblem as problem:
        raise Refused(replies.BAD_PARAMETERS.with_detail(str(problem))) from None


def _read(cursor: Cursor, known: dict[str, tuple[str, Reader]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while not cursor.at_end():
        cursor.expect(" ", "a space before the parameter")
        keyword = cursor.take_match(_KEYWORD).upper()
        if not keyword:
            raise cursor.problem("a parameter such as SIZE=1000")
        value = ""
        if cursor.take("="):
            value = cursor.take_match(_VALUE)
            if not value:
                raise cursor.problem(f"a value for {keyword}")
        if keyword not in known:
            raise Refused(replies.UNKNOWN_PARAMETER)
        field, reader = known[keyword]
        if field in found:
            raise cursor.problem(f"{keyword} only once")
        found[field] = reader(value)
    found.pop("", None)
    return found


def _bad(expected: str) -> Refused:
    return Refused(replies.BAD_PARAMETER.with_detail(expected))


def _size(value: str) -> int:
    """size-value = 1*20DIGIT (RFC 1870 3)."""
    if not (value.isascii() and value.isdigit() and len(value) <= 20):
        raise _bad("SIZE=<octets>")
    return int(value)


def _body(value: str) -> bool:
    """body-value = "7BIT" / "8BITMIME" (RFC 6152 2)."""
    if value.upper() not in ("7BIT", "8BITMIME"):
        raise _bad("BODY=7BIT or BODY=8BITMIME")
    return value.upper() == "8BITMIME"


def _flag(keyword: str) -> Reader:
    def read_flag(value: str) -> bool:
        if value:
            raise _bad(f"{keyword} without a value")
        return True

    return read_flag


def _ret(value: str) -> Return:
    """RET=FULL or RET=HDRS (RFC 3461 4.3)."""
    try:
        return Return(value.upper())
    except ValueError:
        raise _bad("RET=FULL or RET=HDRS") from None


def _envid(value: str) -> str:
    """envid-parameter = "ENVID=" xtext (RFC 3461 4.4)."""
    decoded = xtext.decode(value)
    if not decoded or len(value) > 100:
        raise _bad("ENVID=<at most 100 characters of xtext>")
    return decoded


def _auth(value: str) -> None:
    """AUTH=<> or AUTH=xtext of a mailbox (RFC 4954 5). Nobody here is trusted to speak for others:
    it is read and forgotten, as the RFC allows."""
    decoded = xtext.decode(value)
    if decoded == "<>":
        return
    cursor = Cursor(decoded or "")
    try:
        address.mailbox(cursor)
    except SyntaxProblem:
        raise _bad("AUTH=<> or AUTH=user@domain") from None
    if not cursor.at_end():
        raise _bad("AUTH=<> or AUTH=user@domain")


def _notify(value: str) -> frozenset[Notify]:
    """notify-esmtp-value = "NEVER" / 1#notify-list-element (RFC 3461 4.1)."""
    if value.upper() == "NEVER":
        return frozenset()
    try:
        return frozenset(Notify(element) for element in value.upper().split(","))
    except ValueError:
        raise _bad("NOTIFY=NEVER or NOTIFY=SUCCESS,FAILURE,DELAY") from None


def _orcpt(value: str) -> str:
    """original-recipient-address = addr-type ";" xtext (RFC 3461 4.2); with the type utf-8 also
    UTF-8 itself or \\x{HEX} (RFC 6533 3)."""
    kind, _, encoded = value.partition(";")
    decoded = xtext.decode(encoded) if encoded.isascii() else encoded
    if kind.lower() == "utf-8" and decoded:
        decoded = _UTF8_ADDRESS.sub(lambda found: _character(found[1]), decoded)
    known = _KEYWORD.fullmatch(kind) and (encoded.isascii() or kind.lower() == "utf-8")
    if not known or not decoded or not decoded.isprintable() or len(value) > 500:
        raise _bad("ORCPT=rfc822;<the address as xtext>")
    return f"{kind};{decoded}"


def _character(hexadecimal: str) -> str:
    number = int(hexadecimal, 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number < 0xE000 else "\0"


MAIL: dict[str, tuple[str, Reader]] = {
    "SIZE": ("octets", _size),
    "BODY": ("eight_bit", _body),
    "SMTPUTF8": ("utf8", _flag("SMTPUTF8")),
    "RET": ("returned", _ret),
    "ENVID": ("envelope_id", _envid),
    "AUTH": ("", _auth),
    "REQUIRETLS": ("require_tls", _flag("REQUIRETLS")),
}
"""By keyword: the field of MailParameters ("" when nothing is kept), and who reads the value."""

RCPT: dict[str, tuple[str, Reader]] = {
    "NOTIFY": ("notify", _notify),
    "ORCPT": ("original", _orcpt),
}
"""The same for RcptParameters."""

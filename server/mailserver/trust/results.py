"""Authentication-Results (RFC 8601): what was found out, written into the message; and other
people's fields that pretend to be ours, taken out of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from mailserver.trust.canonical import Field
from mailserver.wire.value import value

_NAME = b"authentication-results"
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~@/-]+")
_COMMENT = re.compile(r"\((?:[^()\\]|\\.)*\)", re.DOTALL)
_SERVER = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"()]+))', re.DOTALL)
_OUTSIDE = re.compile(r'"(?:[^"\\]|\\.)*"|[^"(]+|.', re.DOTALL)
_IN_COMMENT = re.compile(r"\\.|[^()\\]+|.", re.DOTALL)
_PASSED = re.compile(r";\s*dmarc\s*=\s*pass\s[^;]*\bheader\.from\s*=\s*([^\s;]+)", re.IGNORECASE)
_VALUE_LIMIT = 200


@value(frozen=True, slots=True)
class Finding:
    """What one method found (2.2)."""

    method: str
    result: str
    reason: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    """Such as ("smtp.mailfrom", "example.org"); an empty value is left out."""


def results_field(server: str, findings: Iterable[Finding]) -> bytes:
    """The field, LF line ends. `server` is the authserv-id (2.5)."""
    parts = [server, *map(_written, findings)]
    if len(parts) == 1:
        parts.append("none")
    return b"Authentication-Results: " + ";\n\t".join(parts).encode() + b"\n"


def _written(finding: Finding) -> str:
    words = [f"{finding.method}={finding.result}"]
    if finding.reason:
        words.append(f"reason={_value(finding.reason)}")
    words += [f"{name}={_value(value)}" for name, value in finding.properties if value]
    return "\n\t ".join(words) if len(words) > 3 else " ".join(words)


def _value(text: str) -> str:
    """A token, or a quoted string of printable ASCII."""
    if _TOKEN.fullmatch(text) and len(text) <= _VALUE_LIMIT:
        return text
    plain = "".join(char if " " <= char <= "~" else "?" for char in text[:_VALUE_LIMIT])
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def without_ours(header_block: bytes, fields: Iterable[Field], own: Collection[str]) -> bytes:
    """The block without the fields that claim to be of one of these servers (5), and without those
    that do not say whose they are. LF line ends."""
    kept, end = b"", 0
    for field in fields:
        if field.name == _NAME and _server_of(field) in {None, *own}:
            kept += header_block[end : field.start]
            end = field.start + len(field.raw)
    return kept + header_block[end:]


def _server_of(field: Field) -> str | None:
    text = field.value.decode("utf-8", "replace")
    for _ in range(8):  # comments in comments, from the inside
        text, found = _COMMENT.subn(" ", text)
        if not found:
            break
    server = _SERVER.match(text)
    if server is None:
        return None
    named = server[2] if server[1] is None else re.sub(r"\\(.)", r"\1", server[1])
    return named.lower().rstrip(".")


def passed_author(text: str) -> str:
    """The domain in From for which somebody's results say that DMARC passed; "": for none. What
    stands in quotes or comments may be anybody's words, and says nothing."""
    plain, depth, position = "", 0, 0
    while position < len(text):
        found = (_IN_COMMENT if depth else _OUTSIDE).match(text, position)
        assert found is not None, "each pattern takes any character"
        position = found.end()
        if found[0] in ("(", ")"):
            depth += 1 if found[0] == "(" else -1
        elif not depth:
            plain += '""' if found[0].startswith('"') else found[0]
    passed = _PASSED.search(plain)
    return passed[1].lower() if passed and not depth else ""

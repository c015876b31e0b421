"""Addresses as they stand in MAIL and RCPT, each rule under its ABNF (RFC 5321 4.1.2, 4.1.3).

UTF-8 may stand wherever RFC 6531 3.3 lets it: in atoms, quoted strings and the labels of a domain.
Whether it may stand in this transaction is for the session to say; lengths are octets of UTF-8.
"""

from __future__ import annotations

import ipaddress
import re

from mailserver.wire import idn
from mailserver.wire.cursor import Cursor
from mailserver.wire.value import value

# By what they are not: a class up to U+10FFFF takes milliseconds to compile.
_ATOM = r'[^\x00- "(),.:;<>@[\\\]\x7f]+'
_DOT_STRING = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_LET_DIG = r"[^\x00-/:-@[-`{-\x7f]"
_LABEL = f"{_LET_DIG}+(?:-+{_LET_DIG}+)*"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LITERAL = re.compile(r"[^]% ]+")

LOCAL_PART_LIMIT = 64
"""Octets, RFC 5321 4.5.3.1.1."""
DOMAIN_LIMIT = 255
"""Octets, RFC 5321 4.5.3.1.2."""
PATH_LIMIT = 256
"""Octets with the angle brackets, RFC 5321 4.5.3.1.3."""


@value(frozen=True, slots=True)
class Mailbox:
    """`local_part@domain`, the local part without its quoting. `domain` is "" for <postmaster>."""

    local_part: str
    domain: str

    @property
    def is_ascii(self) -> bool:
        """It can be written without SMTPUTF8 (RFC 6531)."""
        return self.local_part.isascii() and self.domain.isascii()

    def __str__(self) -> str:
        quoted = self.local_part
        if not _DOT_STRING.fullmatch(quoted):
            escaped = quoted.replace("\\", "\\\\").replace('"', '\\"')
            quoted = f'"{escaped}"'
        return f"{quoted}@{self.domain}" if self.domain else quoted


@value(frozen=True, slots=True)
class ReversePath:
    """Where trouble is reported: a mailbox, or nobody (`<>`, the null reverse-path)."""

    mailbox: Mailbox | None

    def __str__(self) -> str:
        return str(self.mailbox) if self.mailbox else ""


@value(frozen=True, slots=True)
class ForwardPath:
    """To whom the message goes."""

    mailbox: Mailbox

    def __str__(self) -> str:
        return str(self.mailbox)


def reverse_path(cursor: Cursor) -> ReversePath:
    """Reverse-path = Path / "<>"."""
    if cursor.take("<>"):
        return ReversePath(None)
    return ReversePath(path(cursor))


def forward_path(cursor: Cursor) -> ForwardPath:
    """Forward-path = Path, and `<postmaster>` without a domain (RFC 5321 4.1.1.3)."""
    if cursor.take_word("<postmaster>"):
        return ForwardPath(Mailbox("postmaster", ""))
    return ForwardPath(path(cursor))


def path(cursor: Cursor) -> Mailbox:
    """Path = "<" [ A-d-l ":" ] Mailbox ">"."""
    start = cursor.position
    cursor.expect("<", "'<' before the address")
    if cursor.peek() == "@":
        source_route(cursor)
    found = mailbox(cursor)
    cursor.expect(">", "'>' after the address")
    if cursor.octets_since(start) > PATH_LIMIT:
        raise cursor.problem(f"a path of at most {PATH_LIMIT} octets")
    return found


def source_route(cursor: Cursor) -> None:
    """A-d-l = At-domain *( "," At-domain ): taken and ignored (RFC 5321 4.1.1.3, appendix C)."""
    while True:
        cursor.expect("@")
        domain(cursor)
        if not cursor.take(","):
            break
    cursor.expect(":", "':' after the source route")


def mailbox(cursor: Cursor) -> Mailbox:
    """Mailbox = Local-part "@" ( Domain / address-literal )."""
    local = local_part(cursor)
    cursor.expect("@", "'@' and a domain")
    return Mailbox(local, address_literal(cursor) if cursor.peek() == "[" else domain(cursor))


def user_or_mailbox(cursor: Cursor) -> Mailbox:
    """What VRFY asks for: a mailbox, with or without "<" and ">", or its local part alone (RFC 5321
    3.5.1)."""
    if cursor.peek() == "<":
        return path(cursor)
    local = local_part(cursor)
    if cursor.at_end():
        return Mailbox(local, "")
    cursor.position = 0
    return mailbox(cursor)


def local_part(cursor: Cursor) -> str:
    """Local-part = Dot-string / Quoted-string."""
    start = cursor.position
    found = quoted_string(cursor) if cursor.peek() == '"' else dot_string(cursor)
    if cursor.octets_since(start) > LOCAL_PART_LIMIT:
        raise cursor.problem(f"a local part of at most {LOCAL_PART_LIMIT} octets")
    return found


def dot_string(cursor: Cursor) -> str:
    """Dot-string = Atom *("." Atom)."""
    found = cursor.take_match(_DOT_STRING)
    if not found:
        raise cursor.problem("a local part such as 'alice'")
    return found


def quoted_string(cursor: Cursor) -> str:
    """Quoted-string = DQUOTE *QcontentSMTP DQUOTE: printable characters, backslash escapes."""
    cursor.expect('"')
    taken = []
    while not cursor.take('"'):
        if cursor.take("\\") and not cursor.peek():
            raise cursor.problem("a character after the backslash")
        character = cursor.peek()
        if not character.isprintable() or not character:
            raise cursor.problem("'\"' at the end of the quoted local part")
        taken.append(character)
        cursor.position += 1
    return "".join(taken)


def domain(cursor: Cursor) -> str:
    """Domain = sub-domain *("." sub-domain); sub-domain = Let-dig [Ldh-str]."""
    start = cursor.position
    found = cursor.take_match(_DOMAIN)
    if not found:
        raise cursor.problem("a domain such as 'example.org'")
    if cursor.octets_since(start) > DOMAIN_LIMIT:
        raise cursor.problem(f"a domain of at most {DOMAIN_LIMIT} octets")
    if not found.isascii():
        try:
            idn.ascii_form(found)
        except ValueError:
            raise cursor.problem("a domain that IDNA allows") from None
    return found


def address_literal(cursor: Cursor) -> str:
    """address-literal = "[" ( IPv4 / "IPv6:" IPv6 ) "]", kept with its brackets."""
    start = cursor.position
    cursor.expect("[")
    version = 6 if cursor.take_word("IPv6:") else 4
    digits = cursor.take_match(_LITERAL)
    try:
        address = ipaddress.ip_address(digits)
    except ValueError:
        address = None
    if address is None or address.version != version:
        raise cursor.problem("an address such as [192.0.2.1] or [IPv6:2001:db8::1]")
    cursor.expect("]")
    return cursor.text[start : cursor.position]


def literal_address(domain: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address in an address-literal, None for a domain name."""
    if not domain.startswith("["):
        return None
    return ipaddress.ip_address(re.sub("^ipv6:", "", domain[1:-1], flags=re.I))

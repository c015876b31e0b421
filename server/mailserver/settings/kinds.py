"""What the value of a setting may be, as text (environment, command line) and in a TOML file.

A `Kind` checks a value as TOML has it, and makes of it what the program uses. Text becomes such a
value first, so there is one check for all sources. What does not fit raises Unfit; the
kind's `allowed` says what would.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Generic, TypeVar

from mailserver.delivery.addressing import loop_in
from mailserver.wire import address, idn
from mailserver.wire.cursor import Cursor, SyntaxProblem
from mailserver.wire.value import value

T = TypeVar("T")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Aliases = tuple[tuple[str, tuple[str, ...]], ...]
"""Name and members of each, in lower case."""

Server = tuple[str, int | None]
"""A host's name or IP address, and a port, None for the usual one."""
Routes = tuple[tuple[str, Server], ...]
"""Domains in lower case, or `*`, and who takes their mail."""

DOMAIN = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_DOMAIN_LIMIT = 255
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_USER = re.compile(r"[^\s\x00-\x1f\x7f@,=<>\"]{1,64}")
OFF = "off"
_YES = {"true", "yes", "on", "1"}
_NO = {"false", "no", "off", "0"}


class Unfit(ValueError):
    """A value that its setting cannot have; may say why, and which name in a table it is about."""

    def __init__(self, why: str = "", within: str = "") -> None:
        super().__init__(why)
        self.within = within


@value(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of value."""

    allowed: str
    """In words, for messages and pages."""
    placeholder: str
    """Stands for the value in `--help`."""
    check: Callable[[object], T]
    """From a TOML value; raises Unfit."""
    from_text: Callable[[str], object]
    """The TOML value that a text means; what means none is left for `check` to refuse."""
    repeated: bool = False
    """A list: the command line takes it one by one."""


def _number(text: str) -> object:
    """Plain decimal digits: no sign, no `1e3`, no digits of other scripts."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else text


def _is_number(value: object, least: int, most: int) -> bool:
    # TOML's true is an int for Python
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def whole(least: int, most: int, unit: str = "N") -> Kind[int]:
    """A number."""

    def check(value: object) -> int:
        if not _is_number(value, least, most):
            raise Unfit
        assert isinstance(value, int)
        return value

    return Kind(f"a whole number from {least} to {most}", unit, check, _number)


def limit(most: int, unit: str = "N", least: int = 1) -> Kind[int | None]:
    """A number that may be taken away."""

    def check(value: object) -> int | None:
        if not (_is_number(value, 0, 0) or _is_number(value, least, most)):
            raise Unfit
        assert isinstance(value, int)
        return value or None

    allowed = f"a whole number from {least} to {most}; 0: no limit"
    return Kind(allowed, unit, check, _number)


def _port(value: object) -> int | None:
    if value == OFF:
        return None
    if not _is_number(value, 0, 65535):
        raise Unfit
    assert isinstance(value, int)
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise Unfit
    return value


def _flag_of(text: str) -> object:
    word = text.lower()
    return True if word in _YES else False if word in _NO else text


def _printable(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise Unfit
    return value


def _domain(value: object) -> str:
    try:
        name = idn.ascii_form(_printable(value))
    except ValueError as error:
        raise Unfit(str(error)) from None
    if not DOMAIN.fullmatch(name) or len(name) > _DOMAIN_LIMIT:
        raise Unfit
    return name


def listed(
    check: Callable[[object], T], one: str, several: str, placeholder: str
) -> Kind[tuple[T, ...]]:
    """Any number of values."""

    def check_all(value: object) -> tuple[T, ...]:
        if not isinstance(value, list | tuple):
            raise Unfit
        return tuple(dict.fromkeys(map(check, value)))

    allowed = f"a list of {several}, each {one}"
    return Kind(allowed, placeholder, check_all, lambda text: re.findall(r"[^\s,]+", text), True)


def choice(*words: str) -> Kind[str]:
    """One of a few words."""

    def check(value: object) -> str:
        if value not in words:
            raise Unfit
        return str(value)

    quoted = " or ".join(f'"{word}"' for word in words)
    return Kind(quoted, "|".join(words), check, str)


def _user(value: object) -> str:
    if value != "" and not _USER.fullmatch(_printable(value)):
        raise Unfit
    return str(value)


def _aliases(value: object) -> Aliases:
    if not isinstance(value, dict):
        raise Unfit
    found: dict[str, tuple[str, ...]] = {}
    for name, users in value.items():
        members = [users] if isinstance(users, str) else users
        if not isinstance(members, list) or not members:
            raise Unfit(f"{name[:80]!a} needs a name or a list of names", name)
        if not _USER.fullmatch(name):
            raise Unfit(f"{name[:80]!a} is no name of an alias", name)
        found[name.lower()] = tuple(dict.fromkeys(_member(one, name) for one in members))
    if loop := loop_in(found):
        raise Unfit(f"a loop: {' -> '.join(loop)}", loop[0])
    return tuple(found.items())


def _member(one: object, alias: str) -> str:
    """A name in lower case, or an address as it is."""
    if isinstance(one, str) and _USER.fullmatch(one):
        return one.lower()
    try:
        if isinstance(one, str) and one.isprintable():
            cursor = Cursor(one)
            mailbox = address.mailbox(cursor)
            if cursor.at_end():
                return str(mailbox)
    except SyntaxProblem:
        pass
    what = "no name of a user or an alias here, and no address"
    raise Unfit(f"{str(one)[:80]!a} is {what}", alias) from None


def _aliases_of(text: str) -> object:
    parts = (part.partition("=") for part in text.split())
    return {name: users.split(",") for name, _, users in parts}


def _network(value: object) -> Network:
    try:
        return ipaddress.ip_network(_printable(value))
    except ValueError as error:
        raise Unfit(str(error)) from None


def _selector(value: object) -> str:
    if not _LABEL.fullmatch(_printable(value)):
        raise Unfit
    return str(value)


def _nameserver(value: object) -> str:
    address, mark, port = _printable(value).partition("#")
    try:
        ipaddress.ip_address(address)
    except ValueError as error:
        raise Unfit(str(error)) from None
    if mark and not _is_number(_number(port), 1, 65535):
        raise Unfit
    return str(value)


def _server(value: object) -> Server:
    """An IP address or a host name, and perhaps a port."""
    text = _printable(value)
    host, colon, port = text.rpartition(":")
    if text.endswith("]") or not colon or _is_address(text):
        host, port = text, ""
    if port and not (_is_number(_number(port), 1, 65535)):
        raise Unfit(f"{port[:20]!a} is no port")
    host = host.removeprefix("[").removesuffix("]")
    if not _is_address(host):
        host = _domain(host)
    return host, int(port) if port else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _routes(value: object) -> Routes:
    if not isinstance(value, dict):
        raise Unfit
    found: dict[str, Server] = {}
    for domain, server in value.items():
        try:
            found["*" if domain == "*" else _domain(domain)] = _server(server)
        except Unfit as problem:
            raise Unfit(str(problem) or f"{server!a} is no host", str(domain)) from None
    return tuple(found.items())


def _routes_of(text: str) -> object:
    parts = (part.partition("=") for part in text.split())
    return {domain: server for domain, _, server in parts}


PORT = Kind(f'a number from 0 to 65535, 0: any free one; or "{OFF}"', "PORT", _port, _number)
FLAG = Kind("true or false", "true|false", _flag, _flag_of)
ADDRESS = Kind("an IP address or a name of this machine, in quotes", "ADDRESS", _printable, str)
DOMAINS = listed(_domain, 'such as "example.org"', "domain names", "NAME")
NETWORKS = listed(
    _network, 'such as "192.0.2.1" or "10.0.0.0/8"', "addresses or networks", "NETWORK"
)
SELECTORS = listed(
    _selector, 'letters, digits and hyphens, at most 63, such as "rsa-20261124"', "names", "NAME"
)
NAMESERVERS = listed(
    _nameserver, 'such as "192.0.2.53" or "192.0.2.53#5353"', "IP addresses", "ADDRESS"
)
PATH = Kind("the name of a file, from the data folder on, in quotes", "FILE", _printable, str)
TEXT = Kind("printable text, in quotes", "TEXT", _printable, str)
USER = Kind("the name of a user or an alias, in quotes", "NAME", _user, str)
ALIASES = Kind(
    'a table of names, such as { staff = ["alice", "bob"], info = "carol@example.org" }; '
    "as text: staff=alice,bob info=carol@example.org",
    "ALIASES",
    _aliases,
    _aliases_of,
)
ROUTES = Kind(
    'a table of domains, such as { "example.org" = "192.0.2.1", "*" = "smtp.example.net:587" }; '
    "as text: example.org=192.0.2.1 *=smtp.example.net:587",
    "ROUTES",
    _routes,
    _routes_of,
)

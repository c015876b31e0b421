"""Whom an address of this server stands for: users, aliases, lists, plus-addresses, the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from ipaddress import IPv4Network, IPv6Network

from mailserver.accounts.base import Accounts
from mailserver.wire import address, idn
from mailserver.wire.address import Mailbox, literal_address
from mailserver.wire.cursor import Cursor
from mailserver.wire.value import value

POSTMASTER = "postmaster"

Network = IPv4Network | IPv6Network


@value(frozen=True, slots=True)
class Addresses:
    """Which addresses there are, apart from the users' own names. Case never matters."""

    domains: tuple[str, ...]
    """Those whose mail is for users here; the first is the server's own name."""
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name in lower case to the names of users and of other aliases, and to addresses at other
    servers. An alias that names itself means the user of that name."""
    plus_addresses: bool = False
    """`bob+news` is for bob."""
    catch_all: str = ""
    """The user or alias for names that nobody has; "": they are refused."""
    postmaster: str = ""
    """The user or alias that gets mail for postmaster; "": the accounts know."""
    own_addresses: tuple[Network, ...] = ()
    """Where the server is: user@[one of them] is a user here (RFC 5321 4.1.3)."""


OWNER = "owner-"
"""An alias NAME is a list (RFC 5321 3.9.2) where owner-NAME is somebody: trouble goes there."""


@value(frozen=True, slots=True)
class Member:
    """One of those that an address stands for."""

    to: str | Mailbox
    """A user here, or an address elsewhere."""
    owner: str = ""
    """Who hears of trouble instead of the sender: the local part of a list's owner."""


class AddressBook:
    """Those behind an address, as accounts are now."""

    def __init__(self, addresses: Addresses, accounts: Accounts) -> None:
        self._addresses = addresses
        self._local = frozenset(map(idn.ascii_form, addresses.domains))
        self._accounts = accounts
        self._aliases = {
            name: tuple(map(self._member, members)) for name, members in addresses.aliases.items()
        }

    def _member(self, text: str) -> str | Mailbox:
        if "@" not in text:
            return text
        mailbox = address.mailbox(Cursor(text))
        return mailbox.local_part.lower() if self.is_local(mailbox) else mailbox

    def is_local(self, mailbox: Mailbox) -> bool:
        """It is for somebody here, if anybody has that name."""
        literal = literal_address(mailbox.domain)
        if literal is not None:
            return any(literal in network for network in self._addresses.own_addresses)
        # "" is the domain of <postmaster> (RFC 5321 4.1.1.3)
        return not mailbox.domain or idn.ascii_form(mailbox.domain) in self._local

    def users(self, mailbox: Mailbox) -> tuple[str, ...]:
        """The users here alone."""
        return tuple(one.to for one in self.members(mailbox) if isinstance(one.to, str))

    def members(self, mailbox: Mailbox) -> tuple[Member, ...]:
        """Each once; none when nobody has the name."""
        name = mailbox.local_part.lower()
        if name == POSTMASTER:
            return self._postmaster()
        found = self._named(name)
        if not found and self._addresses.plus_addresses and "+" in name:
            found = self._named(name.partition("+")[0])
        if not found and self._addresses.catch_all:
            found = self._named(self._addresses.catch_all.lower())
        return found

    def _postmaster(self) -> tuple[Member, ...]:
        # RFC 5321 4.5.1: it must always work, also when the one it was given to is gone.
        chosen = self._addresses.postmaster.lower()
        own = self._accounts.find(POSTMASTER)
        return (
            (self._named(chosen) if chosen and chosen != POSTMASTER else ())
            or self._named(POSTMASTER)
            or ((Member(own),) if own else ())
        )

    def _named(self, name: str) -> tuple[Member, ...]:
        """Those behind the name of a user or an alias."""
        if name not in self._aliases:
            user = self._accounts.find(name)
            return () if user is None else (Member(user),)
        found: dict[str | Mailbox, Member] = {}
        seen = set[str]()
        waiting: list[tuple[str | Mailbox, str]] = [(name, "")]
        while waiting:
            one, owner = waiting.pop()
            if isinstance(one, str) and one not in seen and one in self._aliases:
                seen.add(one)
                owner = self._owner(one) or owner
                waiting += [(member, owner) for member in reversed(self._aliases[one])]
                continue
            to = self._accounts.find(one) if isinstance(one, str) else one
            if to is not None:
                found.setdefault(to, Member(to, owner))
        return tuple(found.values())

    def _owner(self, name: str) -> str:
        owner = OWNER + name
        there = owner in self._aliases or self._accounts.find(owner) is not None
        return owner if there else ""


def loop_in(aliases: Mapping[str, Iterable[str]]) -> list[str]:
    """The names of a circle of aliases, its first one again at the end; empty when there is none.
    An alias that names itself is none: it means the user."""
    done = set[str]()
    for start in aliases:
        path: dict[str, None] = {}
        waiting: list[str | None] = [start]  # None: the last one of the path is done
        while waiting:
            name = waiting.pop()
            if name is None:
                done.add(path.popitem()[0])
            elif name in path:
                circle = list(path)
                return [*circle[circle.index(name) :], name]
            elif name in aliases and name not in done:
                path[name] = None
                waiting += [None, *(member for member in aliases[name] if member != name)]
    return []

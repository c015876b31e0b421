"""SPF: may this address send mail in the name of this domain? (RFC 7208)

The limits of 4.6.4 hold for one check as a whole: 10 terms that ask the DNS, 2 answers that are
empty, 10 names of an MX or a PTR. How long it may take is for the caller to say.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from enum import Enum
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TypeVar

from mailserver.trust import spf_macros
from mailserver.trust.dns import Address, DnsTrouble, Resolver, is_askable
from mailserver.trust.spf_macros import MacroFault, Text
from mailserver.trust.spf_record import Directive, Record, RecordFault, is_record, parse
from mailserver.wire.idn import ascii_form
from mailserver.wire.value import value

T = TypeVar("T")

LOOKUP_LIMIT = 10
VOID_LIMIT = 2
NAME_LIMIT = 10


class Result(Enum):
    """RFC 7208 2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


_QUALIFIED = {"+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}


@value(frozen=True, slots=True)
class Outcome:
    """Of one check."""

    result: Result
    explanation: str = ""
    """The domain's own words on a fail (6.2), printable ASCII; not to be believed."""


class _PermError(Exception):
    """The records can't be evaluated as they are."""


@value(frozen=True, slots=True)
class Question:
    """Who says what of whom."""

    address: Address | None
    """None: not known; then there is no result."""
    sender: str
    """The mailbox in the reverse-path; when that is null, postmaster@ and the HELO name (2.4)."""
    helo: str
    receiver: str = "unknown"
    """This server's name, for %{r}."""

    @property
    def domain(self) -> str:
        """The one that answers for the sender."""
        return self.sender.rpartition("@")[2].lower().rstrip(".")


def question(client: str, reverse_path: str, helo: str, receiver: str = "unknown") -> Question:
    """From what SMTP knows; `client` is an IP address, `reverse_path` may be empty."""
    try:
        address: Address | None = ip_address(client.partition("%")[0])
    except ValueError:
        address = None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    local_part, _, domain = reverse_path.rpartition("@")
    sender = f"{local_part or 'postmaster'}@{_ascii(domain or helo)}"
    return Question(address, sender, helo, receiver)


def _ascii(domain: str) -> str:
    """A name in other letters as the DNS has it (RFC 8616 4); what is none stays as it is."""
    try:
        return domain if domain.isascii() else ascii_form(domain)
    except ValueError:
        return domain


async def check(asked: Question, resolver: Resolver, now: Callable[[], float]) -> Outcome:
    """check_host() of 4. Raises nothing but what the resolver raises beside DnsTrouble."""
    domain = asked.sender.rpartition("@")[2]
    if asked.address is None or not _is_domain(domain):
        return Outcome(Result.NONE)
    evaluation = _Evaluation(asked, asked.address, resolver, now)
    try:
        return await evaluation.check_host(domain, explain=True)
    except DnsTrouble:
        return Outcome(Result.TEMPERROR)
    except (_PermError, RecordFault):
        return Outcome(Result.PERMERROR)


def _is_domain(name: str) -> bool:
    """4.3: a name of several labels that the DNS can have, no address literal."""
    return is_askable(name) and "." in name.rstrip(".") and not name.startswith("[")


class _Evaluation:
    """One check, through all records that it leads to."""

    def __init__(
        self, asked: Question, address: Address, resolver: Resolver, now: Callable[[], float]
    ) -> None:
        self._asked = asked
        self._address = address
        self._resolver = resolver
        self._now = now
        self._lookups = 0
        self._voids = 0
        self._names: list[str] | None = None  # the client's, when they are known

    async def check_host(self, domain: str, *, explain: bool) -> Outcome:
        record = await self._record(domain)
        if record is None:
            return Outcome(Result.NONE)
        for directive in record.directives:
            if await self._matches(directive, domain):
                result = _QUALIFIED[directive.qualifier]
                explanation = ""
                if explain and result is Result.FAIL and record.explanation is not None:
                    explanation = await self._explain(record.explanation, domain)
                return Outcome(result, explanation)
        if record.redirect is None:
            return Outcome(Result.NEUTRAL)  # 4.7
        self._count()
        target = await self._expand(record.redirect, domain)
        found = await self.check_host(target, explain=explain)
        if found.result is Result.NONE:  # 6.1
            raise _PermError
        return found

    async def _record(self, domain: str) -> Record | None:
        if not is_askable(domain):
            return None
        records = [text for text in await self._resolver.texts(domain) if is_record(text)]
        if len(records) > 1:  # 4.5
            raise _PermError
        return parse(records[0]) if records else None

    async def _matches(self, directive: Directive, domain: str) -> bool:
        address = self._address
        if directive.mechanism == "all":
            return True
        if directive.network is not None:
            return address in directive.network
        self._count()
        target = domain
        if directive.domain is not None:
            target = await self._expand(directive.domain, domain)
        match directive.mechanism:
            case "include":
                return await self._includes(target)
            case "exists":
                return bool(await self._addresses(target, 4))
            case "ptr":
                return await self._has_name_in(target)
            case "a":
                return self._is_among(await self._addresses(target), directive)
        for name in await self._exchangers(target):
            if self._is_among(await self._addresses(name), directive):
                return True
        return False

    async def _includes(self, target: str) -> bool:
        """5.2's table."""
        result = (await self.check_host(target, explain=False)).result
        if result in {Result.NONE, Result.PERMERROR}:
            raise _PermError
        return result is Result.PASS

    def _is_among(self, addresses: tuple[Address, ...], directive: Directive) -> bool:
        asked = self._address
        prefix = directive.prefix4 if asked.version == 4 else directive.prefix6
        return any(
            asked in ip_network((address, prefix), strict=False)
            for address in addresses
            if address.version == asked.version
        )

    async def _has_name_in(self, target: str) -> bool:
        """5.5."""
        wanted = target.rstrip(".").lower()
        return any(
            name == wanted or name.endswith(f".{wanted}") for name in await self._validated_names()
        )

    async def _validated_names(self) -> list[str]:
        """Those of the client's address that lead back to it (5.5); asked for once."""
        if self._names is None:
            self._names = [name async for name in self._look_back()]
        return self._names

    async def _look_back(self) -> AsyncIterator[str]:
        """Trouble is no name."""
        address = self._address
        try:
            names = self._noted(await self._resolver.names(address))
        except DnsTrouble:
            return
        for name in filter(is_askable, names[:NAME_LIMIT]):
            try:
                if address in await self._resolver.addresses(name, address.version):
                    yield name.rstrip(".").lower()
            except DnsTrouble:
                continue

    async def _explain(self, where: Text, domain: str) -> str:
        """6.2: whatever goes wrong here, there is no explanation."""
        try:
            target = await self._expand(where, domain)
            texts = await self._resolver.texts(target) if is_askable(target) else ()
            if len(texts) != 1:
                return ""
            text = spf_macros.macro_string(texts[0].decode("ascii"), explains=True)
            words = spf_macros.expand(text, await self._values(text, domain))
        except (DnsTrouble, MacroFault, UnicodeDecodeError, _PermError):
            return ""
        return words if words.isascii() and words.isprintable() else ""

    async def _expand(self, text: Text, domain: str) -> str:
        return spf_macros.expand_domain(text, await self._values(text, domain))

    async def _values(self, text: Text, domain: str) -> dict[str, str]:
        """Of the letters (7.2)."""
        asked = self._asked
        local_part, _, sender_domain = asked.sender.rpartition("@")
        values = {
            "s": asked.sender,
            "l": local_part,
            "o": sender_domain,
            "d": domain,
            "i": _dotted(self._address),
            "h": asked.helo,
            "c": str(self._address),
            "r": asked.receiver,
            "t": str(int(self._now())),
            "v": "in-addr" if self._address.version == 4 else "ip6",
        }
        if "p" in spf_macros.letters(text):
            values["p"] = _best_name(await self._validated_names(), domain.lower())
        return values

    async def _addresses(self, name: str, version: int = 0) -> tuple[Address, ...]:
        if not is_askable(name):
            return ()
        version = version or self._address.version
        return self._noted(await self._resolver.addresses(name, version))

    async def _exchangers(self, name: str) -> tuple[str, ...]:
        if not is_askable(name):
            return ()
        names = self._noted(await self._resolver.exchangers(name))
        if len(names) > NAME_LIMIT:
            raise _PermError
        return names

    def _noted(self, answer: tuple[T, ...]) -> tuple[T, ...]:
        """An answer, counted when it is void (4.6.4)."""
        if not answer:
            self._voids += 1
            if self._voids > VOID_LIMIT:
                raise _PermError
        return answer

    def _count(self) -> None:
        self._lookups += 1
        if self._lookups > LOOKUP_LIMIT:
            raise _PermError


def _dotted(address: Address) -> str:
    """%{i}: of IPv6 each nibble (7.3)."""
    if isinstance(address, IPv6Address):
        return ".".join(address.exploded.replace(":", "").upper())
    return str(address)


def _best_name(names: list[str], domain: str) -> str:
    """%{p}: the domain itself, else a name below it, else any (7.3)."""
    below = [name for name in names if name.endswith(f".{domain}")]
    if domain in names:
        return domain
    return (below or names or ["unknown"])[0]

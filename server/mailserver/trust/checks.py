"""All checks of one message, within a time and beside not too many others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mailserver.message.envelope import Envelope
from mailserver.message.judgement import Judgement
from mailserver.message.verdict import ACCEPTED, Kind, Verdict
from mailserver.store.base import StagedMessage
from mailserver.threads import InThread
from mailserver.trust import arc, dkim, dmarc, spf
from mailserver.trust.author import NoAuthor, author_domain
from mailserver.trust.canonical import Field, behind_empty_line, fields_of
from mailserver.trust.dmarc import Policy
from mailserver.trust.dns import Resolver
from mailserver.trust.results import Finding, results_field, without_ours
from mailserver.wire.value import value

T = TypeVar("T")
_Verify = Callable[[bytes, dkim.Body, Resolver, InThread, float], Awaitable[T]]

log = logging.getLogger(__name__)

AT_ONCE = 100
"""Checks that are made at the same time; the others wait, and their time runs."""

_LATE_CHAIN = arc.Outcome(arc.Result.FAIL, "no time")
_LATE_SPF = spf.Outcome(spf.Result.TEMPERROR)
_LATE_SIGNATURES: tuple[dkim.Outcome, ...] = (dkim.Outcome(dkim.Result.TEMPERROR, "no time"),)


@value(frozen=True, slots=True)
class Rules:
    """What is done with what is found."""

    names: tuple[str, ...]
    """The server's domains; the first one signs the results (RFC 8601 2.5)."""
    rejects: bool = False
    """Refuse what the domain in From asks to refuse."""
    seconds: float = 10.0
    """For all questions about one message."""
    believed: frozenset[str] = frozenset()
    """Domains whose ARC seals count: what they vouch for is not refused."""


class Checks:
    """See `delivery.accept.Trust`; of one process."""

    def __init__(
        self, rules: Rules, resolver: Resolver, in_thread: InThread, clock: Callable[[], float]
    ) -> None:
        self._rules = rules
        self._own = frozenset(name.lower() for name in rules.names)
        self._resolver = resolver
        self._in_thread = in_thread
        self._clock = clock
        self._places = asyncio.Semaphore(AT_ONCE)

    async def judge(self, envelope: Envelope, message: StagedMessage) -> Judgement:
        """Raises nothing that has to do with the message or the DNS."""
        server = self._rules.names[0]
        client, reverse_path = envelope.client, str(envelope.reverse_path)
        asked = spf.question(client.address, reverse_path, client.name, server)
        fields = fields_of(message.header_block)
        deadline = asyncio.get_running_loop().time() + self._rules.seconds
        late_chain = _LATE_CHAIN if arc.is_there(fields) else arc.Outcome(arc.Result.NONE)
        sent, signed, chain = await asyncio.gather(
            self._within(deadline, lambda: self._sender(asked), _LATE_SPF),
            self._within(deadline, lambda: self._signatures(message), _LATE_SIGNATURES),
            self._within(deadline, lambda: self._chain(message), late_chain),
        )
        author = await self._within(
            deadline,
            lambda: self._author(fields, asked, sent, signed),
            dmarc.Outcome(dmarc.Result.TEMPERROR),
        )
        identity = "smtp.mailfrom" if envelope.reverse_path.mailbox else "smtp.helo"
        findings = [
            Finding("spf", sent.result.value, properties=((identity, asked.domain),)),
            *map(_signature_finding, signed or (dkim.Outcome(dkim.Result.NONE),)),
            Finding("arc", chain.result.value, chain.reason),
            _author_finding(author),
        ]
        return Judgement(
            self._verdict(author, chain),
            results_field(server, findings),
            without_ours(message.header_block, fields, self._own),
            sent.result in (spf.Result.FAIL, spf.Result.SOFTFAIL),
        )

    async def _within(self, deadline: float, answer: Callable[[], Awaitable[T]], late: T) -> T:
        try:
            async with asyncio.timeout_at(deadline), self._places:
                return await answer()
        except TimeoutError:
            return late

    async def _sender(self, asked: spf.Question) -> spf.Outcome:
        return await spf.check(asked, self._resolver, self._clock)

    async def _signatures(self, message: StagedMessage) -> tuple[dkim.Outcome, ...]:
        return await self._read(dkim.verify, message, _LATE_SIGNATURES)

    async def _chain(self, message: StagedMessage) -> arc.Outcome:
        return await self._read(arc.verify, message, _LATE_CHAIN)

    async def _read(self, verify: _Verify[T], message: StagedMessage, unread: T) -> T:
        try:
            return await verify(
                message.header_block,
                lambda: behind_empty_line(message.body.read()),
                self._resolver,
                self._in_thread,
                self._clock(),
            )
        except OSError as error:
            log.error("a message on its way in could not be read again: %s", error)
            return unread

    async def _author(
        self,
        fields: list[Field],
        asked: spf.Question,
        sent: spf.Outcome,
        signed: tuple[dkim.Outcome, ...],
    ) -> dmarc.Outcome:
        try:
            author = author_domain(fields)
        except NoAuthor as why:
            return dmarc.Outcome(dmarc.Result.PERMERROR, reason=str(why))
        signers = [one.domain for one in signed if one.result is dkim.Result.PASS]
        sender = asked.domain if sent.result is spf.Result.PASS else None
        outcome = await dmarc.check(author, signers, sender, self._resolver)
        unsure = {sent.result.value, *(one.result.value for one in signed)}
        if outcome.result is dmarc.Result.FAIL and "temperror" in unsure:
            return dmarc.Outcome(dmarc.Result.TEMPERROR, author)
        return outcome

    def _verdict(self, author: dmarc.Outcome, chain: arc.Outcome) -> Verdict:
        if not self._rules.rejects:
            return ACCEPTED
        if author.result is dmarc.Result.PERMERROR:
            return Verdict(Kind.NOT_AUTHENTIC, author.reason)
        if author.result is not dmarc.Result.FAIL or author.policy is not Policy.REJECT:
            return ACCEPTED
        if not chain.vouches(author.author, self._rules.believed):
            detail = f"by DMARC {author.author} asks to refuse what passes neither SPF nor DKIM"
            return Verdict(Kind.NOT_AUTHENTIC, detail)
        return ACCEPTED


def _signature_finding(found: dkim.Outcome) -> Finding:
    properties = (
        ("header.d", found.domain),
        ("header.s", found.selector),
        ("header.a", found.algorithm),
        ("header.b", found.value),
    )
    return Finding("dkim", found.result.value, found.reason, properties)


def _author_finding(found: dmarc.Outcome) -> Finding:
    properties = [("header.from", found.author)]
    if found.result in {dmarc.Result.PASS, dmarc.Result.FAIL}:
        properties.append(("policy.dmarc", found.policy.value))
    return Finding("dmarc", found.result.value, found.reason, tuple(properties))

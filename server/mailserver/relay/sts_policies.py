"""The MTA-STS policies of other domains (RFC 8461): found by DNS and HTTPS, kept on disk.

    .mailserver/mta-sts/DOMAIN.txt    the policy as it came, below two lines of ours: id, fetched

A policy counts until its max_age has passed since it was fetched, whatever DNS and HTTPS say
meanwhile: who cuts us off from them cannot take it away. While its id stays the same it is fetched
again once a day, so that it does not run out.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from mailserver import durable
from mailserver.relay.dns import DnsTrouble, NoSuchName
from mailserver.relay.mta_sts import BadPolicy, Policy, read_policy, record_id
from mailserver.threads import InThread
from mailserver.wire.value import value

log = logging.getLogger(__name__)

FOLDER = "mta-sts"
POLICY_OCTETS = 64 * 1024
"""Of the biggest policy (RFC 8461 3.3)."""
POLICIES_LIMIT = 10_000
"""That are kept; the one that was fetched first goes first."""
REFRESH_SECONDS = 86_400.0
"""Age at which a policy is fetched again (RFC 8461 3.3)."""
PAUSE_SECONDS = 300.0
"""After a fetch that failed (RFC 8461 3.3)."""
_FAILURES_LIMIT = 1000

_FILE_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,240}")
_OURS = re.compile(rb"id: ([A-Za-z0-9]{1,32})\nfetched: ([0-9]{1,12})\n(.*)", re.DOTALL)


class NotFetched(Exception):
    """There was no policy where it should be. Says why."""


class Texts(Protocol):
    """The DNS's TXT records."""

    async def texts(self, name: str) -> tuple[bytes, ...]:
        """Raises NoSuchName or DnsTrouble."""


Fetch = Callable[[str], Awaitable[bytes]]
"""A domain's policy, at most POLICY_OCTETS of it; raises NotFetched."""


@value(frozen=True, slots=True)
class _Kept:
    id: str
    fetched: float
    policy: Policy


class StsPolicies:
    """Of all domains."""

    def __init__(
        self,
        data: Path,
        dns: Texts,
        fetch: Fetch,
        in_thread: InThread,
        clock: Callable[[], float],
    ) -> None:
        self._folder = data / durable.OWN_FOLDER / FOLDER
        self._dns = dns
        self._fetch = fetch
        self._in_thread = in_thread
        self._clock = clock
        self._failed: dict[str, float] = {}  # when, by domain
        self._locks = [asyncio.Lock() for _ in range(64)]  # one fetch of a policy at a time

    async def of(self, domain: str) -> Policy | None:
        """The policy of a domain, in ASCII and lower case, that counts now."""
        if not _FILE_NAME.fullmatch(domain):
            return None
        try:
            found = record_id(await self._dns.texts(f"_mta-sts.{domain}"))
        except (NoSuchName, DnsTrouble):
            found = None
        async with self._locks[hash(domain) % len(self._locks)]:
            kept = await self._in_thread(lambda: self._read(domain))
            if found is not None and self._is_to_be_fetched(domain, found, kept):
                kept = await self._fetch_new(domain, found) or kept
        return kept.policy if kept is not None else None

    def _is_to_be_fetched(self, domain: str, found: str, kept: _Kept | None) -> bool:
        now = self._clock()
        if now < self._failed.get(domain, 0.0) + PAUSE_SECONDS:
            return False
        return kept is None or kept.id != found or now >= kept.fetched + REFRESH_SECONDS

    async def _fetch_new(self, domain: str, found: str) -> _Kept | None:
        try:
            octets = await self._fetch(domain)
            fresh = _Kept(found, self._clock(), read_policy(octets))
        except (NotFetched, BadPolicy) as problem:
            log.warning("%s says that it has an MTA-STS policy, but %s", domain, problem)
            self._failed.pop(domain, None)  # the last one stands at the end
            self._failed[domain] = self._clock()
            if len(self._failed) > _FAILURES_LIMIT:
                del self._failed[next(iter(self._failed))]
            return None
        policy = fresh.policy
        log.info("MTA-STS of %s: %s, for %d seconds", domain, policy.mode.value, policy.max_age)
        try:
            await self._in_thread(lambda: self._write(domain, fresh, octets))
        except OSError as error:
            log.warning("the MTA-STS policy of %s cannot be kept: %s", domain, error)
        return fresh

    # -- on disk, in a thread ----------------------------------------------------------------------

    def _read(self, domain: str) -> _Kept | None:
        """None also when it has run out."""
        try:
            with (self._folder / f"{domain}.txt").open("rb") as file:
                ours = _OURS.fullmatch(file.read(POLICY_OCTETS + 100))
            if ours is None:
                raise BadPolicy("the file has no id")
            kept = _Kept(ours[1].decode(), float(ours[2]), read_policy(ours[3]))
        except FileNotFoundError:
            return None
        except (OSError, BadPolicy) as problem:
            log.warning("the MTA-STS policy of %s cannot be read: %s", domain, problem)
            return None
        return kept if self._clock() < kept.fetched + kept.policy.max_age else None

    def _write(self, domain: str, kept: _Kept, octets: bytes) -> None:
        """Raises OSError."""
        self._folder.mkdir(durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
        folder = durable.open_folder(os.fspath(self._folder))
        try:
            names = os.listdir(folder)
            if len(names) >= POLICIES_LIMIT:
                ages = [(os.stat(name, dir_fd=folder).st_mtime, name) for name in names]
                for _, name in sorted(ages)[: POLICIES_LIMIT // 10]:
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=folder)
            ours = b"id: %s\nfetched: %d\n" % (kept.id.encode(), int(kept.fetched))
            durable.write_atomically(f"{domain}.txt", folder, [ours + octets])
        finally:
            os.close(folder)

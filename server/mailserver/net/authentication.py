"""One AUTH exchange, of either protocol: a mechanism, and the accounts that answer it."""

from __future__ import annotations

from collections.abc import Mapping

from mailserver.accounts.base import Accounts, CheckResult, TooBusy
from mailserver.auth import sasl
from mailserver.auth.sasl import (
    Challenge,
    CheckPassword,
    Failure,
    FetchKeys,
    Mechanism,
    Step,
    Success,
)
from mailserver.net.stream import ByteStream


def bindings(stream: ByteStream) -> Mapping[str, bytes]:
    """What a mechanism may be bound to on this connection; nothing outside TLS."""
    return stream.encryption.bindings if stream.encryption is not None else sasl.NO_BINDINGS


class Authentication:
    """Led on by the client's responses until it is a CheckResult."""

    def __init__(self, mechanism: Mechanism, accounts: Accounts, peer: str) -> None:
        """`peer`: the client's IP address."""
        self.user = ""
        """Whom the client says that it is, once it has said so; nothing is proved by that."""
        self._mechanism = mechanism
        self._accounts = accounts
        self._peer = peer
        self._by_keys: str | None = None  # the user whose keys were fetched: we count the failures

    async def step(self, response: bytes | None) -> Challenge | CheckResult:
        """What to send to the client, or what came of it. None: there is no initial response."""
        if self._by_keys is not None:
            # others may have failed since: a crowd of exchanges is no way around the limit
            wait = self._accounts.must_wait(self._by_keys, self._peer)
            if wait:
                self._by_keys = None
                return CheckResult(wait=wait)
        step = self._mechanism.step(response)
        while not isinstance(step, Challenge):
            if isinstance(step, Success | Failure):
                return self._result(step)
            answer = await self._answer(step)
            if isinstance(answer, CheckResult):
                return answer
            step = answer
        return step

    def abandon(self) -> None:
        """The client went away in the middle. Keys may have been derived for it: that counts as a
        failure, or it could be had any number of times."""
        if self._by_keys is not None:
            self._accounts.note(self._by_keys, self._peer, right=False)

    async def _answer(self, asked: CheckPassword | FetchKeys) -> Step | CheckResult:
        self.user = asked.user
        if isinstance(asked, CheckPassword):
            checked = await self._accounts.check(asked.user, asked.password, self._peer)
            return checked if checked.wait else self._mechanism.checked(checked.user)
        wait = self._accounts.must_wait(asked.user, self._peer)
        if wait:
            return CheckResult(wait=wait)
        try:
            keys = await self._accounts.scram_keys(asked.user)
        except TooBusy:
            return CheckResult(wait=TooBusy.seconds)
        self._by_keys = asked.user
        return self._mechanism.keys(keys)

    def _result(self, end: Success | Failure) -> CheckResult:
        right = isinstance(end, Success)
        by_keys, self._by_keys = self._by_keys, None
        if by_keys is not None:
            self._accounts.note(by_keys, self._peer, right=right)
        return CheckResult(self._accounts.find(end.user) if isinstance(end, Success) else None)

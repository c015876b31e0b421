"""Leads one POP3 session along one connection: what the session asks, others answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from mailserver.accounts.base import Accounts, CheckResult
from mailserver.auth import sasl
from mailserver.net.authentication import Authentication, bindings
from mailserver.net.pace import LinePace
from mailserver.net.stream import ByteStream, ReceiveTimeout, SessionOver
from mailserver.net.tls import ServerTls
from mailserver.pop3 import replies
from mailserver.pop3.events import (
    ApopLogin,
    AuthResponse,
    AuthStart,
    Disconnect,
    Event,
    Login,
    LoginEvent,
    NeedData,
    Retrieve,
    SendFirst,
    StartTls,
    Update,
)
from mailserver.pop3.offer import Offer
from mailserver.pop3.session import Pop3Session
from mailserver.store.base import MailboxUnusable, Maildrop, MaildropInUse, MailStore
from mailserver.threads import InThread
from mailserver.wire.value import value

log = logging.getLogger(__name__)


@value(frozen=True, slots=True)
class Timeouts:
    """Seconds for a command line (RFC 1939 3 wants at least ten minutes after the login)."""

    login: float = 60.0
    command: float = 600.0
    send: float = 60.0


@value(frozen=True, slots=True)
class Access:
    """How one logs in to this server."""

    nonce: Callable[[], str]
    """A new text that cannot be guessed: letters, digits, `-` and `_`."""
    clock: Callable[[], float]
    """Seconds since the epoch, for `login_delay`."""
    clear_passwords: Callable[[str], bool]
    """A client at this IP address may send a password without TLS."""
    tls: ServerTls | None = None
    """For STLS."""
    apop: Callable[[bool], bool] = bool
    """It is offered, given whether a password may be sent as it is."""
    login_delay: int = 0
    """Seconds from one login of a user to his next."""
    command_limit: int = 20_000
    error_limit: int = 20


class _TooSoon(Exception):
    """The user logged in a moment ago."""


class Pop3Driver:
    """One connection."""

    def __init__(
        self,
        stream: ByteStream,
        domain: str,
        timeouts: Timeouts,
        access: Access,
        accounts: Accounts,
        store: MailStore,
        in_thread: InThread,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._domain = domain
        self._timeouts = timeouts
        self._access = access
        self._accounts = accounts
        self._store = store
        self._in_thread = in_thread
        self._maildrop: Maildrop | None = None  # set, and locked, from login to the end
        self._authentication: Authentication | None = None  # the AUTH that goes on
        self._line_pace = LinePace(clock)
        self._waiting: Event | None = None  # came while `_came` took what came
        self._ended = False  # the client says no more, or too slowly
        # who listens can try passwords on its MD5, and who answers can shorten that (CVE-2007-1558)
        apop = access.apop(self._clear_passwords)
        self._timestamp = f"<{access.nonce()}@{domain}>" if apop else ""
        self._session = Pop3Session(domain, self._offer())

    @property
    def _clear_passwords(self) -> bool:
        """A password may be sent on the connection as it is now."""
        inside_tls = self._stream.encryption is not None
        return inside_tls or self._access.clear_passwords(self._stream.peer)

    def _offer(self) -> Offer:
        """What may be used on the connection as it is now."""
        clear = self._clear_passwords
        return Offer(
            mechanisms=sasl.offered(clear=clear, bindings=bindings(self._stream)),
            clear_passwords=clear,
            timestamp=self._timestamp,
            stls=self._access.tls is not None and self._stream.encryption is None,
            login_delay=self._access.login_delay,
            commands=self._access.command_limit,
            errors=self._access.error_limit,
        )

    async def run(self) -> None:
        """Until the client or the session ends it; a lost connection deletes nothing."""
        try:
            while True:
                match self._next_event():
                    case NeedData():
                        await self._exchange()
                        if self._ended:
                            return
                    case Login() | ApopLogin() | AuthStart() | AuthResponse() as event:
                        await self._login(event)
                    case StartTls():
                        await self._start_tls()
                    case Retrieve(number):
                        await self._stream_out(number)
                    case Update(numbers):
                        await self._update(numbers)
                    case SendFirst():
                        await self._flush()
                        await asyncio.sleep(0)  # the other connections have their turn
                    case Disconnect():
                        self._close_maildrop()  # free before the client knows that it is
                        await self._flush()
                        return
        except ConnectionError:
            raise
        except Exception:  # a fault of ours, the listener logs it
            if not self._session.sending_message:
                self._session.close(replies.TRY_LATER)
            await self._flush()
            raise
        finally:
            self._close_maildrop()
            self._abandon_authentication()

    def _next_event(self) -> Event:
        """The next one that takes time; those that do not are answered."""
        if self._waiting is not None:
            event, self._waiting = self._waiting, None
            return event
        while True:
            match self._session.next_event():
                case Retrieve(number) as event:
                    assert self._maildrop is not None, "one logs in before"
                    at_hand = self._maildrop.content_at_hand(number)
                    if at_hand is None:
                        return event
                    self._session.send_message(at_hand)
                    self._session.message_sent()
                case Update(()):
                    self._session.updated(0)
                case event:
                    return event

    async def _exchange(self) -> None:
        """Send what waits, take what comes, as long as all of it can be answered at once."""
        await self._flush()
        patience = self._patience()
        if not patience:
            self._ended = True
            return
        try:
            await self._stream.hand_over(self._came, patience)
        except (ReceiveTimeout, SessionOver):
            self._ended = True  # RFC 1939 3: closed without a word, and without an UPDATE

    def _came(self, octets: bytes) -> float | None:
        """Take what came; the seconds for more, None when there is something to wait for first."""
        if not octets:
            self._ended = True
            return None
        self._session.receive_data(octets)
        event = self._next_event()
        if isinstance(event, NeedData) and self._stream.send(self._session.data_to_send()):
            return self._patience() or None
        self._waiting = event
        return None

    def _patience(self) -> float:
        """Seconds for the next octets; 0: a line has taken too long."""
        allowed = self._timeouts.command if self._maildrop else self._timeouts.login
        return self._line_pace.seconds_left(allowed, in_line=self._session.in_line)

    async def _flush(self) -> None:
        if not self._stream.send(self._session.data_to_send()):
            await self._stream.drain(self._timeouts.send)

    async def _start_tls(self) -> None:
        """RFC 2595 4; what was known of the client before is forgotten."""
        assert self._access.tls is not None, "STLS was not offered"
        await self._flush()
        await self._stream.start_tls(self._access.tls, self._timeouts.login)
        self._session = Pop3Session(self._domain, self._offer(), greeting=False)

    async def _login(self, event: LoginEvent) -> None:
        answer = await self._identify(event)
        if isinstance(answer, sasl.Challenge):
            self._session.challenge(answer.octets)
        elif answer.wait:
            self._session.refuse(replies.wait(answer.wait))
        elif answer.user is None:
            claimed = event if isinstance(event, Login | ApopLogin) else self._authentication
            assert claimed is not None, "it began with AuthStart"
            log.info("login failed for %a from %s", claimed.user[:80], self._stream.peer)
            self._session.refuse(replies.BAD_LOGIN)
        else:
            await self._open(answer.user)

    async def _identify(self, event: LoginEvent) -> CheckResult | sasl.Challenge:
        match event:
            case Login(user, password):
                return await self._accounts.check(user, password, self._stream.peer)
            case ApopLogin():
                return self._check_apop(event)
            case AuthStart(name, response):
                self._abandon_authentication()
                surroundings = sasl.Surroundings(self._access.nonce, bindings(self._stream))
                mechanism = sasl.start(name, surroundings)
                peer = self._stream.peer
                self._authentication = Authentication(mechanism, self._accounts, peer)
                return await self._authentication.step(response)
            case AuthResponse(response):
                assert self._authentication is not None
                return await self._authentication.step(response)

    def _abandon_authentication(self) -> None:
        if self._authentication is not None:
            self._authentication.abandon()

    def _check_apop(self, event: ApopLogin) -> CheckResult:
        peer = self._stream.peer
        wait = self._accounts.must_wait(event.user, peer)
        if wait:
            return CheckResult(wait=wait)
        password = self._accounts.clear_password(event.user)
        # those who have none get one that nobody knows: time tells nothing
        right = event.right(password or self._access.nonce())
        self._accounts.note(event.user, peer, right=right)
        return CheckResult(self._accounts.find(event.user) if right else None)

    async def _open(self, user: str) -> None:
        try:
            self._maildrop = self._open_at_hand(user)
            if self._maildrop is None:
                self._maildrop = await self._in_thread(lambda: self._open_maildrop(user))
        except MaildropInUse:
            self._session.refuse(replies.IN_USE)
        except _TooSoon:
            self._session.refuse(replies.TOO_SOON)
        except MailboxUnusable as problem:
            log.error("maildrop refused: %s", problem)
            self._session.refuse(replies.UNUSABLE)
        except OSError as error:
            log.error("maildrop of %s could not be opened: %s", user, error)
            self._session.refuse(replies.TRY_LATER)
        else:
            log.info("login of %s from %s", user, self._stream.peer)
            self._session.logged_in(self._maildrop)

    def _open_at_hand(self, user: str) -> Maildrop | None:
        """At once; None: it takes the disk, or there is something wrong with it. Raises
        MaildropInUse. To go to a thread and back is a fifth of the work of a short session."""
        if self._access.login_delay:  # the last login is looked up, and this one written down
            return None
        try:
            return self._store.open_maildrop(user, may_wait=False)
        except (OSError, MailboxUnusable):
            return None

    def _open_maildrop(self, user: str) -> Maildrop:
        """Raises _TooSoon, and what the store raises."""
        maildrop = self._store.open_maildrop(user)
        if self._access.login_delay:
            now = int(self._access.clock())
            try:
                # a login that is still to come was noted before the clock was set back
                if 0 <= now - maildrop.last_login() < self._access.login_delay:
                    raise _TooSoon
                maildrop.note_login(now)
            except BaseException:
                maildrop.close()
                raise
        return maildrop

    async def _stream_out(self, number: int) -> None:
        """A message that is big, or not in memory, piece by piece as the client takes it."""
        maildrop = self._maildrop
        assert maildrop is not None
        try:
            pieces = await self._in_thread(lambda: maildrop.content(number))
            wanted = True
            while wanted and (piece := await self._in_thread(lambda: next(pieces, None))):
                wanted = self._session.send_message(piece)
                await self._flush()
        except (OSError, MailboxUnusable) as error:
            if isinstance(error, ConnectionError):
                raise
            log.error("a message could not be read: %s", error)
            if not self._session.sending_message:
                self._session.refuse(replies.NO_LINES)
                return
            raise ConnectionError("the message broke off") from None
        self._session.send_message(b"")
        self._session.message_sent()

    async def _update(self, numbers: tuple[int, ...]) -> None:
        maildrop = self._maildrop
        assert maildrop is not None
        try:
            deleted = await self._in_thread(lambda: maildrop.delete(numbers))
        except (OSError, MailboxUnusable) as error:
            log.error("deletions could not be carried out: %s", error)
            self._session.refuse(replies.UPDATE_FAILED)
        else:
            self._session.updated(deleted)

    def _close_maildrop(self) -> None:
        if self._maildrop is not None:
            self._maildrop.close()
            self._maildrop = None

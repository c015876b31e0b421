"""Leads one POP3 session along one connection: what the session asks, others answer."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from mailserver.accounts.base import Accounts
from mailserver.net.stream import ByteStream, ReceiveTimeout, SessionOver
from mailserver.net.threads import InThread
from mailserver.pop3 import replies
from mailserver.pop3.events import Disconnect, Login, NeedData, Retrieve, SendFirst, Update
from mailserver.pop3.session import Pop3Session
from mailserver.store.base import MailboxUnusable, Maildrop, MaildropInUse, MailStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds without an octet (RFC 1939 3 wants at least ten minutes after the login)."""

    login: float = 60.0
    command: float = 600.0
    send: float = 60.0


class Pop3Driver:
    """One connection."""

    def __init__(
        self,
        stream: ByteStream,
        domain: str,
        timeouts: Timeouts,
        accounts: Accounts,
        store: MailStore,
        in_thread: InThread,
    ) -> None:
        self._stream = stream
        self._session = Pop3Session(domain)
        self._timeouts = timeouts
        self._accounts = accounts
        self._store = store
        self._in_thread = in_thread
        self._maildrop: Maildrop | None = None  # set, and locked, from login to the end

    async def run(self) -> None:
        """Until the client or the session ends it; a lost connection deletes nothing."""
        try:
            while True:
                match self._session.next_event():
                    case NeedData():
                        if not await self._exchange():
                            return
                    case Login(user, password):
                        await self._login(user, password)
                    case Retrieve(number):
                        await self._retrieve(number)
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

    async def _exchange(self) -> bool:
        """Send what waits, take what comes; False when nothing comes any more."""
        await self._flush()
        timeout = self._timeouts.command if self._maildrop else self._timeouts.login
        try:
            octets = await self._stream.receive(timeout)
        except (ReceiveTimeout, SessionOver):
            return False  # RFC 1939 3: closed without a word, and without an UPDATE
        self._session.receive_data(octets)
        return bool(octets)

    async def _flush(self) -> None:
        if not self._stream.send(self._session.data_to_send()):
            await self._stream.drain(self._timeouts.send)

    async def _login(self, user: str, password: str) -> None:
        checked = await self._accounts.check(user, password, self._stream.peer)
        name = checked.user
        if name is None:
            log.info("login failed for %a from %s", user[:80], self._stream.peer)
            self._session.refuse(replies.BAD_LOGIN)
            return
        try:
            self._maildrop = await self._in_thread(lambda: self._store.open_maildrop(name))
        except MaildropInUse:
            self._session.refuse(replies.IN_USE)
        except MailboxUnusable as problem:
            log.error("maildrop refused: %s", problem)
            self._session.refuse(replies.UNUSABLE)
        except OSError as error:
            log.error("maildrop of %s could not be opened: %s", name, error)
            self._session.refuse(replies.TRY_LATER)
        else:
            log.info("login of %s from %s", name, self._stream.peer)
            self._session.logged_in(self._maildrop)

    async def _retrieve(self, number: int) -> None:
        assert self._maildrop is not None
        at_hand = self._maildrop.content_at_hand(number)
        if at_hand is not None:
            self._session.send_message(at_hand)
            self._session.message_sent()
        else:
            await self._stream_out(self._maildrop, number)

    async def _stream_out(self, maildrop: Maildrop, number: int) -> None:
        """A message that is big, or not in memory, piece by piece as the client takes it."""
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
        if numbers:
            try:
                await self._in_thread(lambda: maildrop.delete(numbers))
            except (OSError, MailboxUnusable) as error:
                log.error("deletions could not be carried out: %s", error)
                self._session.refuse(replies.UPDATE_FAILED)
                return
        self._session.updated()

    def _close_maildrop(self) -> None:
        if self._maildrop is not None:
            self._maildrop.close()
            self._maildrop = None

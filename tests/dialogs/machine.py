"""The real sessions, led by the real drivers, over a connection in memory and a store on disk.

Nothing here waits for anything: a MemoryStream has its next chunk at hand, and calls "in a thread"
are made on the spot. So a driver runs to its end without an event loop, some thousand times a
second.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from mailserver import settings as settings_module
from mailserver.accounts.users_file import UsersFile
from mailserver.app.serving import counts_of
from mailserver.app.smtp import gate, policy
from mailserver.delivery.accept import Reception
from mailserver.message.verdict import Verdict
from mailserver.net import pop3_driver, smtp_driver
from mailserver.net.memory_stream import MemoryStream
from mailserver.net.pop3_driver import Pop3Driver
from mailserver.net.smtp_access import Access
from mailserver.net.smtp_driver import SmtpDriver
from mailserver.net.tls import Encryption, ServerTls
from mailserver.settings import Settings, toml_file
from mailserver.smtp.service import Service
from mailserver.store.base import Delivery, Deposit
from mailserver.store.files import FileStore
from mailserver.threads import InThread

NOW = 1795442709  # Mon, 23 Nov 2026 14:05:09 +0000
ID = "3f2a9c"
NONCE = "WsbVu4a9YtQ3"  # in the greeting's timestamp, and the server's part of a SCRAM nonce
ENCRYPTION = Encryption("TLSv1.3", "TLS_AES_256_GCM_SHA384", {"tls-exporter": bytes(32)})

T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """Runs the call at once, here."""
    return call()


def run(driver: Coroutine[Any, Any, None]) -> None:
    """Run what never waits, but may let others have their turn."""
    while True:
        try:
            awaited = driver.send(None)
        except StopIteration:
            return
        assert awaited is None, "the driver waits for something that is not in memory"


@cache
def settings_of(domain: str, lines: tuple[str, ...]) -> Settings:
    """What smtpmail makes of these lines of mailserver.toml."""
    with TemporaryDirectory() as data:
        Path(data, toml_file.NAME).write_text("\n".join(lines))
        arguments = ["25", "--data", data, "--domain", domain]
        return settings_module.read("smtpmail", "", arguments, {})


class Machine:
    """A MailServer over one data folder, with a clock that stands still."""

    def __init__(
        self,
        data: Path,
        users: dict[str, str],
        *,
        domain: str = "mailserver",
        service: Service | None = None,
        subject_limit: int | None = 100,
        settings: tuple[str, ...] = (),
        append: Callable[[Deposit], Awaitable[Verdict]] | None = None,
        clear_passwords: bool = True,
        login_delay: int = 0,
        tls: ServerTls | None = None,
        encrypted: bool = False,
        hashing: InThread = in_thread,
        opening: InThread = in_thread,
    ) -> None:
        data.mkdir(exist_ok=True)
        users_file = data / "users.txt"
        if not users_file.exists():
            users_file.write_text("".join(f"{name} {word}\n" for name, word in users.items()))
        self.data = data
        self.domain = domain
        self.opening = opening
        self.service = service or Service()
        self.clear_passwords = clear_passwords
        self.login_delay = login_delay
        self.tls = tls
        self.now = NOW
        self.ticks = 0.0  # of the clock that nobody sets
        self.users = UsersFile(data, hashing)
        self.access = Access(self.users, lambda: NONCE, lambda peer: clear_passwords, tls)
        self.encrypted = encrypted
        self.store = FileStore(data, lambda: NOW, reserve_octets=0)
        chosen = settings_of(domain, settings)
        self.gate = gate(replace(chosen, data=data), lambda: self.now)
        self.reception = Reception(
            replace(policy(chosen), subject_limit=subject_limit),
            self.users,
            self.store,
            append or self._append,
            lambda: NOW,
            lambda: ID,
            counts=counts_of(chosen, 1, lambda: NOW),
        )

    async def _append(self, deposit: Deposit) -> Verdict:
        return self.store.append([deposit])[0]

    def close(self) -> None:
        self.store.close()

    def deliver(self, user: str, content: bytes) -> None:
        """Put a message into a mailbox as it is, without trace lines."""
        staging = self.store.stage()
        staging.write(content)
        message = staging.finish()
        from_line = b"From alice@mailserver Mon Nov 23 14:05:09 2026\n"
        verdicts = self.store.append(
            [(Delivery(user, from_line, message.header_block, message.body),)]
        )
        assert all(verdicts)

    def note_login(self, user: str) -> None:
        """This user logged in just now."""
        maildrop = self.store.open_maildrop(user)
        maildrop.note_login(NOW)
        maildrop.close()

    def smtp(
        self,
        chunks: Iterable[bytes | Exception],
        timeouts: smtp_driver.Timeouts | None = None,
    ) -> MemoryStream:
        """One SMTP connection from greeting to end."""
        stream = MemoryStream(chunks)
        stream.encryption = ENCRYPTION if self.encrypted else None
        self.smtp_over(stream, timeouts)
        return stream

    def smtp_over(
        self,
        stream: MemoryStream,
        timeouts: smtp_driver.Timeouts | None = None,
        clock: Callable[[], float] = lambda: NOW,
    ) -> None:
        """One SMTP connection over this stream."""
        run(
            SmtpDriver(
                stream,
                self.domain,
                self.service,
                self.access,
                timeouts or smtp_driver.Timeouts(),
                self.reception,
                in_thread,
                clock,
                self.gate,
            ).run()
        )

    def pop3(self, chunks: Iterable[bytes | Exception]) -> MemoryStream:
        """One POP3 connection from greeting to end."""
        stream = MemoryStream(chunks)
        self.lead_pop3(stream)
        return stream

    def lead_pop3(self, stream: MemoryStream) -> None:
        """The same, for a client that looks at what it is sent."""
        timeouts = pop3_driver.Timeouts()
        access = pop3_driver.Access(
            nonce=lambda: NONCE,
            clock=lambda: self.now,
            clear_passwords=lambda peer: self.clear_passwords,
            tls=self.tls,
            login_delay=self.login_delay,
            command_limit=self.service.limits.commands,
        )
        run(
            Pop3Driver(
                stream,
                self.domain,
                timeouts,
                access,
                self.users,
                self.store,
                self.opening,
                lambda: self.ticks,
            ).run()
        )

    def mailbox(self, user: str) -> bytes:
        """The file as it is; b"" when there is none."""
        path = self.data / user / "mymailbox"
        return path.read_bytes() if path.exists() else b""

    def messages(self, user: str) -> list[bytes]:
        """All messages of a user as POP3 sends them (without added full stops)."""
        maildrop = self.store.open_maildrop(user)
        try:
            return [b"".join(maildrop.content(n)) for n in range(1, len(maildrop.octets) + 1)]
        finally:
            maildrop.close()


class Chunks:
    """Chunks for a MemoryStream, and whether the server asked for more than there were."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.exhausted = False
        self._chunks = [chunk for chunk in chunks if chunk]

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        self.exhausted = True


def locked(machine: Machine, user: str) -> ExitStack:
    """Another session has the maildrop until this is closed."""
    stack = ExitStack()
    if user:
        stack.callback(machine.store.open_maildrop(user).close)
    return stack

"""What an SMTP client may use on its connection: TLS, and mechanisms to show who it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from mailserver.accounts.base import Accounts
from mailserver.auth import sasl
from mailserver.net.authentication import Authentication, bindings
from mailserver.net.stream import ByteStream
from mailserver.net.tls import ServerTls
from mailserver.smtp.service import Service
from mailserver.wire.value import value


@value(frozen=True, slots=True)
class Access:
    """How one logs in to this server, and what protects its connections."""

    accounts: Accounts
    nonce: Callable[[], str]
    """A new text that cannot be guessed: letters, digits, `-` and `_`."""
    clear_passwords: Callable[[str], bool]
    """A client at this IP address may send a password without TLS."""
    tls: ServerTls | None = None
    """For STARTTLS."""

    def service(self, at_port: Service, stream: ByteStream) -> Service:
        """What there is on this connection as it is now, of what the port offers on any."""
        suite = stream.encryption.cipher if stream.encryption is not None else ""
        clear = bool(suite) or self.clear_passwords(stream.peer)
        mechanisms = sasl.offered(clear=clear, bindings=bindings(stream))
        return _service(at_port, suite, self.tls is not None and not suite, mechanisms)

    def authentication(self, mechanism: str, stream: ByteStream) -> Authentication:
        """A new exchange with this client."""
        surroundings = sasl.Surroundings(self.nonce, bindings(stream))
        return Authentication(sasl.start(mechanism, surroundings), self.accounts, stream.peer)


_INSIDE_TLS = sasl.offered(clear=True)


@lru_cache(maxsize=64)
def _service(at_port: Service, suite: str, starttls: bool, mechanisms: tuple[str, ...]) -> Service:
    return replace(
        at_port,
        tls=suite,
        starttls=starttls,
        mechanisms=mechanisms,
        tls_mechanisms=_INSIDE_TLS if starttls else (),
    )

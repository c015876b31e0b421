"""What one session offers: settings and what is known of its connection, as a value.

To add an extension: a row in `EXTENSIONS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from mailserver.wire.value import value


@value(frozen=True, slots=True)
class Limits:
    """What one session may ask for."""

    message_octets: int = 50_000_000
    recipients: int = 1000
    """A message; RFC 5321 4.5.3.1.8 wants at least 100."""
    errors: int = 20
    """Faulty commands without a message stored between them."""
    messages: int = 10_000
    """MAIL commands in a session that were accepted."""
    commands: int = 20_000
    """Commands without a message stored between them."""
    failed_logins: int = 3


@dataclass(frozen=True)
class Service:
    """What there is for this client, here and now."""

    limits: Limits = Limits()  # noqa: RUF009 # it is frozen
    tls: str = ""
    """The cipher suite of the connection; "": it is not inside TLS."""
    starttls: bool = False
    """It could go into TLS."""
    mechanisms: tuple[str, ...] = ()
    """SASL mechanisms that may be used on this connection."""
    tls_mechanisms: tuple[str, ...] = ()
    """Those that could be used if it were inside TLS."""
    submission: bool = False
    """MAIL only after AUTH (RFC 6409 4.3)."""
    verifies: bool = False
    """VRFY says who is here."""

    @cached_property
    def extensions(self) -> tuple[str, ...]:
        """The lines of the reply to EHLO (RFC 5321 4.1.1.1)."""
        offers = ((keyword, offer(self)) for keyword, (offer, _) in EXTENSIONS.items())
        return tuple(f"{word} {value}".rstrip() for word, value in offers if value is not None)


def _always(service: Service) -> str:
    return ""


def _size(service: Service) -> str:
    return str(service.limits.message_octets)


_SIX_DIGITS = 999_999  # RFC 9422 4.1, 4.2


def _limits(service: Service) -> str:
    messages = min(service.limits.messages, _SIX_DIGITS)
    return f"MAILMAX={messages} RCPTMAX={min(service.limits.recipients, _SIX_DIGITS)}"


def _starttls(service: Service) -> str | None:
    return "" if service.starttls and not service.tls else None


def _auth(service: Service) -> str | None:
    return " ".join(service.mechanisms) or None


def _require_tls(service: Service) -> str | None:
    return "" if service.tls else None


Offer = Callable[[Service], str | None]
"""The parameters behind the keyword; None when it is not offered."""

EXTENSIONS: dict[str, tuple[Offer, str]] = {
    "PIPELINING": (_always, "RFC 2920 2"),
    "SIZE": (_size, "RFC 1870 3"),
    "8BITMIME": (_always, "RFC 6152 2"),
    "SMTPUTF8": (_always, "RFC 6531 3.1"),
    "CHUNKING": (_always, "RFC 3030 2"),
    "DSN": (_always, "RFC 3461 3"),
    "STARTTLS": (_starttls, "RFC 3207 2"),
    "AUTH": (_auth, "RFC 4954 3"),
    "REQUIRETLS": (_require_tls, "RFC 8689 2"),
    "LIMITS": (_limits, "RFC 9422 3"),
    "ENHANCEDSTATUSCODES": (_always, "RFC 2034 3"),
    "HELP": (_always, "RFC 5321 4.1.1.8"),
}
"""What EHLO names, in this order; who says whether and with which parameters; the clause."""

DEFAULT = Service()

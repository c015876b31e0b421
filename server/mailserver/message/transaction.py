"""What a client asks of a server: one message for some recipients (RFC 5321 3.3)."""

from __future__ import annotations

from mailserver.message.envelope import MailParameters, Recipient
from mailserver.wire.address import ReversePath
from mailserver.wire.value import value


@value(frozen=True, slots=True)
class Transaction:
    """One message at one server."""

    reverse_path: ReversePath
    parameters: MailParameters
    recipients: tuple[Recipient, ...]
    octets: int
    """Of the content, CRLF line ends."""
    eight_bit: bool = False
    """The content has octets above 127."""
    utf8_header: bool = False
    """Its header has: only a server with SMTPUTF8 may have it (RFC 6531 3.5)."""

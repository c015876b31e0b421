"""What SMTP says about a message, apart from the message itself (RFC 5321 2.3.1)."""

from __future__ import annotations

from enum import Enum

from mailserver.wire.address import ForwardPath, ReversePath
from mailserver.wire.value import value


@value(frozen=True, slots=True)
class Client:
    """Who is at the other end of the connection."""

    address: str
    """IP address, as text."""
    name: str = ""
    """What it called itself in EHLO or HELO; not to be believed."""
    extended: bool = False
    """It said EHLO."""
    tls: str = ""
    """The cipher suite, by the name that IANA has for it, where the connection is inside TLS."""
    user: str = ""
    """The account it has shown to be its own (RFC 4954); "" for nobody's."""


class Notify(Enum):
    """When the sender wants to hear of a recipient (RFC 3461 4.1)."""

    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


class Return(Enum):
    """What of the message a report of failure carries (RFC 3461 4.3)."""

    FULL = "FULL"
    HEADER = "HDRS"


@value(frozen=True, slots=True)
class MailParameters:
    """What MAIL asks for behind the reverse-path."""

    octets: int | None = None
    """SIZE=, what the client promises (RFC 1870 6)."""
    eight_bit: bool = False
    """BODY=8BITMIME (RFC 6152)."""
    utf8: bool = False
    """SMTPUTF8: addresses and header may be UTF-8 (RFC 6531)."""
    returned: Return | None = None
    """RET= (RFC 3461 4.3)."""
    envelope_id: str = ""
    """ENVID=, decoded (RFC 3461 4.4)."""
    require_tls: bool = False
    """REQUIRETLS: may be passed on inside verified TLS only (RFC 8689)."""


@value(frozen=True, slots=True)
class RcptParameters:
    """What RCPT asks for behind the forward-path."""

    notify: frozenset[Notify] | None = None
    """NOTIFY= (RFC 3461 4.1); empty for NEVER, None when it was not given."""
    original: str = ""
    """ORCPT=, decoded: address type, semicolon, address (RFC 3461 4.2)."""


NO_MAIL_PARAMETERS = MailParameters()
NO_RCPT_PARAMETERS = RcptParameters()


@value(frozen=True, slots=True)
class Recipient:
    """Whom the message is for, and what is to be reported about it."""

    forward_path: ForwardPath
    parameters: RcptParameters = NO_RCPT_PARAMETERS


@value(frozen=True, slots=True)
class Envelope:
    """One mail transaction. It is replaced whole, so a reset can forget nothing."""

    client: Client
    reverse_path: ReversePath
    parameters: MailParameters = NO_MAIL_PARAMETERS
    recipients: tuple[Recipient, ...] = ()

    @property
    def forward_paths(self) -> tuple[ForwardPath, ...]:
        """The recipients' addresses alone."""
        return tuple(recipient.forward_path for recipient in self.recipients)

    def with_recipient(self, recipient: Recipient) -> Envelope:
        """The same with one recipient more."""
        return Envelope(
            self.client, self.reverse_path, self.parameters, (*self.recipients, recipient)
        )

"""What SMTP says about a message, apart from the message itself (RFC 5321 2.3.1)."""

from __future__ import annotations

from dataclasses import dataclass

from mailserver.wire.address import ForwardPath, ReversePath


@dataclass(frozen=True, slots=True)
class Client:
    """Who is at the other end of the connection."""

    address: str
    """IP address, as text."""
    name: str = ""
    """What it called itself in EHLO or HELO; not to be believed."""
    extended: bool = False
    """It said EHLO."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One mail transaction. It is replaced whole, so a reset can forget nothing."""

    client: Client
    reverse_path: ReversePath
    forward_paths: tuple[ForwardPath, ...] = ()
    declared_octets: int | None = None
    """What SIZE= promised (RFC 1870 6)."""
    eight_bit: bool = False
    """BODY=8BITMIME was given (RFC 6152)."""

    def with_recipient(self, forward_path: ForwardPath) -> Envelope:
        """The same with one recipient more."""
        return Envelope(
            self.client,
            self.reverse_path,
            (*self.forward_paths, forward_path),
            self.declared_octets,
            self.eight_bit,
        )

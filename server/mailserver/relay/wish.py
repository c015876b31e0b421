"""What a sender asks of TLS, whatever the way is."""

from __future__ import annotations

from enum import Enum


class Wish(Enum):
    """What a sender asks of TLS on the way (RFC 8689)."""

    NONE = ""
    REQUIRED = "REQUIRETLS"
    """Only hosts that have shown who they are, and that promise the same."""
    OPTIONAL = "TLS-Required: No"
    """Whatever the recipient's domain asks for: better in the clear than not at all."""

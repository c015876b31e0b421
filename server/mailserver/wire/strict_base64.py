"""Base64 as SASL's responses have it (RFC 4954 4, RFC 5034 4): what does not belong there is no
base64."""

from __future__ import annotations

import base64


def decode(encoded: bytes) -> bytes:
    """Raises ValueError."""
    if len(encoded) % 4:  # Python's decoder takes "AAAA="
        raise ValueError(encoded)
    return base64.b64decode(encoded, validate=True)

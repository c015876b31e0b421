"""Domain names beyond ASCII, and the one form in which names can be compared (RFC 5890)."""

from __future__ import annotations

import unicodedata


def ascii_form(domain: str) -> str:
    """The domain in lower case, its U-labels as A-labels; raises ValueError for a name that IDNA
    does not allow."""
    if domain.isascii():
        return domain.lower()
    import idna  # its tables take longer to load than all of ours: only when somebody needs them

    return idna.encode(unicodedata.normalize("NFC", domain.lower()), strict=True).decode("ascii")

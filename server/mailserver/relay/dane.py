"""TLSA records, and which certificates they mean (RFC 6698, 7671; for SMTP RFC 7672 3)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from mailserver.wire.value import value

ANCHOR, LEAF = 2, 3
"""Usages DANE-TA and DANE-EE, the only ones that SMTP knows (RFC 7672 3.1)."""
_CERTIFICATE, _PUBLIC_KEY = 0, 1
_WHOLE = 0
_DIGESTS = {1: hashlib.sha256, 2: hashlib.sha512}
"""By matching type, the stronger one last."""


@value(frozen=True, slots=True)
class Tlsa:
    """One record."""

    usage: int
    selector: int
    matching: int
    data: bytes

    def means(self, certificate: bytes, public_key: bytes) -> bool:
        """It is about this certificate: DER of all of it, and of its SubjectPublicKeyInfo."""
        chosen = public_key if self.selector == _PUBLIC_KEY else certificate
        if self.matching != _WHOLE:
            chosen = _DIGESTS[self.matching](chosen).digest()
        return hmac.compare_digest(chosen, self.data)

    @property
    def whole_certificate(self) -> bytes:
        """The certificate that it carries, DER; b"" when it carries something else."""
        return self.data if (self.selector, self.matching) == (_CERTIFICATE, _WHOLE) else b""


def usable(records: Iterable[Tlsa]) -> tuple[Tlsa, ...]:
    """Those that can show who a mail server is. Of several digests for the same thing the strongest
    counts alone, so that a weak one can be phased out (RFC 7671 9)."""
    known = [record for record in records if _is_usable(record)]
    strongest: dict[tuple[int, int], int] = {}
    for record in known:
        about = (record.usage, record.selector)
        strongest[about] = max(strongest.get(about, _WHOLE), record.matching)
    return tuple(
        record
        for record in known
        if record.matching in (_WHOLE, strongest[record.usage, record.selector])
    )


def _is_usable(record: Tlsa) -> bool:
    if record.usage not in (ANCHOR, LEAF) or record.selector not in (_CERTIFICATE, _PUBLIC_KEY):
        return False
    if record.matching == _WHOLE:
        return bool(record.data)
    digest = _DIGESTS.get(record.matching)
    return digest is not None and len(record.data) == digest().digest_size

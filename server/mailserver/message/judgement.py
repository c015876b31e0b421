"""What was found out about a message before it is taken."""

from __future__ import annotations

from mailserver.message.verdict import Verdict
from mailserver.wire.value import value


@value(frozen=True, slots=True)
class Judgement:
    """Of one message."""

    verdict: Verdict
    """Whether it may be taken."""
    fields: bytes = b""
    """What is to stand above its header, LF line ends."""
    header_block: bytes = b""
    """Its header, without what others wrote there in our name."""
    forged: bool = False
    """The domain of its reverse-path says that the client is none of its own."""

"""Reports of success, for senders who asked for them (RFC 3461 5.2.3)."""

from __future__ import annotations

from mailserver.message.envelope import Envelope, Notify
from mailserver.message.outcome import Fate, Outcome
from mailserver.message.report import HEADER_LIMIT, About, Action, Fact, header_of, report

_STORED = Outcome(Fate.DELIVERED, "2.0.0", "It is in the mailbox.")


def receipt(
    envelope: Envelope, header_block: bytes, message_id: str, own_name: str, now: float
) -> bytes:
    """A message to the envelope's sender, CRLF line ends; b"" when nothing was asked for. It
    carries no more than the header, also with RET=FULL (RFC 3461 4.3). `header_block`: with LF
    line ends."""
    facts = [
        Fact(Action.DELIVERED, recipient, _STORED)
        for recipient in envelope.recipients
        if Notify.SUCCESS in (recipient.parameters.notify or ())
    ]
    if not facts:
        return b""
    about = About(message_id, now, envelope.parameters, str(envelope.reverse_path))
    original = header_of(header_block[:HEADER_LIMIT].replace(b"\n", b"\r\n"))
    return report(about, facts, original, whole=False, own_name=own_name, now=now)

"""Reports of success, for senders who asked for them (RFC 3461 5.2.3, 5.2.7)."""

from __future__ import annotations

from collections.abc import Iterable

from mailserver.message.envelope import Envelope, Recipient
from mailserver.message.outcome import Fate, Outcome
from mailserver.message.report import HEADER_LIMIT, About, Action, Fact, header_of, report

_OUTCOMES = {
    Action.DELIVERED: Outcome(Fate.DELIVERED, "2.0.0", "It is in the mailbox."),
    Action.EXPANDED: Outcome(Fate.DELIVERED, "2.0.0", "It is on its way to all of them."),
}


def receipts(
    envelope: Envelope,
    settled: Iterable[tuple[Action, Recipient]],
    header_block: bytes,
    message_id: str,
    own_name: str,
    now: float,
) -> list[bytes]:
    """Messages to the envelope's sender, CRLF line ends, one for what was delivered and one for
    what was expanded. They carry no more than the header, also with RET=FULL (RFC 3461 4.3).
    `header_block`: with LF line ends."""
    about = About(message_id, now, envelope.parameters, str(envelope.reverse_path))
    original = header_of(header_block[:HEADER_LIMIT].replace(b"\n", b"\r\n"))
    made = []
    for action, outcome in _OUTCOMES.items():
        facts = [Fact(action, recipient, outcome) for told, recipient in settled if told is action]
        if facts:
            made.append(report(about, facts, original, whole=False, own_name=own_name, now=now))
    return made

"""Which senders are to hear what (RFC 3461 4.1, 5.2): never of a message without a sender."""

from __future__ import annotations

from mailserver.message.envelope import Notify
from mailserver.message.outcome import Fate
from mailserver.message.report import Action, Fact
from mailserver.relay.backoff import Patience
from mailserver.relay.entry import Progress, QueuedMessage

_DEFAULT = frozenset({Notify.FAILURE, Notify.DELAY})
"""Without NOTIFY (RFC 3461 4.1): failures, and delays as an old custom."""


def due(message: QueuedMessage, patience: Patience, now: float) -> dict[Action, tuple[int, ...]]:
    """The numbers of the recipients about whom a report is to be sent now."""
    found: dict[Action, list[int]] = {}
    if message.entry.reverse_path.mailbox is None:  # RFC 5321 4.5.5
        return {}
    for number, progress in enumerate(message.progress):
        asked = message.entry.recipients[number].parameters.notify
        action = _action(progress, _DEFAULT if asked is None else asked)
        if action is Action.DELAYED and not _is_late(message, patience, now):
            continue
        if action is not None:
            found.setdefault(action, []).append(number)
    return {action: tuple(numbers) for action, numbers in found.items()}


def _action(progress: Progress, wanted: frozenset[Notify]) -> Action | None:
    if progress.told or progress.outcome is None:
        return None
    match progress.outcome.fate:
        case Fate.PERMANENT:
            return Action.FAILED if Notify.FAILURE in wanted else None
        case Fate.TEMPORARY:
            return Action.DELAYED if Notify.DELAY in wanted and not progress.warned else None
        case Fate.DELIVERED:
            to_tell = Notify.SUCCESS in wanted and not progress.outcome.reports
            return Action.RELAYED if to_tell else None


def _is_late(message: QueuedMessage, patience: Patience, now: float) -> bool:
    return patience.delay is not None and now >= message.entry.arrived + patience.delay


def facts(
    message: QueuedMessage, action: Action, numbers: tuple[int, ...], patience: Patience
) -> list[Fact]:
    """What a report says of these recipients."""
    found = []
    for number in numbers:
        progress = message.progress[number]
        assert progress.outcome is not None, "`due` names only those"
        until = message.entry.arrived + patience.lifetime if action is Action.DELAYED else 0.0
        recipient = message.entry.recipients[number]
        found.append(Fact(action, recipient, progress.outcome, progress.last_try, until))
    return found

"""Reports to senders: what became of their message (RFC 3461 6, 3462, 3464), CRLF line ends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from textwrap import wrap

from mailserver.message.envelope import MailParameters, Recipient
from mailserver.message.header import read_header
from mailserver.message.outcome import Outcome
from mailserver.message.trace import stamp
from mailserver.wire import xtext
from mailserver.wire.value import value

FULL_LIMIT = 1_000_000
"""Octets of the biggest message that a report carries whole (RET=FULL); of others the header."""
HEADER_LIMIT = 64 * 1024
"""Octets of a header that a report carries."""


class Action(Enum):
    """RFC 3464 2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


_SUBJECT = {
    Action.FAILED: "Your message could not be delivered",
    Action.DELAYED: "Your message is delayed",
    Action.DELIVERED: "Your message was delivered",
    Action.RELAYED: "Your message was passed on",
    Action.EXPANDED: "Your message was passed on",
}
_WORDS = {
    Action.FAILED: "could not be delivered, and will not be tried again, to:",
    Action.DELAYED: "could not be delivered yet, and will be tried again; you need not do "
    "anything. It waits for:",
    Action.DELIVERED: "was delivered to:",
    Action.RELAYED: "was passed on to a server that sends no reports, for:",
    Action.EXPANDED: "was passed on to all those who are behind this address:",
}
_MEANING = {
    "1.1": "There is no such mailbox. Is the address spelled right?",
    "2.1": "The mailbox takes no mail.",
    "2.2": "The mailbox is full.",
    "2.3": "The message is too big.",
    "3.4": "The message is too big.",
    "4.7": "It was tried again and again, until it was too old.",
}
"""Of a failure's status without its class (RFC 3463 3): servers' own words are often obscure."""
_REFUSED = "The server there refuses it by its rules."
"""What all of X.7 mean, from others."""
SUBJECT_LIMIT = 200
"""Characters of the subject that are quoted."""


@value(frozen=True, slots=True)
class Fact:
    """About one recipient."""

    action: Action
    recipient: Recipient
    outcome: Outcome
    last_try: float = 0.0
    """Seconds since the epoch; 0: there was none elsewhere."""
    until: float = 0.0
    """When it will be given up; 0: that is no question any more."""


@value(frozen=True, slots=True)
class About:
    """The message that a report is about."""

    message_id: str
    """By which this server knows it."""
    arrived: float
    parameters: MailParameters
    sender: str
    """Its reverse-path, to which the report goes."""


def report(
    about: About,
    facts: Sequence[Fact],
    original: bytes,
    *,
    whole: bool,
    own_name: str,
    now: float,
    number: int = 0,
) -> bytes:
    """A message for `about.sender`. `original`: the message (`whole`), or its header. All facts
    have one action. `number`: of the report, among those with this action."""
    action, header = facts[0].action, header_of(original)
    addresses = [about.sender, *(str(fact.recipient.forward_path) for fact in facts)]
    utf8 = not (all(map(str.isascii, addresses)) and header.isascii())
    text = "\r\n".join(_for_people(about, facts, header, own_name))
    eight_bit = ["Content-Transfer-Encoding: 8bit"]
    of_text = [] if text.isascii() else eight_bit
    of_original = [] if original.isascii() and not utf8 else eight_bit
    boundary = f"=_{about.message_id}_{int(now)}"
    while boundary.encode() in original:
        boundary += "_"
    kind = "global-delivery-status" if utf8 else "delivery-status"
    head = (
        f"From: Mail Delivery System <MAILER-DAEMON@{own_name}>",
        f"To: <{about.sender}>",
        f"Subject: {_SUBJECT[action]}",
        f"Date: {stamp(int(now)).date_time}",
        f"Message-ID: <{about.message_id}.{action.value}.{number}@{own_name}>",
        "Auto-Submitted: auto-replied",  # RFC 3834 5
        "MIME-Version: 1.0",
        f"Content-Type: multipart/report; report-type={kind};",
        f'\tboundary="{boundary}"',
        *(of_text or of_original),
        "",
        "This is a report by a mail server, in MIME format (RFC 3464).",
        "",
        f"--{boundary}",
        f"Content-Type: text/plain; charset={'utf-8' if of_text else 'us-ascii'}",
        *of_text,
        "",
        text,
        "",
        f"--{boundary}",
        f"Content-Type: message/{kind}",
        *(eight_bit if utf8 else []),
        "",
        *_for_programs(about, facts, own_name, utf8=utf8),
        "",
        f"--{boundary}",
        f"Content-Type: {_original_kind(whole=whole, utf8=utf8)}",
        *of_original,
        "",
        "",
    )
    ending = b"" if original.endswith(b"\r\n") else b"\r\n"
    return "\r\n".join(head).encode() + original + ending + f"\r\n--{boundary}--\r\n".encode()


def header_of(beginning: bytes) -> bytes:
    """The header of a message of which this is the beginning."""
    if beginning.startswith(b"\r\n"):
        return b""
    end = beginning.find(b"\r\n\r\n")
    if end >= 0:
        return beginning[: end + 2]
    end = beginning.rfind(b"\r\n", 0, HEADER_LIMIT)
    return beginning[: end + 2] if end >= 0 else b""


def _original_kind(*, whole: bool, utf8: bool) -> str:
    if utf8:  # RFC 6533 4.2, 4.3
        return "message/global" if whole else "message/global-headers"
    return "message/rfc822" if whole else "text/rfc822-headers"


def _for_people(about: About, facts: Sequence[Fact], header: bytes, own_name: str) -> Iterator[str]:
    yield f"This is the mail server {own_name}. Your message"
    yield ""
    subject = read_header(header.replace(b"\r\n", b"\n")).subject[:SUBJECT_LIMIT]
    if subject:
        shown = "".join(one if one.isprintable() else "?" for one in subject)
        yield from _indented(f"Subject: {shown}")
    yield from _indented(f"Sent: {stamp(int(about.arrived)).date_time}")
    yield ""
    yield from wrap(_WORDS[facts[0].action], 72)
    for fact in facts:
        said_by = fact.outcome.said_by
        yield ""
        yield f"  <{fact.recipient.forward_path}>"
        if fact.action is Action.FAILED:
            yield from _indented(_meaning(fact.outcome))
        yield from _indented(f"{said_by} said: " * bool(said_by) + fact.outcome.text)
        if fact.until:
            yield from _indented(f"It is given up on {stamp(int(fact.until)).date_time}.")


def _meaning(outcome: Outcome) -> str:
    detail = outcome.status.partition(".")[2]
    if detail.startswith("7.") and outcome.said_by:
        return _REFUSED
    return _MEANING.get(detail, "")


def _indented(text: str) -> list[str]:
    indent = " " * 4
    return wrap(text, 72, initial_indent=indent, subsequent_indent=indent, break_long_words=True)


def _for_programs(about: About, facts: Sequence[Fact], own_name: str, *, utf8: bool) -> list[str]:
    """RFC 3464 2.1: fields of the message, then fields of each recipient."""
    lines = []
    if about.parameters.envelope_id:
        lines.append(f"Original-Envelope-Id: {xtext.encode(about.parameters.envelope_id)}")
    lines += [
        f"Reporting-MTA: dns; {own_name}",
        f"Arrival-Date: {stamp(int(about.arrived)).date_time}",
    ]
    for fact in facts:
        address, outcome = str(fact.recipient.forward_path), fact.outcome
        lines.append("")
        original = fact.recipient.parameters.original
        if original and (utf8 or original.isascii()):
            lines.append(f"Original-Recipient: {original.replace(';', '; ', 1)}")
        kind = "rfc822" if address.isascii() else "utf-8"
        lines += [
            f"Final-Recipient: {kind}; {address}",
            f"Action: {fact.action.value}",
            f"Status: {outcome.status}",
        ]
        if outcome.said_by:
            lines.append(f"Remote-MTA: dns; {outcome.said_by}")
            lines += _folded(f"Diagnostic-Code: smtp; {outcome.text}", utf8=utf8)
        elif fact.action in (Action.FAILED, Action.DELAYED):
            lines += _folded(f"Diagnostic-Code: x-mailserver; {outcome.text}", utf8=utf8)
        if fact.last_try:
            lines.append(f"Last-Attempt-Date: {stamp(int(fact.last_try)).date_time}")
        if fact.until:
            lines.append(f"Will-Retry-Until: {stamp(int(fact.until)).date_time}")
    return lines


def _folded(line: str, *, utf8: bool) -> list[str]:
    text = line if utf8 else re.sub(r"[^ -~]", "?", line)
    return wrap(text, 76, subsequent_indent=" ", break_long_words=False, break_on_hyphens=False)

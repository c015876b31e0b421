"""What another server offers (RFC 5321 4.1.1.1), and what that means for a message."""

from __future__ import annotations

from collections.abc import Iterable

from mailserver.message.envelope import Notify, Recipient
from mailserver.message.outcome import Fate, Outcome, failed
from mailserver.message.transaction import Transaction
from mailserver.wire import idn, xtext
from mailserver.wire.address import Mailbox
from mailserver.wire.value import value


@value(frozen=True, slots=True)
class Offers:
    """Of one server, on one connection."""

    pipelining: bool = False
    size: int | None = None
    """The biggest message, in octets; None: not named."""
    sizes: bool = False
    """It knows SIZE= (RFC 1870)."""
    eight_bit: bool = False
    utf8: bool = False
    dsn: bool = False
    starttls: bool = False
    require_tls: bool = False
    mechanisms: frozenset[str] = frozenset()
    messages: int | None = None
    """On this connection (RFC 9422 4.1); None: not named."""
    recipients: int | None = None
    """Of a message (RFC 9422 4.2)."""


def read(lines: tuple[str, ...], *, tls: bool) -> Offers:
    """From the reply to EHLO. What makes sense only inside TLS, or only outside, counts there."""
    found: dict[str, list[str]] = {}
    for line in lines[1:]:
        # "AUTH=PLAIN" is how some wrote it before RFC 2554
        keyword, *parameters = line.upper().replace("AUTH=", "AUTH ", 1).split() or [""]
        found.setdefault(keyword, []).extend(parameters)
    size = next(iter(found.get("SIZE", [])), "")
    octets = int(size) if size.isascii() and size.isdigit() and len(size) <= 20 else 0
    return Offers(
        pipelining="PIPELINING" in found,
        size=octets or None,  # RFC 1870 4: 0 means that there is no fixed limit
        sizes="SIZE" in found,
        eight_bit="8BITMIME" in found,
        utf8="SMTPUTF8" in found,
        dsn="DSN" in found,
        starttls="STARTTLS" in found and not tls,
        require_tls="REQUIRETLS" in found and tls,
        mechanisms=frozenset(found.get("AUTH", ())),
        messages=_limit(found, "MAILMAX"),
        recipients=_limit(found, "RCPTMAX"),
    )


def _limit(found: dict[str, list[str]], name: str) -> int | None:
    """RFC 9422 3, 4: `NAME=n`, n of at most six digits and not 0; anything else is not there."""
    for word in found.get("LIMITS", ()):
        key, _, number = word.partition("=")
        if key == name and number.isascii() and number.isdigit() and len(number) <= 6:
            return int(number) or None
    return None


def obstacle(
    has: Offers, transaction: Transaction, recipient: Recipient, *, verified: bool
) -> Outcome | None:
    """Why this server cannot have the message for this recipient; None: it can be tried."""
    needs_tls = transaction.parameters.require_tls and transaction.reverse_path.mailbox
    if needs_tls and not (verified and has.require_tls):  # a report goes all the same (5)
        text = "REQUIRETLS: the next server does not promise it inside verified TLS (RFC 8689 4.2)"
        return failed(Fate.PERMANENT, "7.30", text)
    if has.size is not None and transaction.octets > has.size:
        text = f"it has {transaction.octets} octets, and the next server takes {has.size} at most"
        return failed(Fate.PERMANENT, "3.4", text)
    if not has.utf8 and (transaction.utf8_header or not _all_ascii(transaction, recipient)):
        text = "the next server takes ASCII alone in addresses and headers (RFC 6531)"
        return failed(Fate.PERMANENT, "6.7", text)
    if transaction.eight_bit and not has.eight_bit:
        text = "the next server takes ASCII alone (RFC 6152)"
        return failed(Fate.PERMANENT, "6.3", text)
    return None


def mail_line(has: Offers, transaction: Transaction) -> str:
    """MAIL with the parameters that this server knows."""
    asked, mailbox = transaction.parameters, transaction.reverse_path.mailbox
    words = [f"MAIL FROM:<{_address(mailbox, has) if mailbox else ''}>"]
    if has.sizes:
        words.append(f"SIZE={transaction.octets}")
    if has.eight_bit and transaction.eight_bit:
        words.append("BODY=8BITMIME")
    if has.utf8 and asked.utf8:
        words.append("SMTPUTF8")
    if has.dsn and asked.returned is not None:
        words.append(f"RET={asked.returned.value}")
    if has.dsn and asked.envelope_id:
        words.append(f"ENVID={xtext.encode(asked.envelope_id)}")
    if asked.require_tls and has.require_tls:
        words.append("REQUIRETLS")
    return " ".join(words)


def rcpt_line(has: Offers, recipient: Recipient) -> str:
    """RCPT with the parameters that this server knows."""
    asked = recipient.parameters
    words = [f"RCPT TO:<{_address(recipient.forward_path.mailbox, has)}>"]
    if has.dsn and asked.notify is not None:
        words.append(f"NOTIFY={_notify(asked.notify)}")
    if has.dsn and asked.original and (has.utf8 or asked.original.isascii()):
        kind, _, original = asked.original.partition(";")
        encoded = xtext.encode(original) if original.isascii() else original
        words.append(f"ORCPT={kind};{encoded}")
    return " ".join(words)


def _notify(notify: Iterable[Notify]) -> str:
    return ",".join(sorted(one.value for one in notify)) or "NEVER"


def _address(mailbox: Mailbox, has: Offers) -> str:
    return str(mailbox if has.utf8 else _with_ascii_domain(mailbox))


def _all_ascii(transaction: Transaction, recipient: Recipient) -> bool:
    sender = transaction.reverse_path.mailbox
    return all(
        mailbox is None or mailbox.local_part.isascii()
        for mailbox in (sender, recipient.forward_path.mailbox)
    )


def _with_ascii_domain(mailbox: Mailbox) -> Mailbox:
    """A-labels say the same as U-labels (RFC 6531 3.2)."""
    if mailbox.domain.isascii():
        return mailbox
    return Mailbox(mailbox.local_part, idn.ascii_form(mailbox.domain))

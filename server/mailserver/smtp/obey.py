"""What each command does, once `states.TABLE` has said that it may come now.

To add a command: a function and its row in `OBEY`. What has to be decided outside is asked for with
`session.ask(event, answered)`; all else is answered here with `session.say(reply)`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from mailserver.message.envelope import Client, Envelope, Recipient
from mailserver.smtp import replies, usage
from mailserver.smtp.commands import (
    Auth,
    Bdat,
    Command,
    Data,
    Ehlo,
    Expn,
    Helo,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)
from mailserver.smtp.events import (
    AuthStart,
    Event,
    MailFrom,
    MessageData,
    MessageStart,
    RcptTo,
    Verify,
)
from mailserver.smtp.events import StartTls as StartTlsEvent
from mailserver.smtp.replies import Reply
from mailserver.smtp.states import TABLE
from mailserver.wire import address
from mailserver.wire.chunks import ChunkDecoder
from mailserver.wire.cursor import Cursor, SyntaxProblem
from mailserver.wire.dots import DotDecoder

if TYPE_CHECKING:
    from mailserver.smtp.session import SmtpSession


def _hello(session: SmtpSession, command: Ehlo | Helo) -> Event | None:
    # RFC 5321 4.1.4: a second EHLO does what RSET does.
    abandoned = session.end_transaction()
    extended = isinstance(command, Ehlo)
    known = session.client
    session.client = Client(known.address, command.name, extended, known.tls, known.user)
    session.advance(type(command))
    if extended:
        session.say(replies.ehlo_ok(session.domain, command.name, session.service.extensions))
    else:
        session.say(replies.helo_ok(session.domain, command.name))
    return abandoned


def _starttls(session: SmtpSession, command: StartTls) -> Event | None:
    if session.service.tls:
        return session.fault(replies.TLS_ALREADY)
    if not session.service.starttls:
        return session.fault(replies.NO_STARTTLS)
    # Commands in the clear behind it would be obeyed as if they had come inside TLS
    # (CVE-2011-0411): whoever sends them is no client, or not alone.
    if session.input_waits:
        return session.fault(replies.BEHIND_STARTTLS)

    def answered(reply: Reply) -> None:
        session.say(reply)
        if reply.code == 220:
            session.advance(StartTls)

    return session.ask(StartTlsEvent(), answered)


def _auth(session: SmtpSession, command: Auth) -> Event | None:
    service = session.service
    if session.client.user:
        return session.fault(replies.AUTH_ALREADY)
    if command.mechanism in service.mechanisms:
        return session.ask_mechanism(AuthStart(command.mechanism, command.initial))
    if command.mechanism in service.tls_mechanisms:
        return session.fault(replies.TLS_FOR_AUTH)
    return session.fault(replies.UNKNOWN_MECHANISM if service.mechanisms else replies.NO_AUTH)


def _mail(session: SmtpSession, command: Mail) -> Event | None:
    asked, limits = command.parameters, session.service.limits
    if asked.require_tls and not session.service.tls:
        return session.fault(replies.UNKNOWN_PARAMETER)
    # RFC 1870 6.1: a declared size over the limit is refused before the content is sent.
    if asked.octets is not None and asked.octets > limits.message_octets:
        session.say(replies.TOO_BIG)
        return None
    if session.messages >= limits.messages:
        session.close(replies.TOO_MANY_MESSAGES)
        return None
    proposed = Envelope(session.client, command.reverse_path, asked)

    def answered(reply: Reply) -> None:
        session.say(reply)
        if reply.code == 250:
            session.messages += 1
            session.envelope = proposed
            session.advance(Mail)

    return session.ask(MailFrom(proposed), answered)


def _rcpt(session: SmtpSession, command: Rcpt) -> Event | None:
    envelope = session.transaction()
    if not (envelope.parameters.utf8 or command.forward_path.mailbox.is_ascii):
        return session.fault(replies.RECIPIENT_NOT_ASCII)
    # RFC 5321 4.5.3.1.10: those over the limit get 452, the others stay.
    if len(envelope.recipients) >= session.service.limits.recipients:
        session.say(replies.TOO_MANY_RECIPIENTS)
        return None
    recipient = Recipient(command.forward_path, command.parameters)

    def answered(reply: Reply) -> None:
        if reply.code == 250:
            session.say(reply)
            session.envelope = envelope.with_recipient(recipient)
            session.advance(Rcpt)
        else:
            _not_here(session, reply)

    return session.ask(RcptTo(recipient), answered)


def _not_here(session: SmtpSession, reply: Reply) -> None:
    """Whoever asks for many who are not here is guessing (RFC 5321 7.3): it counts as an error."""
    if reply.code == 550:
        session.fault(reply)
    else:
        session.say(reply)


def _data(session: SmtpSession, command: Data) -> Event:
    def answered(reply: Reply) -> None:
        session.say(reply)
        if reply.code == 354:
            session.advance(Data)
            session.read_content(DotDecoder(session.service.limits.message_octets))
        else:
            session.end_transaction()

    return session.ask(MessageStart(session.transaction()), answered)


def _bdat(session: SmtpSession, command: Bdat) -> Event | None:
    decoder = session.decoder
    if isinstance(decoder, ChunkDecoder):
        session.read_content(decoder)
        content = decoder.begin(command.octets, command.last)
        return MessageData(content) if content else None

    def answered(reply: Reply) -> None:
        if reply.code == 354:
            session.advance(Bdat)
            first = ChunkDecoder(session.service.limits.message_octets)
            first.begin(command.octets, command.last)
            session.read_content(first)
        else:
            session.end_transaction()
            session.drain(command.octets, partial(session.say, reply))

    return session.ask(MessageStart(session.transaction()), answered)


def _rset(session: SmtpSession, command: Rset) -> Event | None:
    abandoned = session.end_transaction()
    session.say(replies.RESET_OK)
    return abandoned


def _noop(session: SmtpSession, command: Noop) -> None:
    session.say(replies.NOOP_OK)


def _vrfy(session: SmtpSession, command: Vrfy) -> Event | None:
    # RFC 5321 3.5.3 and 7.3: 252 tells nobody who has an account here.
    mailbox = _mailbox(command.text, session.domain) if session.service.verifies else None
    if mailbox is None:
        session.say(replies.CANNOT_VERIFY)
        return None
    if not (command.utf8 or mailbox.is_ascii):
        session.say(replies.VERIFIED_UTF8)
        return None
    return session.ask(Verify(mailbox), partial(_not_here, session))


def _mailbox(text: str, own_domain: str) -> address.Mailbox | None:
    cursor = Cursor(text)
    try:
        found = address.user_or_mailbox(cursor)
    except SyntaxProblem:
        return None
    if not cursor.at_end():
        return None
    return address.Mailbox(found.local_part, found.domain or own_domain)


def _expn(session: SmtpSession, command: Expn) -> None:
    session.say(replies.NOT_EXPANDED)


def _help(session: SmtpSession, command: Help) -> None:
    session.say(usage.about(command.topic))


def _quit(session: SmtpSession, command: Quit) -> None:
    session.close(replies.closing(session.domain))


OBEY: dict[type[Command], Callable[[SmtpSession, Any], Event | None]] = {
    Ehlo: _hello,
    Helo: _hello,
    StartTls: _starttls,
    Auth: _auth,
    Mail: _mail,
    Rcpt: _rcpt,
    Data: _data,
    Bdat: _bdat,
    Rset: _rset,
    Noop: _noop,
    Vrfy: _vrfy,
    Expn: _expn,
    Help: _help,
    Quit: _quit,
}
assert OBEY.keys() == TABLE.keys()

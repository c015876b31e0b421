"""What the client can do, as plain functions: no prompt, no screen, no exit."""

from __future__ import annotations

from dataclasses import field, replace
from datetime import datetime
from email.utils import make_msgid

from mailapp import compose, outgoing
from mailapp.link import Link
from mailapp.mailbox import Mailbox
from mailapp.outgoing import Receipt
from mailapp.pop3 import Pop3Client, open_session
from mailapp.state import State
from mailapp.value import value

GREETING_SECONDS = 5.0


@value(frozen=True)
class Server:
    """The arguments of the command, and how the two servers are reached."""

    host: str
    smtp_port: int
    pop3_port: int
    link: Link = field(default_factory=Link)

    @property
    def state(self) -> State:
        """What is remembered."""
        return self.link.state


@value(frozen=True)
class Account:
    """Who reads and sends."""

    user: str
    password: str = field(repr=False)


def account_key(server: Server, account: Account) -> str:
    """The account's name in the state."""
    return f"{account.user}@{server.host.lower()}:{server.pop3_port}"


def open_mailbox(server: Server, account: Account) -> Mailbox:
    """Log in. Raises Unreachable (Unsafe too) or a Pop3Error; the connection is closed then."""

    def connect() -> Pop3Client:
        return open_session(
            server.host, server.pop3_port, server.link, account.user, account.password
        )

    return Mailbox(connect, server.state, account_key(server, account))


def mail_domain(server: Server) -> str:
    """The domain for a sender's address: the server's own word, else its host name, else empty."""
    link = replace(server.link, connect_seconds=GREETING_SECONDS, reply_seconds=GREETING_SECONDS)
    domain = outgoing.server_domain(server.host, server.smtp_port, link)
    is_name = compose.is_domain(server.host) and not server.host.replace(".", "").isdigit()
    return domain or (server.host if is_name else "")


def send(server: Server, draft: compose.Draft, account: Account | None = None) -> Receipt:
    """Make the message and hand it over. Raises Unreachable (Unsafe too) or NotSent."""
    content = message_of(draft)
    receipt = send_content(
        server, draft.sender, draft.envelope, content, account, draft.wants_report
    )
    server.state.meet({address: address for address in draft.envelope})
    return receipt


def message_of(draft: compose.Draft) -> bytes:
    """The message as it goes over the wire, with the time and a new id."""
    message_id = make_msgid(domain=draft.sender.rpartition("@")[2]).strip("<>")
    return compose.to_message(draft, datetime.now().astimezone(), message_id)


def send_content(
    server: Server,
    sender: str,
    recipients: tuple[str, ...],
    content: bytes,
    account: Account | None = None,
    wants_report: bool = False,
) -> Receipt:
    """Hand over a message with CRLF line ends. Raises Unreachable (Unsafe too) or NotSent."""
    login = (account.user, account.password) if account else None
    return outgoing.send(
        server.host,
        server.smtp_port,
        server.link,
        sender,
        recipients,
        content,
        login,
        wants_report,
    )


def fingerprint(server: Server, port: int) -> str:
    """The certificate that a server shows, believed or not: for a person to compare.

    Nothing is remembered and no password said. Raises Unreachable, NotSent or a Pop3Error.
    """
    link = replace(server.link, state=State(), trusts_first=True)
    if port == server.pop3_port:
        Pop3Client(server.host, port, link).quit()
    else:
        outgoing.check(server.host, port, link)
    return link.state.fingerprint(server.host, port)

"""What the client can do, as plain functions: no prompt, no screen, no exit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import make_msgid

from mailapp import compose, outgoing
from mailapp.mailbox import Mailbox
from mailapp.pop3 import Pop3Client

GREETING_SECONDS = 5.0


@dataclass(frozen=True)
class Server:
    """The arguments of the command."""

    host: str
    smtp_port: int
    pop3_port: int


@dataclass(frozen=True)
class Account:
    """Who reads and sends."""

    user: str
    password: str


def open_mailbox(server: Server, account: Account) -> Mailbox:
    """Log in. Raises Unreachable or a Pop3Error; the connection is closed then."""
    client = Pop3Client(server.host, server.pop3_port)
    try:
        client.login(account.user, account.password)
        return Mailbox(client)
    except BaseException:
        client.close()
        raise


def mail_domain(server: Server) -> str:
    """The domain for a sender's address: the server's own word, else its host name, else empty."""
    domain = outgoing.server_domain(server.host, server.smtp_port, GREETING_SECONDS)
    is_name = compose.is_domain(server.host) and not server.host.replace(".", "").isdigit()
    return domain or (server.host if is_name else "")


def send(server: Server, draft: compose.Draft) -> None:
    """Make the message and hand it over. Raises Unreachable or NotSent."""
    message_id = make_msgid(domain=draft.sender.rpartition("@")[2]).strip("<>")
    message = compose.to_message(draft, datetime.now().astimezone(), message_id)
    outgoing.send(server.host, server.smtp_port, draft.sender, draft.recipients, message)

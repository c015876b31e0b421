"""What HELP tells (RFC 5321 4.1.1.8): a line for each command."""

from __future__ import annotations

from mailserver.smtp import replies
from mailserver.smtp.replies import Reply

USAGE: dict[str, str] = {
    "EHLO": "EHLO <your name or [address]>: hello; the reply lists the extensions",
    "HELO": "HELO <your name>: hello, without extensions",
    "STARTTLS": "STARTTLS: go on inside TLS, beginning with EHLO",
    "AUTH": "AUTH <mechanism> [initial response]: show who you are; * cancels",
    "MAIL": "MAIL FROM:<you@domain> [SIZE=octets] [BODY=8BITMIME] [SMTPUTF8] "
    "[RET=FULL|HDRS] [ENVID=id] [REQUIRETLS]: begin a message",
    "RCPT": "RCPT TO:<them@domain> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=rfc822;address]: "
    "one more recipient",
    "DATA": "DATA: the message follows; a line with only a full stop ends it",
    "BDAT": "BDAT <octets> [LAST]: so many octets of the message follow",
    "RSET": "RSET: forget the message",
    "NOOP": "NOOP: nothing",
    "VRFY": "VRFY <user or address>: is there such a mailbox?",
    "EXPN": "EXPN <list>: who is on a mailing list?",
    "HELP": "HELP [command]: this",
    "QUIT": "QUIT: good-bye",
}

GENERAL = replies.help_text(
    f"Commands: {' '.join(USAGE)}\n"
    "To send: EHLO <your name>, MAIL FROM:<you@domain>, RCPT TO:<them@domain>, DATA,\n"
    "the message, a line with only a full stop. See RFC 5321."
)


def about(topic: str) -> Reply:
    """The reply to HELP."""
    if not topic:
        return GENERAL
    usage = USAGE.get(topic.upper())
    return replies.help_text(usage) if usage else replies.UNKNOWN_TOPIC

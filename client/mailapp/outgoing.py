"""Sending one message by SMTP (RFC 5321), all recipients or none.

When a recipient is refused, nothing is sent: the person corrects the list and nobody gets the
message twice. A server's words are raw: show them with `render.visible_line`.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from mailapp.compose import is_domain
from mailapp.link import Link, first_use
from mailapp.network import Unreachable, reason
from mailapp.smtp_wire import SmtpWire, greeted, introduced
from mailapp.value import value

COMMIT_SECONDS = 600.0  # RFC 5321 4.5.3.2.6: giving up early means sending twice
FAREWELL_SECONDS = 5.0
MAX_WORDS = 400  # characters of a reply that are kept


@value(frozen=True)
class Problem:
    """One line for the person: who or what was refused, and the server's reply."""

    text: str
    recipient: str = ""
    code: int = 0  # 0: the server did not say anything
    is_login: bool = False

    @property
    def is_temporary(self) -> bool:
        """Worth trying again later: the server says so, or could not be heard."""
        return not self.code or 400 <= self.code < 500


class NotSent(Exception):
    """Nothing was sent, for these problems; or, `is_uncertain`, perhaps it was."""

    def __init__(
        self,
        problems: Sequence[Problem],
        is_uncertain: bool = False,
        answers: Sequence[Answer] = (),
    ) -> None:
        super().__init__("; ".join(problem.text for problem in problems))
        self.problems = tuple(problems)
        self.is_uncertain = is_uncertain
        self.answers = tuple(answers)  # of the recipients that were asked about

    @property
    def verdict(self) -> str:
        """In two or three words; one refused recipient keeps the message from all of them."""
        if self.is_uncertain:
            return "Perhaps sent"
        return "Sent to nobody" if any(one.is_taken for one in self.answers) else "Not sent"


@value(frozen=True)
class Answer:
    """What the server said to one recipient."""

    recipient: str
    code: int
    text: str

    @property
    def is_taken(self) -> bool:
        """RFC 5321 3.3 and 3.4: 250, or 251 for one who has moved."""
        return self.code in {250, 251}


@value(frozen=True)
class Receipt:
    """The message is the server's now: each recipient's answer, and the one to the message."""

    answers: tuple[Answer, ...]
    text: str
    is_encrypted: bool


def server_domain(host: str, port: int, link: Link) -> str:
    """The domain name in the server's greeting (RFC 5321 4.2); empty when it cannot be had."""
    try:
        smtp = first_use(link, lambda link: greeted(host, port, link))
    except (Unreachable, smtplib.SMTPException, OSError):
        return ""
    quit_politely(smtp)
    domain = smtp.greeting.decode("ascii", "replace").partition(" ")[0]
    return domain if is_domain(domain) else ""


def check(host: str, port: int, link: Link) -> None:
    """220, EHLO, QUIT. Raises Unreachable or NotSent."""
    with _session(host, port, link):
        pass


def send(
    host: str,
    port: int,
    link: Link,
    sender: str,
    recipients: Sequence[str],
    message: bytes,
    login: tuple[str, str] | None = None,
    wants_report: bool = False,
) -> Receipt:
    """Hand the message over. Returns when the server has taken it for every recipient.

    Addresses are valid by `compose.address`; the message has CRLF line ends. `login` is said
    where the server asks for it. `wants_report`: of its delivery, too, and not of failures alone.
    Raises Unreachable or NotSent.
    """
    with _session(host, port, link) as smtp:
        if login:
            _sign_in(smtp, *login)
        notify = _notify(smtp) if wants_report else ""
        answers = _envelope(smtp, sender, recipients, _parameters(smtp, message), notify)
        text = _mail_data(smtp, message)
        return Receipt(answers, text, smtp.is_encrypted)


@contextmanager
def _session(host: str, port: int, link: Link) -> Iterator[SmtpWire]:
    """A connection that says QUIT in the end; smtplib's exceptions become NotSent."""
    smtp = None
    try:
        smtp = introduced(host, port, link)
        yield smtp
    except smtplib.SMTPConnectError as error:
        words = "the server does not take mail now"
        raise NotSent([_refusal(words, error.smtp_code, _octets(error.smtp_error))]) from error
    except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected) as error:
        raise NotSent([_failure(error)]) from error
    except OSError as error:
        raise NotSent([Problem(f"the connection was lost: {reason(error)}")]) from error
    finally:
        if smtp is not None:
            quit_politely(smtp)


def _sign_in(smtp: SmtpWire, user: str, password: str) -> None:
    try:
        smtp.sign_in(user, password)
    except smtplib.SMTPAuthenticationError as error:
        words = "the server does not take this user name and password for sending"
        problem = _refusal(words, error.smtp_code, _octets(error.smtp_error))
        raise NotSent([replace(problem, is_login=True)]) from error


def _parameters(smtp: SmtpWire, message: bytes) -> str:
    """What MAIL says of the message: SIZE (RFC 1870 4), BODY (RFC 6152 2)."""
    size = f" SIZE={len(message)}" if smtp.has_extn("size") else ""
    if message.isascii():
        return size
    if not smtp.has_extn("8bitmime"):
        raise NotSent([Problem("the server takes no 8-bit mail, and this is some", code=554)])
    return f"{size} BODY=8BITMIME"


def _notify(smtp: SmtpWire) -> str:
    """What RCPT says of reports (RFC 3461 4.1)."""
    if not smtp.has_extn("dsn"):
        raise NotSent([Problem("the server gives no reports of delivery (DSN)", code=555)])
    return " NOTIFY=SUCCESS,FAILURE,DELAY"


def _envelope(
    smtp: SmtpWire, sender: str, recipients: Sequence[str], parameters: str, notify: str
) -> tuple[Answer, ...]:
    code, text = smtp.docmd("MAIL", f"FROM:<{sender}>{parameters}")
    if code != 250:
        raise NotSent([_refusal(f"the sender {sender} was refused", code, text)])
    smtp.trace.state = "transaction"
    answers = []
    problems = []
    for recipient in recipients:
        code, text = smtp.docmd("RCPT", f"TO:<{recipient}>{notify}")
        answers.append(Answer(recipient, code, _words(text)))
        if not answers[-1].is_taken:
            problems.append(_refusal(f"{recipient} was refused", code, text, recipient))
    if problems:
        raise NotSent(problems, answers=answers)
    return tuple(answers)


def _mail_data(smtp: SmtpWire, message: bytes) -> str:
    code, text = smtp.docmd("DATA")
    if code != 354:
        raise NotSent([_refusal("the message was refused", code, text)])
    smtp.trace.state = "mail data"
    smtp.wait_at_most(COMMIT_SECONDS)
    end = b".\r\n" if message.endswith(b"\r\n") else b"\r\n.\r\n"
    try:
        smtp.send_content(re.sub(rb"(?m)^\.", b"..", message) + end)  # RFC 5321 4.5.2
        code, text = smtp.getreply()
    except smtplib.SMTPServerDisconnected as error:
        problem = Problem(f"the connection was lost before the server had confirmed: {error}")
        raise NotSent([problem], is_uncertain=True) from error
    if code != 250:
        raise NotSent([_refusal("the message was refused", code, text)])
    smtp.trace.state = "ready"
    return f"{code} {_words(text)}"


def quit_politely(smtp: SmtpWire) -> None:
    """Leave politely; what goes wrong now changes nothing."""
    try:
        if smtp.sock is not None:
            smtp.wait_at_most(FAREWELL_SECONDS)
            smtp.quit()
    except (smtplib.SMTPException, OSError):
        pass
    finally:
        smtp.close()


def _refusal(what: str, code: int, reply: bytes, recipient: str = "") -> Problem:
    later = " (for the moment; try again later)" if 400 <= code < 500 else ""
    return Problem(f"{what}{later}: {code} {_words(reply)}", recipient, code)


def _words(reply: bytes) -> str:
    return " ".join(reply.decode("utf-8", "replace").split("\n"))[:MAX_WORDS]


def _failure(error: smtplib.SMTPException) -> Problem:
    if isinstance(error, smtplib.SMTPResponseException):
        return _refusal("the server refused", error.smtp_code, _octets(error.smtp_error))
    return Problem(f"the connection was lost: {error}")


def _octets(reply: bytes | str) -> bytes:
    return reply if isinstance(reply, bytes) else reply.encode("utf-8", "replace")

"""Sending one message by SMTP (RFC 5321), all recipients or none.

When a recipient is refused, nothing is sent: the person corrects the list and nobody gets the
message twice. A server's words are raw: show them with `render.visible_line`.
"""

from __future__ import annotations

import re
import smtplib
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from mailapp.compose import is_domain
from mailapp.network import Unreachable, reason

CONNECT_SECONDS = 30.0
REPLY_SECONDS = 60.0
COMMIT_SECONDS = 600.0  # RFC 5321 4.5.3.2.6: giving up early means sending twice
FAREWELL_SECONDS = 5.0
MAX_REPLY_LINES = 100
_MAX_LINE_OCTETS = 2048


@dataclass(frozen=True)
class Problem:
    """One line for the person: who or what was refused, and the server's reply."""

    text: str
    recipient: str = ""
    is_temporary: bool = False


class NotSent(Exception):
    """Nothing was sent, for these problems; or, `is_uncertain`, perhaps it was."""

    def __init__(self, problems: Sequence[Problem], is_uncertain: bool = False) -> None:
        super().__init__("; ".join(problem.text for problem in problems))
        self.problems = tuple(problems)
        self.is_uncertain = is_uncertain


class BoundedSmtp(smtplib.SMTP):
    """smtplib's client, with replies that have to end."""

    def wait_at_most(self, seconds: float) -> None:
        """For each piece of what the server says from now on."""
        if self.sock is not None:
            self.sock.settimeout(seconds)

    def getreply(self) -> tuple[int, bytes]:
        """RFC 5321 4.2.1. Raises SMTPServerDisconnected or SMTPResponseException."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection was lost")
        if self.file is None:
            self.file = self.sock.makefile("rb")
        lines = []
        for _ in range(MAX_REPLY_LINES):
            try:
                line = self.file.readline(_MAX_LINE_OCTETS)
            except OSError as error:
                self.close()
                raise smtplib.SMTPServerDisconnected(reason(error)) from error
            if not line:
                self.close()
                raise smtplib.SMTPServerDisconnected("the server closed the connection")
            if not line.endswith(b"\n") or not line[:3].isdigit():
                break
            lines.append(line[4:].strip())
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(lines)
        self.close()
        raise smtplib.SMTPServerDisconnected("what the server sent is no SMTP reply")


def server_domain(host: str, port: int, seconds: float) -> str:
    """The domain name in the server's greeting (RFC 5321 4.2); empty when it cannot be had."""
    try:
        smtp, greeting = _connect(host, port, seconds)
    except (Unreachable, NotSent):
        return ""
    _quit(smtp)
    domain = greeting.decode("ascii", "replace").partition(" ")[0]
    return domain if is_domain(domain) else ""


def check(host: str, port: int, seconds: float) -> None:
    """220, EHLO, QUIT. Raises Unreachable or NotSent."""
    smtp, _ = _connect(host, port, seconds)
    try:
        smtp.ehlo_or_helo_if_needed()
    except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected) as error:
        raise NotSent([_failure(error)]) from error
    finally:
        _quit(smtp)


def send(host: str, port: int, sender: str, recipients: Sequence[str], message: bytes) -> None:
    """Hand the message over. Returns when the server has taken it for every recipient.

    Addresses are valid by `compose.address`; the message has CRLF line ends. Raises Unreachable
    or NotSent.
    """
    smtp, _ = _connect(host, port, CONNECT_SECONDS)
    try:
        smtp.wait_at_most(REPLY_SECONDS)
        smtp.ehlo_or_helo_if_needed()
        _envelope(smtp, sender, recipients, len(message))
        _mail_data(smtp, message)
    except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected) as error:
        raise NotSent([_failure(error)]) from error
    except OSError as error:
        raise NotSent([Problem(f"the connection was lost: {reason(error)}")]) from error
    finally:
        _quit(smtp)


def _connect(host: str, port: int, seconds: float) -> tuple[BoundedSmtp, bytes]:
    smtp = BoundedSmtp(local_hostname=_own_name(), timeout=seconds)
    try:
        code, greeting = smtp.connect(host, port)
    except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected) as error:
        smtp.close()
        raise NotSent([_failure(error)]) from error
    except OSError as error:
        smtp.close()
        raise Unreachable("SMTP", host, port, reason(error)) from error
    except UnicodeError:
        raise Unreachable("SMTP", host, port, "this is no valid host name") from None
    if code != 220:
        smtp.close()
        raise NotSent([_refusal("the server does not take mail now", code, greeting)])
    return smtp, greeting


def _own_name() -> str:
    """What EHLO says (RFC 5321 4.1.4): the host's name, or a literal where that is no domain."""
    name = socket.gethostname()
    return name if is_domain(name) else "[127.0.0.1]"


def _envelope(smtp: BoundedSmtp, sender: str, recipients: Sequence[str], octets: int) -> None:
    size = f" SIZE={octets}" if smtp.has_extn("size") else ""  # RFC 1870 4
    code, text = smtp.docmd("MAIL", f"FROM:<{sender}>{size}")
    if code != 250:
        raise NotSent([_refusal(f"the sender {sender} was refused", code, text)])
    problems = []
    for recipient in recipients:
        code, text = smtp.docmd("RCPT", f"TO:<{recipient}>")
        if code not in (250, 251):
            problems.append(_refusal(f"{recipient} was refused", code, text, recipient))
    if problems:
        raise NotSent(problems)


def _mail_data(smtp: BoundedSmtp, message: bytes) -> None:
    code, text = smtp.docmd("DATA")
    if code != 354:
        raise NotSent([_refusal("the message was refused", code, text)])
    smtp.wait_at_most(COMMIT_SECONDS)
    end = b".\r\n" if message.endswith(b"\r\n") else b"\r\n.\r\n"
    try:
        smtp.send(re.sub(rb"(?m)^\.", b"..", message) + end)  # RFC 5321 4.5.2
        code, text = smtp.getreply()
    except smtplib.SMTPServerDisconnected as error:
        problem = Problem(f"the connection was lost before the server had confirmed: {error}")
        raise NotSent([problem], is_uncertain=True) from error
    if code != 250:
        raise NotSent([_refusal("the message was refused", code, text)])


def _quit(smtp: BoundedSmtp) -> None:
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
    words = " ".join(reply.decode("utf-8", "replace").split("\n"))[:400]
    later = " (for the moment; try again later)" if 400 <= code < 500 else ""
    return Problem(f"{what}{later}: {code} {words}", recipient, bool(later))


def _failure(error: smtplib.SMTPException) -> Problem:
    if isinstance(error, smtplib.SMTPResponseException):
        reply = error.smtp_error
        octets = reply if isinstance(reply, bytes) else reply.encode("utf-8", "replace")
        return _refusal("the server refused", error.smtp_code, octets)
    return Problem(f"the connection was lost: {error}")

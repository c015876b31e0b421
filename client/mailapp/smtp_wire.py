"""smtplib's client with replies that have to end, told to whoever looks on, over a safe link."""

from __future__ import annotations

import base64
import binascii
import smtplib
import socket
import ssl
from contextlib import suppress

from mailapp import sasl
from mailapp.compose import is_domain
from mailapp.link import Link, Tls, check_password_is_safe, encrypt, first_use, wants_tls
from mailapp.network import Unreachable, reason
from mailapp.trace import CLIENT, HIDDEN, Trace

MAX_REPLY_LINES = 100
_MAX_LINE_OCTETS = 2048


class SmtpWire(smtplib.SMTP):
    """One connection. `greeting` is what the server said first."""

    def __init__(self, host: str, port: int, link: Link) -> None:
        """Nothing is connected yet: `connected` does that."""
        super().__init__(local_hostname=own_name(), timeout=link.connect_seconds)
        self.trace = Trace("SMTP", link.watch, "greeting")
        self.greeting = b""
        self._server = (host, port)
        self._link = link
        self._secret = ""  # what a trace has instead of the next line
        self._is_cancelled = False

    def wait_at_most(self, seconds: float) -> None:
        """For each piece of what the server says from now on."""
        if self.sock is not None:
            self.sock.settimeout(seconds)

    def cancel(self) -> None:
        """From another thread: whoever waits for the server is told that it is gone."""
        self._is_cancelled = True
        if self.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS is in use."""
        return isinstance(self.sock, ssl.SSLSocket)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((host, port), timeout)
        self.trace.note(f"connected to {host} port {port}")
        if self._link.tls is Tls.IMPLICIT:
            return encrypt(plain, self.trace, *self._server, self._link)
        return plain

    def send(self, s: str | bytes) -> None:  # type: ignore[override]
        """A command line; its secret is hidden from whoever looks on."""
        line = s.decode("utf-8", "replace") if isinstance(s, bytes) else s
        self.trace.client(self._secret or line.removesuffix("\r\n"))
        self._secret = ""
        super().send(s)

    def send_content(self, octets: bytes) -> None:
        """Mail data with its dots and its end (RFC 5321 4.5.2)."""
        content = self.trace.content(CLIENT)
        content.feed(octets)
        content.end()
        super().send(octets)

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
                raise smtplib.SMTPServerDisconnected(self._why(reason(error))) from error
            if not line:
                self.close()
                raise smtplib.SMTPServerDisconnected(self._why("the server closed the connection"))
            self.trace.server(line.rstrip(b"\r\n").decode("utf-8", "replace"))
            if not line.endswith(b"\n") or not line[:3].isdigit():
                break
            lines.append(line[4:].strip())
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(lines)
        self.close()
        raise smtplib.SMTPServerDisconnected("what the server sent is no SMTP reply")

    def _why(self, words: str) -> str:
        return "cancelled" if self._is_cancelled else words

    def introduce(self) -> None:
        """EHLO, TLS where it is to be, EHLO again (RFC 3207 4.2). Raises NoTls, Unsafe too."""
        self.ehlo_or_helo_if_needed()
        self.trace.state = "ready"
        if not wants_tls(self._link, self.has_extn("starttls"), self.trace, *self._server):
            return
        code, text = self.docmd("STARTTLS")
        if code != 220:
            raise smtplib.SMTPResponseException(code, text)
        if self.file is not None and self._has_more():
            self.close()
            raise smtplib.SMTPServerDisconnected("clear words came after the server's 220")
        assert self.sock is not None
        self.sock = encrypt(self.sock, self.trace, *self._server, self._link)
        self.file = None
        self.helo_resp = self.ehlo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False
        self.ehlo_or_helo_if_needed()

    def _has_more(self) -> bool:
        """Whether octets came behind the reply that was read: an injection (CVE-2011-0411)."""
        assert self.sock is not None
        assert self.file is not None
        self.sock.settimeout(0)
        try:
            return bool(self.file.peek(1))
        except OSError:
            return False
        finally:
            self.sock.settimeout(self._link.reply_seconds)

    def sign_in(self, user: str, password: str) -> bool:
        """AUTH (RFC 4954) where it is offered. Raises ClearPassword, SMTPResponseException."""
        offered = self.esmtp_features.get("auth", "").split()
        ways = sasl.mechanisms(offered, user, password, self.is_encrypted)
        for mechanism in ways:
            if mechanism.shows_password and self.sock is not None:
                check_password_is_safe(self.sock, self.trace, *self._server, self._link)
            code, text = self._authenticate(mechanism)
            if code == 235:
                return True
            if code != 535 or mechanism is ways[-1]:
                raise smtplib.SMTPAuthenticationError(code, text)
        return False

    def _authenticate(self, mechanism: sasl.Mechanism) -> tuple[int, bytes]:
        first = base64.b64encode(mechanism.first()).decode()
        self._secret = f"AUTH {mechanism.name} {HIDDEN}"
        code, text = self.docmd("AUTH", f"{mechanism.name} {first}")
        while code == 334:
            try:
                response = mechanism.next(base64.b64decode(text, validate=True))
            except (sasl.BadChallenge, binascii.Error) as problem:
                self.close()
                why = f"the login was broken off: {problem}"
                raise smtplib.SMTPServerDisconnected(why) from problem
            self._secret = HIDDEN
            code, text = self.docmd(base64.b64encode(response).decode())
        if code == 235 and not mechanism.accepted():
            self.close()
            raise smtplib.SMTPServerDisconnected("the server did not show that it is itself")
        return code, text


def greeted(host: str, port: int, link: Link) -> SmtpWire:
    """A connection whose greeting was 220; nothing was said to it yet.

    Raises Unreachable (Unsafe too) or an smtplib exception; all is closed then.
    """
    smtp = SmtpWire(host, port, link)
    try:
        code, smtp.greeting = smtp.connect(host, port)
        smtp.wait_at_most(link.reply_seconds)
        if code != 220:
            raise smtplib.SMTPConnectError(code, smtp.greeting)
    except (smtplib.SMTPException, Unreachable):
        smtp.close()
        raise
    except OSError as error:
        smtp.close()
        raise Unreachable("SMTP", host, port, reason(error)) from error
    except UnicodeError:
        smtp.close()
        raise Unreachable("SMTP", host, port, "this is no valid host name") from None
    except BaseException:
        smtp.close()
        raise
    return smtp


def introduced(host: str, port: int, link: Link) -> SmtpWire:
    """A connection with its extensions known, encrypted where it is to be. Raises as `greeted`."""

    def connect(link: Link) -> SmtpWire:
        smtp = greeted(host, port, link)
        try:
            smtp.introduce()
        except BaseException:
            smtp.close()
            raise
        return smtp

    return first_use(link, connect)


def own_name() -> str:
    """What EHLO says (RFC 5321 4.1.4): the host's name, or a literal where that is no domain."""
    name = socket.gethostname()
    return name if is_domain(name) else "[127.0.0.1]"

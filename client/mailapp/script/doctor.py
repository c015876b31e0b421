"""`doctor`: step by step, what works between this machine and the two servers."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Callable, Iterator

from mailapp import exits
from mailapp.actions import Account, Server
from mailapp.exits import Failed
from mailapp.link import first_use
from mailapp.network import Unreachable, reason
from mailapp.outgoing import quit_politely
from mailapp.pop3 import Pop3Client, Pop3Error
from mailapp.render import counted, octets, visible_line
from mailapp.script.verbs import Job
from mailapp.smtp_wire import SmtpWire, introduced
from mailapp.value import value


@value(frozen=True)
class Step:
    """One thing that was tried. A step that was left out is neither good nor bad."""

    name: str
    is_good: bool | None
    text: str


def doctor(job: Job) -> None:
    """All steps; the status is that of the first bad one."""
    steps = []
    for step in examine(job.server, job.account):
        steps.append(step)
        if not job.out.as_json:
            job.out.give({}, as_line(step))
    if job.out.as_json:
        rows = [{"step": one.name, "ok": one.is_good, "text": one.text} for one in steps]
        job.out.give({"steps": rows}, "")
    if bad := [one for one in steps if one.is_good is False]:
        words = f"{counted(len(bad), 'step')} failed; the first was: {bad[0].name}"
        raise Failed(words, exits.UNAVAILABLE, "unhealthy")


def as_line(step: Step) -> str:
    """`ok    SMTP greeting     mailserver Service Ready`."""
    verdict = {True: "ok", False: "BAD", None: "-"}[step.is_good]
    return f"{verdict:<4}  {step.name:<18}  {visible_line(step.text)}\n"


def examine(server: Server, account: Account | None) -> Iterator[Step]:
    """Each step as it is done; nothing is sent and nothing is deleted."""
    kept = server.state.is_kept
    yield Step("memory", True if kept else None, "kept on disk" if kept else "for this run only")
    yield (name := _name(server.host))
    if name.is_good:
        yield from _smtp(server, account)
        yield from _pop3(server, account)


def _name(host: str) -> Step:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = reason(error) if isinstance(error, OSError) else "this is no valid host name"
        return Step("name", False, f"{host}: {why}")
    return Step("name", True, f"{host} is {', '.join(str(one[4][0]) for one in found)}")


def _smtp(server: Server, account: Account | None) -> Iterator[Step]:
    try:
        smtp = introduced(server.host, server.smtp_port, server.link)
    except (Unreachable, smtplib.SMTPException, OSError) as problem:
        yield Step("SMTP", False, _words(problem))
        return
    try:
        yield Step("SMTP greeting", True, smtp.greeting.decode("utf-8", "replace"))
        extensions = [
            " ".join((name, *value.split())) for name, value in smtp.esmtp_features.items()
        ]
        yield Step("SMTP extensions", True, ", ".join(extensions).upper() or "none")
        yield _tls("SMTP TLS", smtp.is_encrypted, smtp.has_extn("starttls"))
        yield _smtp_login(smtp, account)
    finally:
        quit_politely(smtp)


def _smtp_login(smtp: SmtpWire, account: Account | None) -> Step:
    if not smtp.has_extn("auth") or account is None:
        why = "no account is given" if account is None else "AUTH is not offered"
        return Step("SMTP login", None, why)

    def sign_in() -> str:
        return "" if smtp.sign_in(account.user, account.password) else "no mechanism is known"

    return _tried("SMTP login", sign_in, account.user)


def _pop3(server: Server, account: Account | None) -> Iterator[Step]:
    try:
        link = server.link
        client = first_use(link, lambda link: Pop3Client(server.host, server.pop3_port, link))
    except (Unreachable, Pop3Error) as problem:
        yield Step("POP3", False, _words(problem))
        return
    try:
        yield Step("POP3 greeting", True, client.greeting)
        names = [" ".join((name, *more)) for name, more in client.capabilities.items()]
        yield Step("POP3 capabilities", True, ", ".join(names) or "none")
        yield _tls("POP3 TLS", client.is_encrypted, "STLS" in client.capabilities)
        if account is None:
            yield Step("POP3 login", None, "no account is given")
            return

        def log_in() -> str:
            client.login(account.user, account.password)
            return ""

        yield (login := _tried("POP3 login", log_in, account.user))
        if login.is_good:
            count, size = client.count()
            yield Step("mailbox", True, f"{counted(count, 'message')}, {octets(size)}")
            client.quit()
    except Pop3Error as problem:
        yield Step("mailbox", False, _words(problem))
    finally:
        client.close()


def _tls(name: str, is_encrypted: bool, is_offered: bool) -> Step:
    if is_encrypted:
        return Step(name, True, "in use")
    return Step(name, None, "offered, and turned off" if is_offered else "not offered")


def _tried(name: str, attempt: Callable[[], str], user: str) -> Step:
    try:
        missing = attempt()
    except (Unreachable, Pop3Error, smtplib.SMTPException, OSError) as problem:
        return Step(name, False, _words(problem))
    return Step(name, None if missing else True, missing or f"as {user}")


def _words(problem: Exception) -> str:
    if isinstance(problem, smtplib.SMTPResponseException):
        reply = problem.smtp_error
        words = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
        return f"{problem.smtp_code} {words}"
    return str(problem)

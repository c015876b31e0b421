"""The verbs that send: the text comes from an argument, a file or standard input."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path

from mailapp import actions, answering, compose, exits, message_view
from mailapp.attaching import attach
from mailapp.compose import Draft, FieldProblem
from mailapp.exits import Failed
from mailapp.headers import read_headers
from mailapp.network import reason
from mailapp.outgoing import Receipt
from mailapp.paths import expanded
from mailapp.people import people
from mailapp.script.output import answers_as_json
from mailapp.script.verbs import Job, number_of, opened
from mailapp.summary import ANSWERED

MAX_OCTETS = 100_000_000


def send(job: Job) -> None:
    """A message of the arguments, or a file as it is."""
    words = job.words
    to, cc, bcc = (_addresses(one) for one in (words.to, words.cc, words.bcc))
    if words.eml:
        _send_file(job, (*to, *cc, *bcc))
        return
    if not (to or cc or bcc):
        raise Failed("to whom? --to ADDRESS", exits.USAGE, "usage")
    fields = tuple(map(compose.header_field, words.header))
    subject = compose.subject(words.subject)
    draft = Draft(_sender(job), to, subject, _body(words), cc=cc, bcc=bcc, fields=fields)
    draft = replace(draft, wants_report=words.dsn)
    _send(job, _with_attachments(draft, words))


def reply(job: Job) -> None:
    """To who wrote it, or to all; what was written is quoted below the text."""
    sender = _sender(job)
    body = _body(job.words)
    with job.mailbox() as mailbox:
        number = number_of(mailbox, job.words.message)
        with opened(mailbox, number) as message:
            text = message_view.body(message)
            draft = answering.reply(sender, message.headers, text, job.words.to_all)
            if not draft.envelope:
                raise Failed("nobody can be answered: no valid address", exits.DATA, "bad_argument")
            draft = replace(draft, body=(*body, *draft.body))
            _send(job, _with_attachments(draft, job.words))
        if not job.words.dry_run:
            mailbox.set_status(number, ANSWERED)


def _send_file(job: Job, recipients: tuple[str, ...]) -> None:
    """Recipients of the envelope, or else those of the file's own header."""
    content = _read(job.words.eml)
    content = re.sub(rb"\r?\n|\r", b"\r\n", content)
    found = read_headers(content.splitlines(keepends=True)[:10_000])
    named = [one for name in ("to", "cc") for one in people(found.raw(name))]
    recipients = recipients or compose.addresses(",".join(one.address for one in named))
    first = next((one.address for one in people(found.raw("from"))), "")
    sender = compose.address(job.words.sender or first)
    if job.words.dry_run:
        job.out.octets(content)
        return
    receipt = actions.send_content(
        job.server, sender, recipients, content, job.account, job.words.dsn
    )
    _told(job, receipt)


def _send(job: Job, draft: Draft) -> None:
    if job.words.dry_run:
        job.out.octets(actions.message_of(draft))
        return
    _told(job, actions.send(job.server, draft, job.account))


def _told(job: Job, receipt: Receipt) -> None:
    text = "".join(f"{one.recipient} {one.code} {one.text}\n" for one in receipt.answers)
    data = {"recipients": answers_as_json(receipt.answers), "text": receipt.text}
    job.out.give(data, f"{text}{receipt.text}\n")


def _sender(job: Job) -> str:
    """--from, the configuration's address, or the user at the server's domain."""
    if given := job.words.sender or job.address:
        return compose.address(given)
    if job.account is None:
        raise Failed("who sends it? --from ADDRESS, or --user", exits.USAGE, "usage")
    if "@" in job.account.user:
        return compose.address(job.account.user)
    return compose.address(f"{job.account.user}@{actions.mail_domain(job.server)}")


def _addresses(given: list[str]) -> tuple[str, ...]:
    return compose.addresses(",".join(given)) if given else ()


def _body(words: argparse.Namespace) -> tuple[str, ...]:
    if words.body is not None:
        text = words.body
    else:
        octets = _read(words.body_file or "-")
        try:
            text = octets.decode()
        except UnicodeDecodeError as error:
            raise FieldProblem("the text is not UTF-8") from error
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    return tuple(compose.body_line(line) for line in lines)


def _with_attachments(draft: Draft, words: argparse.Namespace) -> Draft:
    try:
        return attach(draft, [expanded(one) for one in words.attach])
    except OSError as error:
        raise Failed(_why(error), exits.NO_INPUT, "no_input") from error


def _read(name: str) -> bytes:
    try:
        if name == "-":
            content = sys.stdin.buffer.read(MAX_OCTETS + 1)
        else:
            with Path(name).open("rb") as file:
                content = file.read(MAX_OCTETS + 1)
    except OSError as error:
        raise Failed(_why(error), exits.NO_INPUT, "no_input") from error
    if len(content) > MAX_OCTETS:
        raise Failed(f"{name} is larger than {MAX_OCTETS:,} octets", exits.DATA, "too_large")
    return content


def _why(error: OSError) -> str:
    return f"{error.filename}: {reason(error)}"

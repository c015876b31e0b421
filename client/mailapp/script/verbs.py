"""The verbs: each reads its arguments, does one thing, gives data; problems are exceptions."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mailapp import actions, exits, message_view, saving
from mailapp.actions import Account, Server
from mailapp.content import HTML, PLAIN, octets_of
from mailapp.exits import Failed
from mailapp.mailbox import Mailbox, Message
from mailapp.network import Unreachable, reason
from mailapp.pop3 import ConnectionLost, LoginRefused, Refused
from mailapp.query import Match, parse
from mailapp.render import counted
from mailapp.script import output
from mailapp.script.kinds import kind_of
from mailapp.script.output import Output
from mailapp.summary import NEW, READ, Summary
from mailapp.value import value

POLL_SECONDS = 1.0
_CHUNK_OCTETS = 65_536


@value(frozen=True)
class Job:
    """What a verb works with."""

    words: argparse.Namespace
    server: Server
    out: Output
    account: Account | None
    address: str  # what stands in From; empty: user@domain

    @contextmanager
    def mailbox(self) -> Iterator[Mailbox]:
        """Open, and left again by QUIT when all went well; else nothing is deleted."""
        if self.account is None:
            words = "no user name and password: --user with --password-file, or a configuration"
            raise Failed(words, exits.USAGE, "no_account")
        mailbox = actions.open_mailbox(self.server, self.account)
        try:
            yield mailbox
            farewell = mailbox.leave()
        finally:
            mailbox.abandon()
        if farewell.refused:
            raise Refused(f"{counted(len(farewell.refused), 'message')} not deleted")


def count(job: Job) -> None:
    """STAT."""
    with job.mailbox() as mailbox:
        text = f"{mailbox.count} {mailbox.octets}\n"
        job.out.give({"messages": mailbox.count, "octets": mailbox.octets}, text)


def list_(job: Job) -> None:
    """The list, or what matches of it."""
    match = parse(job.words.match)
    with job.mailbox() as mailbox:
        numbers = range(1, mailbox.count + 1)
        if job.words.limit > 0 and not (job.words.match or job.words.new):
            numbers = numbers[-job.words.limit :]
        found = [
            one
            for one in mailbox.summaries(numbers)
            if match(one, False) and (one.status == NEW or not job.words.new)
        ]
    if job.words.limit > 0:
        found = found[-job.words.limit :]
    text = "".join(map(output.summary_as_text, found))
    job.out.give({"messages": [output.summary_as_json(one) for one in found]}, text)


def read(job: Job) -> None:
    """One message, as text unless something else is asked for."""
    words = job.words
    with job.mailbox() as mailbox:
        number = number_of(mailbox, words.message)
        with opened(mailbox, number) as message:
            if words.raw:
                message.content.seek(0)
                for chunk in iter(lambda: message.content.read(_CHUNK_OCTETS), b""):
                    job.out.octets(chunk)
            elif words.part is not None:
                for chunk in octets_of(message.content, _part(message, words.part).part):
                    job.out.octets(chunk)
            elif words.headers:
                text = "".join(mailbox.header_lines(number))
                job.out.give({"headers": text}, text)
            else:
                _give_message(job, mailbox, message, HTML if words.html else PLAIN)
        if words.mark_read:
            mailbox.set_status(number, READ)


def _give_message(job: Job, mailbox: Mailbox, message: Message, form: str) -> None:
    (summary,) = mailbox.summaries([message.number])
    data = output.summary_as_json(summary) | {
        "text": "".join(message_view.body(message, form)) if job.out.as_json else "",
        "attachments": output.enclosed_as_json(saving.enclosed(message)),
    }
    text = "" if job.out.as_json else "".join(message_view.pieces(message, form=form))
    job.out.give({"message": data}, text.removeprefix("\n"))


def delete(job: Job) -> None:
    """Now: DELE and QUIT."""
    with job.mailbox() as mailbox:
        numbers = [number_of(mailbox, word) for word in (*job.words.message, *job.words.uidl)]
        if not numbers:
            raise Failed("which message? a number, or --uidl", exits.USAGE, "usage")
        if not (job.words.yes or _says_yes(f"Delete {counted(len(numbers), 'message')} now?")):
            raise Failed("nothing was deleted", exits.NOTHING, "not_wanted")
        ids = [mailbox.unique_id(number) for number in numbers]
        mailbox.mark(numbers)
    job.out.give({"deleted": ids}, "".join(f"{one}\n" for one in ids))


def _says_yes(question: str) -> bool:
    """Of a script nobody asks."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    print(f"{question} (y/n) ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def save(job: Job) -> None:
    """A new file; its path is the answer."""
    with job.mailbox() as mailbox:
        number = number_of(mailbox, job.words.message)
        with opened(mailbox, number) as message:
            where = Path(job.words.out)
            try:
                if job.words.part is None:
                    name = f"{mailbox.unique_id(number) or number}.eml"
                    path = saving.save_message(message, where, name)
                else:
                    path = saving.save_enclosed(message, _part(message, job.words.part), where)
            except OSError as error:
                why = f"{error.filename or where}: {reason(error)}"
                raise Failed(why, exits.CANNOT_CREATE, "cannot_create") from error
    job.out.give({"path": str(path)}, f"{path}\n")


def wait(job: Job) -> None:
    """Until a message is there that fits; the first one is the answer."""
    fits = _fits(job.words)
    give_up = time.monotonic() + job.words.timeout
    seen: set[str] = set()
    while True:
        if found := _look(job, fits, seen):
            data = {"message": output.summary_as_json(found)}
            job.out.give(data, output.summary_as_text(found))
            return
        if time.monotonic() + POLL_SECONDS > give_up:
            words = f"no such message came in {job.words.timeout:g} s"
            raise Failed(words, exits.TEMPORARY, "timeout")
        time.sleep(POLL_SECONDS)  # POP3 has no other way: a session sees what was there before it


def _look(job: Job, fits: Callable[[Summary], bool], seen: set[str]) -> Summary | None:
    """One session over what was not looked at yet; a mailbox in use is tried again later."""
    try:
        with job.mailbox() as mailbox:
            mailbox.learn_all()
            numbers = range(1, mailbox.count + 1)
            fresh = [n for n in numbers if mailbox.unique_id(n) not in seen]
            found = next(filter(fits, mailbox.summaries(fresh)), None)
            seen.update(filter(None, map(mailbox.unique_id, fresh)))
            return found
    except LoginRefused:
        raise
    except (Refused, ConnectionLost, Unreachable) as problem:
        if kind_of(problem)[0] not in {exits.TEMPORARY, exits.UNAVAILABLE}:
            raise
        return None


def _fits(words: argparse.Namespace) -> Callable[[Summary], bool]:
    match: Match = parse(words.match)
    sender = words.sender.casefold()
    try:
        subject = re.compile(words.subject)
    except re.error as error:
        raise Failed(
            f"--subject is no regular expression: {error}", exits.USAGE, "usage"
        ) from error
    return lambda one: (
        sender in f"{one.sender} {one.address}".casefold()
        and subject.search(one.subject) is not None
        and match(one, False)
    )


def number_of(mailbox: Mailbox, word: str) -> int:
    """A number of this session, or a unique id."""
    if re.fullmatch("[0-9]{1,9}", word) and 1 <= int(word) <= mailbox.count:
        return int(word)
    number = mailbox.number_of(word)
    if number is None:
        raise Failed(f"there is no message {word}", exits.NOTHING, "no_such_message")
    return number


def _part(message: Message, number: int) -> saving.Enclosed:
    found = next((one for one in saving.enclosed(message) if one.number == number), None)
    if found is None:
        raise Failed(f"the message has no attachment {number}", exits.NOTHING, "no_such_part")
    return found


@contextmanager
def opened(mailbox: Mailbox, number: int) -> Iterator[Message]:
    message = mailbox.open(number)
    try:
        yield message
    finally:
        message.close()


Verb = Callable[[Job], None]
READING: dict[str, Verb] = {
    "count": count,
    "list": list_,
    "read": read,
    "delete": delete,
    "save": save,
    "wait": wait,
}

"""What screens wish for, done with the servers. Blocking: it is called from one worker thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from mailapp import actions, message_view
from mailapp.actions import Account, Server
from mailapp.compose import Draft, FieldProblem
from mailapp.line_mode import explain
from mailapp.mailbox import Farewell, Mailbox, Progress
from mailapp.network import Unreachable, reason
from mailapp.outgoing import NotSent
from mailapp.pop3 import BadArgument, Cancelled, LoginRefused, MailboxInUse, Pop3Error, Refused
from mailapp.render import counted, octets, visible, visible_line
from mailapp.screen import wishes
from mailapp.screen.wishes import Job, News
from mailapp.summary import READ

MAX_TEXT = 4_000_000  # characters of a message that are shown


_NOT_CANCELLED = (wishes.SignIn, wishes.OpenMail, wishes.StartDraft, wishes.Send)


class Office:
    """One account's mailbox and its way to send."""

    def __init__(self, server: Server, address: str = "") -> None:
        """`address` is what stands in From; when it is empty, the server is asked."""
        self.server = server
        self._address = address
        self._account: Account | None = None
        self._mailbox: Mailbox | None = None
        self._epoch = 0
        self._is_over = False  # the session; the mailbox can be reopened
        self._turn = 0  # grows when somebody does not want to wait any more
        self._jobs: dict[type[Job], Callable[..., News]] = {
            wishes.SignIn: self._sign_in,
            wishes.OpenMail: self._open_mail,
            wishes.Load: self._load,
            wishes.Read: self._read,
            wishes.CheckMail: self._check_mail,
            wishes.Commit: self._commit,
            wishes.Leave: self._leave,
            wishes.StartDraft: self._start_draft,
            wishes.Send: self._send,
        }

    def perform(self, job: Job, progress: Progress) -> News:
        """Do it; whatever may go wrong with servers and disks becomes Trouble."""
        try:
            return self._jobs[type(job)](job, progress)
        except Refused as problem:
            is_in_use = isinstance(problem, MailboxInUse)
            is_login = isinstance(problem, LoginRefused)
            return wishes.Trouble(explain(problem), job, is_login, is_in_use)
        except Cancelled:
            self._is_over = True
            return wishes.Trouble("Cancelled.", job)
        except (Unreachable, Pop3Error) as problem:
            self._is_over = not isinstance(problem, BadArgument)
            return wishes.Trouble(explain(problem), job, isinstance(problem, BadArgument))
        except FieldProblem as problem:
            return wishes.Trouble(f"{visible_line(str(problem))}.", job)
        except OSError as error:
            return wishes.Trouble(f"The message cannot be kept in a file: {reason(error)}.", job)

    def cancel(self, job: Job) -> bool:
        """From another thread: the job ends soon; False when it cannot be hurried."""
        if self._mailbox is None or isinstance(job, _NOT_CANCELLED):
            self._turn += 1
            return False
        self._mailbox.cancel()
        return True

    def close(self) -> None:
        """Drop the session: nothing is deleted."""
        if self._mailbox is not None:
            self._mailbox.abandon()

    # The mailbox

    def _sign_in(self, job: wishes.SignIn, _: Progress) -> News:
        """A server that cannot say is no reason to ask again: mail can still be sent."""
        said = contents = ""
        try:
            mailbox = actions.open_mailbox(self.server, job.account)
            mailbox.leave()
            contents = _contents(mailbox)
        except (LoginRefused, BadArgument):
            raise
        except (Unreachable, Pop3Error) as problem:
            said = explain(problem)
        self._account = job.account
        return wishes.SignedIn(job.account, contents, said)

    def _open_mail(self, _: wishes.OpenMail, __: Progress) -> News:
        assert self._account is not None
        turn = self._turn
        mailbox = actions.open_mailbox(self.server, self._account)
        if turn != self._turn:
            mailbox.abandon()
            raise Cancelled("cancelled")
        self._mailbox, self._is_over = mailbox, False
        return self._listing()

    def _listing(self, said: str = "") -> wishes.Listing:
        """A new epoch begins: numbers may mean other messages now."""
        assert self._mailbox is not None
        self._epoch += 1
        box = self._mailbox
        return wishes.Listing(self._epoch, box.count, box.octets, frozenset(box.marked), said)

    def _session(self) -> tuple[Mailbox, bool]:
        """The mailbox with a session that lives, and whether that is a new one."""
        assert self._mailbox is not None
        if is_new := self._is_over:
            self._mailbox.reopen()
            self._is_over = False
        return self._mailbox, is_new

    def _load(self, job: wishes.Load, _: Progress) -> News:
        mailbox, is_new = self._session()
        if is_new:
            return self._listing()
        if job.epoch != self._epoch:
            return wishes.Lines(job.epoch, ())
        return wishes.Lines(job.epoch, tuple(mailbox.summaries(job.numbers)))

    def _read(self, job: wishes.Read, progress: Progress) -> News:
        mailbox, is_new = self._session()
        listing = self._listing() if is_new else None
        number: int | None = job.number
        if is_new and job.unique_id:
            is_there = (
                job.number <= mailbox.count and mailbox.unique_id(job.number) == job.unique_id
            )
            number = job.number if is_there else mailbox.number_of(job.unique_id)
        if number is None or number > mailbox.count:
            return self._listing("This message is not there any more.")
        message = mailbox.open(number, progress)
        try:
            view = message_view.pieces(message)
            next(view)  # its number stands in the title
            text = _bounded(map(visible, view))
        finally:
            message.close()
        mailbox.set_status(number, READ)
        return wishes.Opened(number, text.strip("\n"), listing)

    def _check_mail(self, job: wishes.CheckMail, _: Progress) -> News:
        assert self._mailbox is not None
        mailbox = self._mailbox
        before = mailbox.count
        mailbox.marked = set(job.marked)
        if not self._is_over:
            with suppress(Pop3Error):
                mailbox.release()
            self._is_over = True
        self._session()
        more = mailbox.count - before
        return self._listing(f"{counted(more, 'new message')}." if more > 0 else "No new mail.")

    def _commit(self, job: wishes.Commit, _: Progress) -> News:
        mailbox = self._with_marks(job.marked)
        farewell = mailbox.leave()
        mailbox.marked.clear()
        self._is_over = True
        self._session()
        return self._listing(_what_went(farewell))

    def _leave(self, job: wishes.Leave, _: Progress) -> News:
        """With nothing to delete, a session that is over is no trouble."""
        assert self._mailbox is not None
        mailbox, said, count = self._mailbox, "", self._mailbox.count
        if job.marked:
            farewell = self._with_marks(job.marked).leave()
            said, count = _what_went(farewell), mailbox.count - farewell.deleted
        elif not self._is_over:
            with suppress(Pop3Error):
                mailbox.release()
        self.close()
        self._mailbox = None
        return wishes.Left(said, counted(count, "message"))

    def _with_marks(self, marked: frozenset[int]) -> Mailbox:
        """The marks are found again by unique id when the session is a new one."""
        assert self._mailbox is not None
        self._mailbox.marked = set(marked)
        return self._session()[0]

    # Sending

    def _start_draft(self, _: wishes.StartDraft, __: Progress) -> News:
        assert self._account is not None
        if not self._address:
            domain = actions.mail_domain(self.server)
            self._address = f"{self._account.user}@{domain}" if domain else ""
        return wishes.Started(Draft(self._address, (), "", ()))

    def _send(self, job: wishes.Send, _: Progress) -> News:
        try:
            receipt = actions.send(self.server, job.draft, self._account)
        except NotSent as failure:
            verdict = "Perhaps sent" if failure.is_uncertain else "Not sent"
            lines = [f"{verdict}: {visible_line(one.text)}" for one in failure.problems]
            answers = failure.answers
        except Unreachable as problem:
            return wishes.Sent((f"Not sent: {explain(problem)}",), is_sent=False)
        else:
            lines, answers = [], receipt.answers
        for answer in answers:
            lines.append(f"{answer.recipient}: {answer.code} {visible_line(answer.text)}")
        return wishes.Sent(tuple(lines), is_sent=len(lines) == len(answers))


def _contents(mailbox: Mailbox) -> str:
    return f"{counted(mailbox.count, 'message')}, {octets(mailbox.octets)}"


def _what_went(farewell: Farewell) -> str:
    said = [f"{counted(farewell.deleted, 'message')} deleted."] if farewell.deleted else []
    said += [
        f"Message {number} was not deleted: {visible_line(words)}."
        for number, words in farewell.refused
    ]
    return " ".join(said)


def _bounded(pieces: Iterable[str]) -> str:
    """The text, and where it ends when it is longer than a person reads."""
    kept: list[str] = []
    room = MAX_TEXT
    for piece in pieces:
        kept.append(piece[:room])
        room -= len(kept[-1])
        if not room:
            kept.append(f"\n\n(The text goes on; the first {MAX_TEXT:,} characters are shown.)")
            break
    return "".join(kept)

"""What screens wish for, done with the servers. Blocking: it is called from one worker thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mailapp import actions, answering, message_view
from mailapp.actions import Server
from mailapp.compose import FieldProblem
from mailapp.explaining import explain
from mailapp.link import UnknownCertificate
from mailapp.mailbox import Progress
from mailapp.network import Unreachable, reason
from mailapp.outgoing import NotSent
from mailapp.pop3 import BadArgument, Cancelled, LoginRefused, MailboxInUse, Pop3Error, Refused
from mailapp.query import NoQuery
from mailapp.render import visible_line
from mailapp.screen import wishes
from mailapp.screen.news import News, SignedIn, Started, Trouble
from mailapp.screen.reader import Gone, Reader, contents
from mailapp.screen.sender import Sender
from mailapp.screen.wishes import Job, Way

_NOT_HURRIED = (
    *(wishes.SignIn, wishes.OpenMail, wishes.StartDraft, wishes.Send, wishes.Trust),
    *(wishes.Attach, wishes.CompletePath),  # a disk may be slow, too
)
MAX_FORWARDED_OCTETS = 35_000_000  # what a server with 50 MB takes


class Office:
    """One account's mailbox and its way to send."""

    def __init__(self, server: Server, address: str = "") -> None:
        """`address` is what stands in From; when it is empty, the server is asked."""
        self.server = server
        self._reader = reader = Reader(server)
        self._sender = sender = Sender(server, address)
        self._jobs: dict[type[Job], Callable[..., News]] = {
            wishes.SignIn: self._sign_in,
            wishes.Trust: self._trust,
            wishes.OpenMail: reader.open,
            wishes.Load: reader.load,
            wishes.Find: reader.find,
            wishes.Arrange: reader.arrange,
            wishes.Export: reader.export,
            wishes.Read: reader.read,
            wishes.Save: reader.save,
            wishes.OpenOutside: reader.open_outside,
            wishes.CheckMail: reader.check,
            wishes.Release: reader.release,
            wishes.Commit: reader.commit,
            wishes.Leave: reader.leave,
            wishes.Answer: self._answer,
            wishes.StartDraft: sender.start,
            wishes.Send: sender.send,
            wishes.Keep: sender.keep,
            wishes.Drop: sender.drop,
            wishes.Attach: sender.attach,
            wishes.Complete: sender.complete,
            wishes.CompletePath: sender.complete_path,
        }

    def perform(self, job: Job, progress: Progress) -> News:
        """Do it; whatever may go wrong with servers and disks becomes Trouble."""
        news = self._tried(job, progress)
        if isinstance(news, Trouble) and isinstance(job, wishes.Leave | wishes.Commit):
            return replace(news, text=f"{news.text} {self._reader.fate}".rstrip())
        return news

    def _tried(self, job: Job, progress: Progress) -> News:
        try:
            return self._jobs[type(job)](job, progress)
        except Gone:
            return self._reader.listing("This message is not there any more.")
        except UnknownCertificate as problem:
            return self._ask_for_trust(problem, job)
        except Refused as problem:
            is_in_use = isinstance(problem, MailboxInUse)
            is_login = isinstance(problem, LoginRefused)
            return Trouble(explain(problem), job, is_login, is_in_use)
        except Cancelled:
            self._reader.is_over = True
            return Trouble("Cancelled.", job)
        except (Unreachable, Pop3Error) as problem:
            is_login = isinstance(problem, BadArgument)
            self._reader.is_over = not is_login
            return Trouble(explain(problem), job, is_login)
        except (FieldProblem, NoQuery) as problem:
            return Trouble(f"{visible_line(str(problem))}.", job)
        except OSError as error:
            name = f": {visible_line(str(error.filename))}" if error.filename else ""
            return Trouble(f"{reason(error)}{name}.", job)

    def note_marks(self, marked: frozenset[int]) -> None:
        """What is marked in the list: it is found again when a session is lost."""
        self._reader.marked = marked

    def cancel(self, job: Job) -> bool:
        """From another thread: the job ends soon; False when it cannot be hurried."""
        return self._reader.stop_waiting(is_hurried=not isinstance(job, _NOT_HURRIED))

    def close(self) -> None:
        """Drop the session: nothing is deleted."""
        self._reader.close()

    def _sign_in(self, job: wishes.SignIn, _: Progress) -> News:
        """A server that cannot say is no reason to ask again: mail can still be sent."""
        said = what = safety = ""
        try:
            mailbox = actions.open_mailbox(self.server, job.account)
            mailbox.leave()
            what = contents(mailbox)
            safety = _safety(mailbox.is_encrypted)
        except (LoginRefused, BadArgument, UnknownCertificate):
            raise
        except Refused as problem:
            said, safety = explain(problem), _safety(problem.is_encrypted)
        except (Unreachable, Pop3Error) as problem:
            said = explain(problem)
        self._reader.account = self._sender.account = job.account
        drafts, is_kept = len(self._sender.kept()), self.server.state.is_kept
        return SignedIn(job.account, what, said, drafts, safety, is_kept)

    def _trust(self, job: wishes.Trust, progress: Progress) -> News:
        self.server.state.trust(self.server.host, job.port, job.fingerprint)
        return self.perform(job.then, progress)

    def _ask_for_trust(self, problem: UnknownCertificate, job: Job) -> News:
        try:
            found = actions.fingerprint(self.server, problem.port)
        except (Unreachable, Pop3Error, NotSent):
            found = ""
        shown = (problem.host, problem.port, found) if found else None
        return Trouble(explain(problem), job, certificate=shown)

    def _answer(self, job: wishes.Answer, progress: Progress) -> News:
        message, _ = self._reader.message(job, progress)
        own, found, text = self._sender.own_address(), message.headers, message_view.body(message)
        match job.way:
            case Way.REPLY | Way.REPLY_ALL:
                draft = answering.reply(own, found, text, to_all=job.way is Way.REPLY_ALL)
                return Started(draft, message.unique_id)
            case Way.FORWARD:
                return Started(answering.forward(own, found, text))
        message.content.seek(0)
        whole = message.content.read(MAX_FORWARDED_OCTETS + 1)
        if len(whole) > MAX_FORWARDED_OCTETS:
            raise FieldProblem(f"the message is larger than {MAX_FORWARDED_OCTETS:,} octets")
        return Started(answering.forward_whole(own, found, whole))


def _safety(is_encrypted: bool) -> str:
    return "TLS" if is_encrypted else "not encrypted"

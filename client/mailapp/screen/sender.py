"""What the form wishes for: drafts, files, addresses, and sending. Blocking."""

from __future__ import annotations

from mailapp import actions, attaching, completing, paths
from mailapp.actions import Account, Server
from mailapp.compose import Draft
from mailapp.explaining import explain
from mailapp.mailbox import Progress
from mailapp.network import Unreachable
from mailapp.outbox import KeptDraft, Outbox
from mailapp.outgoing import NotSent
from mailapp.paths import expanded
from mailapp.render import visible_line
from mailapp.screen import wishes
from mailapp.screen.news import Attached, Completed, Drafts, Kept, News, Sent, Started
from mailapp.summary import ANSWERED


class Sender:
    """`account` is set once somebody has signed in."""

    def __init__(self, server: Server, address: str) -> None:
        """`address` is what stands in From; when it is empty, the server is asked."""
        self._server = server
        self._state = server.state
        self._address = address
        self.account: Account | None = None

    @property
    def _key(self) -> str:
        assert self.account is not None
        return actions.account_key(self._server, self.account)

    def own_address(self) -> str:
        """May be empty, when the server does not say its name."""
        assert self.account is not None
        if not self._address:
            domain = actions.mail_domain(self._server)
            self._address = f"{self.account.user}@{domain}" if domain else ""
        return self._address

    @property
    def _outbox(self) -> Outbox:
        return Outbox(self._state, self._key)

    def kept(self) -> tuple[KeptDraft, ...]:
        """The drafts of this account, the newest first."""
        return tuple(reversed(self._outbox.drafts()))

    def start(self, job: wishes.StartDraft, _: Progress) -> News:
        """StartDraft."""
        if not job.is_new and (kept := self.kept()):
            return Drafts(kept)
        return Started(Draft(self.own_address(), (), "", ()))

    def send(self, job: wishes.Send, _: Progress) -> News:
        """Send: what is not sent is kept as a draft."""
        is_sent, answers = self._send(job)
        kept = None
        if is_sent and job.kept is not None:
            self._outbox.drop(job.kept)
        elif not is_sent:
            kept = self._outbox.keep(job.draft, job.kept)
        answered = job.answers if is_sent else ""
        if answered:
            self._state.mark(self._key, answered, ANSWERED)
        return Sent(answers, is_sent, answered, kept, len(self.kept()))

    def _send(self, job: wishes.Send) -> tuple[bool, tuple[str, ...]]:
        """Whether it is the server's now, and what was said."""
        try:
            receipt = actions.send(self._server, job.draft, self.account)
        except NotSent as failure:
            lines = [f"{failure.verdict}: {visible_line(one.text)}" for one in failure.problems]
            is_sent, answers = False, tuple(one for one in failure.answers if one.is_taken)
        except Unreachable as problem:
            return False, (f"Not sent: {explain(problem)}",)
        else:
            is_sent, answers, lines = True, receipt.answers, []
        said = (f"{one.recipient}: {one.code} {visible_line(one.text)}" for one in answers)
        return is_sent, (*lines, *said)

    def keep(self, job: wishes.Keep, _: Progress) -> News:
        """Keep."""
        number = self._outbox.keep(job.draft, job.kept)
        return Kept(number, len(self.kept()), job.leaves)

    def drop(self, job: wishes.Drop, _: Progress) -> News:
        """Drop."""
        self._outbox.drop(job.kept)
        return Drafts(self.kept())

    def attach(self, job: wishes.Attach, _: Progress) -> News:
        """Attach. Raises OSError or FieldProblem."""
        return Attached(attaching.attach(job.draft, [expanded(job.path)]))

    def complete(self, job: wishes.Complete, _: Progress) -> News:
        """Complete."""
        return Completed(job.typed, tuple(completing.offers(self._state, job.typed)))

    def complete_path(self, job: wishes.CompletePath, _: Progress) -> News:
        """CompletePath. Raises OSError."""
        return Completed(job.typed, tuple(paths.completions(job.typed)))

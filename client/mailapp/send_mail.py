"""Send Mail: the form, typed line by line, and what becomes of a message that was not sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from mailapp import actions, compose
from mailapp.compose import Draft, FieldProblem
from mailapp.network import Unreachable
from mailapp.outgoing import NotSent, Problem
from mailapp.render import counted, visible_line
from mailapp.terminal import EndOfInput, Terminal

T = TypeVar("T")
END_OF_BODY = "."
_FIRST_BODY_LINE = 4  # after From, To and Subject


@dataclass
class Outbox:
    """The one message that was typed and not sent, kept as long as the client runs."""

    draft: Draft | None = None


class SendMail:
    """The conversation; `run` returns when the message is sent, kept or thrown away."""

    def __init__(
        self,
        terminal: Terminal,
        server: actions.Server,
        account: actions.Account,
        own_address: str,
        outbox: Outbox,
    ) -> None:
        self._terminal = terminal
        self._server = server
        self._account = account  # who logs in to send, where the server has logins
        self._own_address = own_address  # offered as From; empty when it is not known
        self._outbox = outbox

    def run(self) -> None:
        """Raises EndOfInput; a message half typed is then gone, and that is said."""
        if self._outbox.draft is None:
            self._send(self._type())
            return
        draft = self._outbox.draft
        recipients = visible_line(", ".join(draft.recipients))
        self._say("\nThis message was not sent yet:")
        self._say(f"  To: {recipients}\n  Subject: {visible_line(draft.subject)}")
        self._say("  s  send it again\n  e  edit it\n  d  discard it\n  Enter  back to the menu")
        while answer := self._terminal.read_line("Your choice: ").strip().lower():
            if "send it again".startswith(answer):
                self._send(draft)
                break
            if "edit it".startswith(answer):
                self._send(self._edit(draft))
                break
            if "discard it".startswith(answer):
                self._outbox.draft = None
                self._say("The message is discarded.")
                break
            self._say("Type s, e, d or Enter.")

    def _say(self, text: str) -> None:
        self._terminal.write(text + "\n")

    def _type(self) -> Draft:
        self._say("\nFill in the lines, then type the message.")
        draft = Draft(self._own_address, (), "", ())
        try:
            return replace(self._fields(draft), body=self._body())
        except EndOfInput:
            self._say("The input ended before the message did: nothing was sent.")
            raise

    def _edit(self, draft: Draft) -> Draft:
        self._say("\nEnter keeps what stands in brackets.")
        draft = self._fields(draft)
        self._outbox.draft = draft
        lines = counted(len(draft.body), "line")
        answer = self._terminal.read_line(f"Type the text again ({lines})? [no]: ").strip().lower()
        return replace(draft, body=self._body()) if answer in {"y", "yes"} else draft

    def _fields(self, draft: Draft) -> Draft:
        """The three lines; what the draft has already is offered."""
        recipients = ", ".join(draft.recipients)
        return replace(
            draft,
            sender=self._field(1, "From", draft.sender, compose.address),
            recipients=self._field(2, "To", recipients, compose.addresses),
            subject=self._field(3, "Subject", draft.subject, compose.subject),
        )

    def _field(self, line: int, name: str, offered: str, check: Callable[[str], T]) -> T:
        """One line, with its field's name or as a bare value, asked for until it is right."""
        prompt = f"{name} [{visible_line(offered)}]: " if offered else f"{name}: "
        while True:
            text = self._terminal.read_line(prompt).strip()
            if text[: len(name) + 1].lower() == f"{name}:".lower():
                text = text[len(name) + 1 :].strip()
                text = text if text or name == "Subject" else offered
            else:
                text = text or offered
            try:
                return check(text)
            except FieldProblem as problem:
                self._say_wrong(line, name, problem)

    def _body(self) -> tuple[str, ...]:
        self._say("Message (a line with only a full stop ends it):")
        body: list[str] = []
        while (text := self._terminal.read_line()) != END_OF_BODY:
            try:
                body.append(compose.body_line(text))
            except FieldProblem as problem:
                self._say_wrong(_FIRST_BODY_LINE + len(body), "message", problem)
        return tuple(body)

    def _say_wrong(self, line: int, name: str, problem: FieldProblem) -> None:
        what = visible_line(str(problem))
        self._say(f"Line {line} ({name}) is wrong: {what}. Please type this line again.")

    def _send(self, draft: Draft) -> None:
        self._outbox.draft = draft
        try:
            actions.send(self._server, draft, self._account)
        except Unreachable as problem:
            self._say_kept([Problem(str(problem))], "Not sent")
        except NotSent as failure:
            self._say_kept(failure.problems, "Perhaps sent" if failure.is_uncertain else "Not sent")
        else:
            self._outbox.draft = None
            self._say(f"Sent to {visible_line(', '.join(draft.recipients))}.")

    def _say_kept(self, problems: list[Problem] | tuple[Problem, ...], verdict: str) -> None:
        for problem in problems:
            self._say(f"{verdict}: {visible_line(problem.text)}")
        self._say("The message is kept: choose Send Mail to correct it or send it again.")

"""Send Mail: the form, typed line by line, and what becomes of a message that was not sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from mailapp import actions, compose, editor
from mailapp.attaching import attach
from mailapp.completing import offers
from mailapp.compose import Draft, FieldProblem
from mailapp.network import Unreachable, reason
from mailapp.outbox import KeptDraft, Outbox
from mailapp.outgoing import Answer, NotSent, Problem, Receipt
from mailapp.paths import expanded
from mailapp.render import counted, octets, visible_line
from mailapp.terminal import EndOfInput, Terminal

T = TypeVar("T")
Send = Callable[[Draft], Receipt]
"""Raises Unreachable or NotSent."""
END_OF_BODY = "."
IN_EDITOR = "~e"  # as mail(1) has it; on a terminal only
_FIRST_BODY_LINE = 4  # after From, To and Subject
MAX_OFFERED = 5
HINT = """\
Fill in the lines, then type the message. Cc:, Bcc: and Attach: lines may stand
before the subject."""


class SendMail:
    """The conversation; it ends when the message is sent, kept or thrown away."""

    def __init__(
        self,
        terminal: Terminal,
        server: actions.Server,
        own_address: str,
        outbox: Outbox,
        send: Send,
    ) -> None:
        """`own_address` is offered as From; empty when it is not known."""
        self._terminal = terminal
        self._say = terminal.say
        self._server = server
        self._own_address = own_address
        self._outbox = outbox
        self._deliver = send
        self._number: int | None = None  # of the draft at hand, once it is kept

    def run(self) -> None:
        """A new message, or one that was kept. Raises EndOfInput; what was half typed is gone."""
        kept = self._outbox.drafts()
        if not kept:
            self._write_new()
            return
        if chosen := kept[0] if len(kept) == 1 else self._chosen(kept):
            self._resume(chosen)

    def answer(self, draft: Draft) -> bool:
        """A reply or a forward: the person's words go above the draft's own. Whether it is sent."""
        self._say("\nEnter keeps what stands in brackets.")
        draft = self._whole(lambda: self._fields(draft, asks_sender=not draft.sender))
        return self._send(self._whole(lambda: self._with_words_above(draft)))

    def _with_words_above(self, draft: Draft) -> Draft:
        return replace(draft, body=self._body(draft.body if any(draft.body) else ()))

    def _whole(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except EndOfInput:
            self._say("The input ended before the message did: nothing was sent.")
            raise

    def _write_new(self) -> None:
        self._say("\n" + HINT)
        if self._terminal.is_interactive and editor.is_found():
            self._say(f"A line {IN_EDITOR} in the message opens {visible_line(editor.name())}.")
        draft = Draft(self._own_address, (), "", ())

        def ask() -> Draft:
            filled = self._fields(draft)
            return replace(filled, body=self._body())

        self._send(self._whole(ask))

    def _chosen(self, kept: list[KeptDraft]) -> KeptDraft | None:
        self._say("\nThese messages were not sent yet:")
        for at, one in enumerate(kept, start=1):
            to = visible_line(", ".join(one.draft.recipients))
            self._say(f"  {at}  {to}: {visible_line(one.draft.subject)}")
        self._say("  n  write another one\n  Enter  back to the menu")
        while answer := self._terminal.read_line("Your choice: ").strip().lower():
            if answer == "n":
                self._write_new()
                return None
            if answer.isdecimal() and 1 <= int(answer[:9]) <= len(kept):
                return kept[int(answer[:9]) - 1]
            self._say(f"Type a number (1 to {len(kept)}), n or Enter.")
        return None

    def _resume(self, kept: KeptDraft) -> None:
        draft = kept.draft
        recipients = visible_line(", ".join(draft.recipients))
        self._say("\nThis message was not sent yet:")
        self._say(f"  To: {recipients}\n  Subject: {visible_line(draft.subject)}")
        self._say("  s  send it again\n  e  edit it\n  d  discard it\n  n  write another one")
        self._say("  Enter  back to the menu")
        while answer := self._terminal.read_line("Your choice: ").strip().lower():
            self._number = kept.number
            if "send it again".startswith(answer):
                self._send(draft)
                break
            if "edit it".startswith(answer):
                self._send(self._edit(draft))
                break
            if "discard it".startswith(answer):
                self._outbox.drop(kept.number)
                self._say("The message is discarded.")
                break
            self._number = None
            if answer == "n":
                self._write_new()
                break
            self._say("Type s, e, d, n or Enter.")

    def _edit(self, draft: Draft) -> Draft:
        self._say("\nEnter keeps what stands in brackets.")
        draft = self._fields(draft)
        self._number = self._outbox.keep(draft, self._number)
        lines = counted(len(draft.body), "line")
        answer = self._terminal.read_line(f"Type the text again ({lines})? [no]: ").strip().lower()
        return replace(draft, body=self._body()) if answer in {"y", "yes"} else draft

    def _fields(self, draft: Draft, asks_sender: bool = True) -> Draft:
        """The lines; what the draft has already is offered."""
        form = _Form(self._terminal, self._server, draft)
        if asks_sender:
            form.ask(
                1, "From", draft.sender, lambda d, text: replace(d, sender=compose.address(text))
            )
        recipients = ", ".join(draft.recipients)
        form.ask(
            2, "To", recipients, lambda d, text: replace(d, recipients=compose.addresses(text))
        )
        form.ask(
            3, "Subject", draft.subject, lambda d, text: replace(d, subject=compose.subject(text))
        )
        form.say_the_rest()
        return form.draft

    def _body(self, below: tuple[str, ...] = ()) -> tuple[str, ...]:
        """What is typed, and what stands below it."""
        self._say("Message (a line with only a full stop ends it):")
        body: list[str] = []
        while (text := self._terminal.read_line()) != END_OF_BODY:
            try:
                if text == IN_EDITOR and self._terminal.is_interactive:
                    whole = editor.edited("".join(f"{line}\n" for line in (*body, *below)))
                    return self._checked(whole)
                body.append(compose.body_line(text))
            except editor.EditorProblem as problem:
                self._say(f"{visible_line(str(problem))}\nThe message goes on here:")
            except FieldProblem as problem:
                _say_wrong(self._terminal, _FIRST_BODY_LINE + len(body), "message", problem)
        return (*body, *below)

    def _checked(self, text: str) -> tuple[str, ...]:
        """Raises EditorProblem: what no message may hold has to go in the editor again."""
        try:
            return tuple(compose.body_line(line) for line in text.removesuffix("\n").split("\n"))
        except FieldProblem as problem:
            raise editor.EditorProblem(f"The text cannot be taken: {problem}.") from problem

    def _send(self, draft: Draft) -> bool:
        answers: tuple[Answer, ...] = ()
        try:
            answers = self._deliver(draft).answers
        except Unreachable as problem:
            self._say_kept(draft, [Problem(str(problem))], "Not sent")
            return False
        except NotSent as failure:
            self._say_kept(draft, failure.problems, failure.verdict)
            self._say_answers([one for one in failure.answers if one.is_taken])
            return False
        if self._number is not None:
            self._outbox.drop(self._number)
        self._say(f"Sent to {visible_line(', '.join(draft.envelope))}.")
        self._say_answers(answers)
        return True

    def _say_answers(self, answers: list[Answer] | tuple[Answer, ...]) -> None:
        for one in answers:
            self._say(f"  {visible_line(one.recipient)}: {one.code} {visible_line(one.text)}")

    def _say_kept(
        self, draft: Draft, problems: list[Problem] | tuple[Problem, ...], verdict: str
    ) -> None:
        self._number = self._outbox.keep(draft, self._number)
        for problem in problems:
            self._say(f"{verdict}: {visible_line(problem.text)}")
        self._say("The message is kept: choose Send Mail to correct it or send it again.")


class _Form:
    """The fields above the text, asked for one by one."""

    def __init__(self, terminal: Terminal, server: actions.Server, draft: Draft) -> None:
        self._terminal = terminal
        self._say = terminal.say
        self._server = server
        self.draft = draft

    def ask(self, line: int, name: str, offered: str, take: Callable[[Draft, str], Draft]) -> None:
        """One line, with its field's name or as a bare value, until it is right."""
        prompt = f"{name} [{visible_line(offered)}]: " if offered else f"{name}: "
        while True:
            text = self._terminal.read_line(prompt).strip()
            label, colon, value = text.partition(":")
            value = value.strip()
            try:
                if colon and label.lower() in {"cc", "bcc", "attach"}:
                    self._take_more(label.lower(), value)
                    continue
                if colon and label.lower() == name.lower():
                    text = value if value or name == "Subject" else offered
                self.draft = take(self.draft, text or ("" if colon else offered))
                self._count(name)
                return
            except OSError as error:
                self._say(f"{visible_line(value)} cannot be attached: {reason(error)}.")
            except FieldProblem as problem:
                _say_wrong(self._terminal, line, name, problem)
                self._offer(text)

    def _take_more(self, label: str, value: str) -> None:
        """An empty line takes back what was there. Raises OSError or FieldProblem."""
        if label == "cc":
            self.draft = replace(self.draft, cc=compose.addresses(value) if value else ())
        elif label == "bcc":
            self.draft = replace(self.draft, bcc=compose.addresses(value) if value else ())
        elif value:
            self.draft = attach(self.draft, [expanded(value)])
            one = self.draft.attachments[-1]
            self._say(f"  Attached: {visible_line(one.name)} ({octets(len(one.content))})")
        else:
            self.draft = replace(self.draft, attachments=())

    def _count(self, name: str) -> None:
        if name == "Subject" and self._terminal.is_interactive:
            used = len(self.draft.subject)
            self._say(f"  {used} of {compose.MAX_SUBJECT_CHARACTERS} characters")

    def _offer(self, typed: str) -> None:
        """Known addresses that begin so."""
        if found := offers(self._server.state, typed)[:MAX_OFFERED]:
            self._say("Perhaps: " + "   ".join(map(visible_line, found)))

    def say_the_rest(self) -> None:
        """What was not asked for and goes along."""
        for name, who in (("Cc", self.draft.cc), ("Bcc", self.draft.bcc)):
            if who:
                self._say(f"  {name}: {visible_line(', '.join(who))}")
        for one in self.draft.attachments:
            name = visible_line(one.name) or one.content_type
            self._say(f"  Attached: {name} ({octets(len(one.content))})")


def _say_wrong(terminal: Terminal, line: int, name: str, problem: FieldProblem) -> None:
    what = visible_line(str(problem))
    terminal.say(f"Line {line} ({name}) is wrong: {what}. Please type this line again.")

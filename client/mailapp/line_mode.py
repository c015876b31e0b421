"""The line mode: user name and password, the menu with its three options, one after another.

It is complete: a person on any terminal, a screen reader and a pipe use the same conversation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mailapp import actions, exits
from mailapp.actions import Account, Server
from mailapp.compose import Draft
from mailapp.explaining import explain
from mailapp.link import UnknownCertificate
from mailapp.mailbox import Mailbox
from mailapp.manage_mail import ManageMail
from mailapp.network import Unreachable
from mailapp.outbox import Outbox, loss
from mailapp.outgoing import NotSent, Receipt
from mailapp.pop3 import (
    BadArgument,
    LoginRefused,
    MailboxInUse,
    Pop3Error,
    Refused,
)
from mailapp.render import counted, octets, visible_line
from mailapp.send_mail import SendMail
from mailapp.state import State
from mailapp.terminal import EndOfInput, Terminal

T = TypeVar("T")

OPTIONS = ("Manage Mail", "Send Mail", "Quit")
MAX_LOGINS = 3


class LineMode:
    """One run of the client."""

    def __init__(
        self,
        terminal: Terminal,
        server: Server,
        user: str = "",
        account: Account | None = None,
        address: str = "",
    ) -> None:
        """What is known already of user, account and address is not asked for."""
        self._terminal = terminal
        self._say = terminal.say
        self._server = server
        self._user = user
        self._given = account
        self._address = address
        self._kept = server.state if terminal.is_typed else State()  # a pipe's drafts end with it
        self._account: Account | None = None
        self._domain: str | None = None

    def run(self) -> int:
        """The whole conversation; returns the exit code. Raises OutputClosed."""
        try:
            if self._sign_in() is None:
                return exits.NO_PERMISSION
            while True:
                choice = self._choose()
                if choice != "Quit":
                    self._act(choice)
                elif self._may_quit():
                    return exits.OK
        except EndOfInput:
            self._say_loss()
        except KeyboardInterrupt:
            self._say("")
            self._say_loss()
            return exits.INTERRUPTED
        return exits.OK

    def _may_quit(self) -> bool:
        """A person on a terminal is asked before a message is lost; a pipe is told."""
        if self._terminal.is_interactive and (lost := self._loss()):
            return self._says_yes(f"{lost} Quit?")
        self._say_loss()
        return True

    def _say_loss(self) -> None:
        if lost := self._loss():
            self._say(lost)

    def _loss(self) -> str:
        """What ends with this run, in words."""
        count = 0 if self._kept.is_kept else self._count_drafts()
        return loss(count) if count else ""

    def _count_drafts(self) -> int:
        return len(self._outbox(self._account).drafts()) if self._account else 0

    def _sign_in(self) -> Account | None:
        """Ask who it is until the server agrees; None after too many wrong passwords."""
        for _ in range(MAX_LOGINS):
            account, self._given = self._given or self._ask_who(), None
            if self._is_accepted(account):
                self._account = account
                return account
        self._say("Too many wrong passwords.")
        return None

    def _ask_who(self) -> Account:
        user = self._user or self._terminal.read_line("User name: ").strip()
        return Account(user, self._terminal.read_secret("Password: "))

    def _is_accepted(self, account: Account) -> bool:
        """Log in and out. A server that cannot say is no reason to ask again."""
        try:
            mailbox = self._opened(account)
            mailbox.leave()
        except (LoginRefused, BadArgument) as problem:
            self._say(explain(problem))
            return False
        except (Unreachable, Pop3Error) as problem:
            self._say(explain(problem))
        else:
            self._say(f"\nWelcome, {account.user}. {_contents(mailbox)}")
            if not mailbox.is_encrypted:
                self._say("The connection is not encrypted.")
        return True

    def _choose(self) -> str:
        count = self._count_drafts()
        waiting = f"  ({count} messages wait to be sent)" if count else ""
        waiting = "  (a message waits to be sent)" if count == 1 else waiting
        manage, send, leave = OPTIONS
        self._say(f"\n  1  {manage}\n  2  {send}{waiting}\n  3  {leave}\n")
        while True:
            answer = self._terminal.read_line("Choose 1, 2 or 3: ").strip().lower()
            for number, option in enumerate(OPTIONS, start=1):
                if answer == str(number) or (answer and option.lower().startswith(answer)):
                    return option
            self._say("Please type 1, 2 or 3, or a first letter: m, s or q.")

    def _act(self, choice: str) -> None:
        """One option; Ctrl-C takes the person back to the menu."""
        try:
            account = self._account or self._sign_in()
            if account is None:
                return
            if choice == "Manage Mail":
                self._manage_mail(account)
            else:
                self._send_mail(account)
        except KeyboardInterrupt:
            self._say("\nCancelled.")

    def _manage_mail(self, account: Account) -> None:
        try:
            mailbox = self._opened(account)
        except (Unreachable, Pop3Error) as problem:
            if isinstance(problem, LoginRefused):
                self._account = None
            self._say(explain(problem))
            return
        try:
            try:
                ManageMail(
                    self._terminal,
                    mailbox,
                    lambda: self._own_address(account),
                    lambda draft: self._sender(account).answer(draft),
                ).run()
            except EndOfInput:
                if not self._terminal.is_interactive:
                    self._leave(mailbox)
                elif mailbox.marked:  # nobody said yes: a line may have been cut off, too
                    self._say(f"\n{mailbox.fate}")
                raise
            self._leave(mailbox)
        except Pop3Error as problem:
            self._say(f"{explain(problem)} {mailbox.fate}".rstrip())
        except KeyboardInterrupt:
            self._say(f"\nCancelled. {mailbox.fate}".rstrip())
        finally:
            mailbox.abandon()

    def _leave(self, mailbox: Mailbox) -> None:
        """Carry the deletions out, and say what came of it."""
        try:
            farewell = mailbox.leave()
        except Refused as refusal:
            self._say(f"The server did not delete everything: {visible_line(str(refusal))}")
            return
        for line in farewell.lines():
            self._say(line)

    def _send_mail(self, account: Account) -> None:
        self._sender(account).run()

    def _sender(self, account: Account) -> SendMail:
        def send(draft: Draft) -> Receipt:
            return self._trusting(lambda: actions.send(self._server, draft, account))

        own = self._own_address(account)
        return SendMail(self._terminal, self._server, own, self._outbox(account), send)

    def _outbox(self, account: Account) -> Outbox:
        return Outbox(self._kept, actions.account_key(self._server, account))

    def _own_address(self, account: Account) -> str:
        """What stands in From; empty when the server does not say its name."""
        if self._address or "@" in account.user:
            return self._address or account.user
        if self._domain is None:
            self._domain = actions.mail_domain(self._server)
        return f"{account.user}@{self._domain}" if self._domain else ""

    # Questions that a connection may raise

    def _opened(self, account: Account) -> Mailbox:
        """Raises Unreachable or a Pop3Error; a mailbox in use may be tried again."""
        while True:
            try:
                return self._trusting(lambda: actions.open_mailbox(self._server, account))
            except MailboxInUse as problem:
                if not self._says_yes(f"{explain(problem)}\nTry again?"):
                    raise

    def _trusting(self, connect: Callable[[], T]) -> T:
        """An unknown certificate is shown and asked about, once for a server, as ssh does."""
        while True:
            try:
                return connect()
            except UnknownCertificate as unknown:
                if not self._terminal.is_interactive:
                    raise
                self._ask_about(unknown)

    def _ask_about(self, unknown: UnknownCertificate) -> None:
        """Raises it again when the person does not believe it."""
        try:
            found = actions.fingerprint(self._server, unknown.port)
        except (Pop3Error, NotSent) as problem:
            raise unknown from problem
        self._say(f"\n{explain(unknown)}")
        self._say(f"Its SHA-256 fingerprint is\n\n  {found[:47]}\n  {found[48:]}\n")
        self._say("Compare it with what the people who run the server say.")
        if not self._says_yes("Trust it from now on, and no other?"):
            raise unknown
        self._server.state.trust(unknown.host, unknown.port, found)

    def _says_yes(self, question: str) -> bool:
        """Only a person on a terminal is asked; nobody there means no."""
        if not self._terminal.is_interactive:
            return False
        while True:
            answer = self._terminal.read_line(f"{question} (y/n) ").strip().lower()
            if answer in {"y", "yes", "n", "no"}:
                return answer[0] == "y"


def _contents(mailbox: Mailbox) -> str:
    if mailbox.count == 0:
        return "There is no mail."
    return f"There is mail: {counted(mailbox.count, 'message')}, {octets(mailbox.octets)}."

"""The client's side: back to back with our own server's side, and against scripts."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.message.envelope import (
    Envelope,
    MailParameters,
    Notify,
    RcptParameters,
    Recipient,
    Return,
)
from mailserver.message.outcome import Fate, Outcome
from mailserver.message.transaction import Transaction
from mailserver.smtp import events, replies
from mailserver.smtp.events import NEED_DATA
from mailserver.smtp.outbound import OutboundSession
from mailserver.smtp.outbound_events import (
    AuthRefused,
    BeginTls,
    Closed,
    OutboundEvent,
    Ready,
    SendContent,
    Step,
    TlsRefused,
    TransactionEnd,
)
from mailserver.smtp.received import ReplyReader
from mailserver.smtp.replies import Reply
from mailserver.smtp.service import Service
from mailserver.smtp.session import SmtpSession
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath

CONTENT = b"Subject: one\r\n\r\n.dots\r\n..more\r\n"


def recipient(name: str, parameters: RcptParameters | None = None) -> Recipient:
    local, _, domain = name.partition("@")
    path = ForwardPath(Mailbox(local, domain or "b.test"))
    return Recipient(path, parameters or RcptParameters())


def transaction(*names: str, asked: MailParameters | None = None, octets: int = 32) -> Transaction:
    sender = ReversePath(Mailbox("alice", "a.test"))
    recipients = tuple(map(recipient, names or ("bob",)))
    return Transaction(sender, asked or MailParameters(), recipients, octets)


class Server:
    """Our own server's session; what it asks is answered by a table."""

    def __init__(self, service: Service | None = None, **answers: Reply) -> None:
        self.session = SmtpSession("b.test", "192.0.2.1", service)
        self.answers = answers
        self.stored: list[tuple[Envelope, bytes]] = []
        self.content = bytearray()
        self.pipelining = True

    def exchange(self, octets: bytes) -> bytes:
        self.session.receive_data(octets)
        while not isinstance(event := self.session.next_event(), events.NeedData):
            match event:
                case events.MailFrom():
                    self.session.reply(self.answers.get("mail", replies.SENDER_OK))
                case events.RcptTo(found):
                    name = found.forward_path.mailbox.local_part
                    self.session.reply(self.answers.get(name, replies.RECIPIENT_OK))
                case events.MessageStart():
                    self.session.reply(self.answers.get("data", replies.START_INPUT))
                case events.MessageData(content):
                    self.content += content
                case events.MessageEnd(envelope):
                    reply = self.answers.get("end", replies.message_ok("1"))
                    if reply.code == 250:
                        self.stored.append((envelope, bytes(self.content)))
                    self.content.clear()
                    self.session.reply(reply)
                case events.AuthStart(_, response):
                    if response == b"\0alice\0wonderland":
                        self.session.authenticated("alice")
                    else:
                        self.session.reply(replies.AUTH_FAILED)
                case events.Disconnect():
                    break
        said = self.session.data_to_send()
        return said if self.pipelining else said.replace(b"250-PIPELINING\r\n", b"")


def back_to_back(
    server: Server, transactions: Iterable[Transaction], cut: int | None = None
) -> list[OutboundEvent]:
    """Lead both sides to the end; each chunk is cut there, or into single octets at 0."""
    client = OutboundSession("a.test", "b.test")
    waiting = iter(transactions)
    seen: list[OutboundEvent] = []
    to_client = server.session.data_to_send()
    while not seen or not isinstance(seen[-1], Closed):
        for chunk in pieces(to_client, cut):
            client.receive_data(chunk)
        while (event := client.next_event()) is not NEED_DATA:
            seen.append(event)
            if isinstance(event, Ready | TransactionEnd):
                following = next(waiting, None)
                client.transact(following) if following else client.quit()
            elif isinstance(event, SendContent):
                for chunk in pieces(CONTENT, cut):
                    client.send_content(chunk)
                client.end_content()
        octets = client.data_to_send()
        to_client = b"".join(server.exchange(chunk) for chunk in pieces(octets, cut))
        assert octets or to_client or seen, "both wait"
    return seen


def pieces(octets: bytes, cut: int | None) -> list[bytes]:
    if cut is None:
        return [octets]
    if cut == 0:
        return [octets[n : n + 1] for n in range(len(octets))]
    return [octets[:cut], octets[cut:]]


def ends(seen: list[OutboundEvent]) -> list[list[Fate]]:
    return [[o.fate for o in e.outcomes] for e in seen if isinstance(e, TransactionEnd)]


@pytest.mark.parametrize("cut", [None, *range(120)])
def test_two_messages_to_our_own_server(cut: int | None) -> None:
    server = Server(nobody=replies.NO_SUCH_USER, busy=replies.MAILBOX_FULL)
    asked = MailParameters(returned=Return.HEADER, envelope_id="a+b=c")
    first = transaction("bob", "nobody", "busy", "carol", asked=asked)
    notify = RcptParameters(frozenset({Notify.FAILURE, Notify.DELAY}), "rfc822;bob=x@old.test")
    second = replace(transaction(), recipients=(recipient("bob", notify),), eight_bit=True)
    seen = back_to_back(server, [first, second], cut)
    delivered, temporary = Fate.DELIVERED, Fate.TEMPORARY
    assert ends(seen) == [[delivered, Fate.PERMANENT, temporary, delivered], [delivered]]
    assert seen[-1] == Closed(None)
    (one, content), (two, _) = server.stored
    assert content == CONTENT
    assert [str(path) for path in one.forward_paths] == ["bob@b.test", "carol@b.test"]
    assert one.parameters == replace(asked, octets=32)
    assert two.parameters.eight_bit
    assert two.recipients[0].parameters == notify


def test_outcomes_have_the_words_of_the_server() -> None:
    server = Server(nobody=replies.NO_SUCH_USER, end=replies.DISK_FULL)
    seen = back_to_back(server, [transaction("bob", "nobody")])
    found = next(event for event in seen if isinstance(event, TransactionEnd)).outcomes
    text = "452 4.3.1 Not enough storage; try again later"
    assert found[0] == Outcome(Fate.TEMPORARY, "4.3.1", text, "b.test", reports=True)
    assert found[1] == Outcome(Fate.PERMANENT, "5.1.1", "550 5.1.1 No such user", "b.test")


@pytest.mark.parametrize("asks", ["mail", "data", "end"])
@pytest.mark.parametrize("pipelining", [True, False])
def test_a_refusal_is_for_all_and_the_next_message_goes(asks: str, pipelining: bool) -> None:
    for reply, fate in ((replies.TOO_BIG, Fate.PERMANENT), (replies.DISK_FULL, Fate.TEMPORARY)):
        server = Server(**{asks: reply})
        server.pipelining = pipelining

        def following(server: Server = server) -> Iterator[Transaction]:
            yield transaction("bob", "carol")
            server.answers.clear()
            yield transaction("bob")

        seen = back_to_back(server, following())
        assert ends(seen) == [[fate, fate], [Fate.DELIVERED]]
        assert len(server.stored) == 1


# -- against scripts -------------------------------------------------------------------------------


class Script:
    """A server that says what it is told to, one reply a command."""

    def __init__(self, *extensions: bytes, tls: bool = False, verified: bool = False) -> None:
        self.client = OutboundSession("a.test", "mx", tls=tls, verified=verified)
        self.client.receive_data(b"220 mx\r\n")
        assert self.said() == b"EHLO a.test\r\n"
        lines = [b"250-mx", *(b"250-" + extension for extension in extensions), b"250 HELP"]
        self.client.receive_data(b"\r\n".join(lines) + b"\r\n")
        assert self.client.next_event() == Ready()

    def said(self) -> bytes:
        return self.client.data_to_send()

    def answer(self, reply: bytes, expected: bytes) -> None:
        """After this reply the client says that."""
        self.client.receive_data(reply + b"\r\n")
        assert self.said() == expected

    def outcomes(self) -> tuple[Outcome, ...]:
        event = self.client.next_event()
        assert isinstance(event, TransactionEnd), event
        return event.outcomes


def test_one_command_at_a_time_without_pipelining() -> None:
    script = Script()
    script.client.transact(transaction("bob", "carol"))
    assert script.said() == b"MAIL FROM:<alice@a.test>\r\n"
    script.answer(b"250 ok", b"RCPT TO:<bob@b.test>\r\n")
    script.answer(b"550 no", b"RCPT TO:<carol@b.test>\r\n")
    script.answer(b"251 ok", b"DATA\r\n")
    script.answer(b"354 go", b"")
    assert script.client.next_event() == SendContent()
    assert script.client.step is Step.CONTENT
    script.client.send_content(b".\r\n")
    script.client.end_content()
    assert script.said() == b"..\r\n.\r\n"
    assert script.client.step is Step.END
    script.answer(b"250 ok", b"")
    assert [one.fate for one in script.outcomes()] == [Fate.PERMANENT, Fate.DELIVERED]


def test_without_a_recipient_there_is_no_data() -> None:
    script = Script()
    script.client.transact(transaction("bob"))
    script.answer(b"250 ok", b"MAIL FROM:<alice@a.test>\r\nRCPT TO:<bob@b.test>\r\n")
    script.answer(b"450 later", b"RSET\r\n")
    assert [one.status for one in script.outcomes()] == ["4.0.0"]
    script.client.transact(transaction("carol"))
    assert script.said() == b""
    script.answer(b"250 reset", b"MAIL FROM:<alice@a.test>\r\n")


def test_a_server_that_wants_content_for_nobody_gets_none() -> None:
    """RFC 2920 3.1."""
    script = Script(b"PIPELINING")
    script.client.transact(transaction("bob"))
    script.said()
    script.answer(b"250 ok\r\n550 no\r\n354 go", b".\r\n")
    script.answer(b"554 no recipients", b"")
    assert [one.text for one in script.outcomes()] == ["550 no"]


def test_the_parameters_that_a_server_knows() -> None:
    asked = MailParameters(None, True, True, Return.FULL, "id 1", True)
    wanted = RcptParameters(frozenset(), "utf-8;büro@old.test")
    known = [b"SIZE 100", b"8BITMIME", b"SMTPUTF8", b"DSN", b"REQUIRETLS", b"PIPELINING"]
    script = Script(*known, tls=True, verified=True)
    message = Transaction(
        ReversePath(Mailbox("pelé", "a.test")),
        asked,
        (recipient("büro@bücher.test", wanted),),
        99,
        True,
        True,
    )
    script.client.transact(message)
    assert script.said().decode() == (
        "MAIL FROM:<pelé@a.test> SIZE=99 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=id+201"
        " REQUIRETLS\r\n"
        "RCPT TO:<büro@bücher.test> NOTIFY=NEVER ORCPT=utf-8;büro@old.test\r\nDATA\r\n"
    )


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (transaction(octets=101), "5.3.4"),
        (transaction(asked=MailParameters(require_tls=True)), "5.7.30"),
        (transaction("büro"), "5.6.7"),
        (replace(transaction(), utf8_header=True), "5.6.7"),
        (replace(transaction(), eight_bit=True), "5.6.3"),
        (replace(transaction(), reverse_path=ReversePath(Mailbox("pelé", "a.test"))), "5.6.7"),
    ],
)
def test_what_a_server_cannot_take_is_not_sent(message: Transaction, status: str) -> None:
    script = Script(b"SIZE 100", b"REQUIRETLS")
    script.client.transact(message)
    assert script.said() == b""
    assert [(one.fate, one.status) for one in script.outcomes()] == [(Fate.PERMANENT, status)]
    script.client.transact(transaction(octets=100))
    assert script.said().startswith(b"MAIL ")


def test_what_one_recipient_cannot_have_the_others_get() -> None:
    script = Script(b"PIPELINING")
    script.client.transact(transaction("büro", "bob@bücher.test"))
    assert b"RCPT TO:<bob@xn--bcher-kva.test>\r\nDATA" in script.said()
    script.answer(b"250 1\r\n250 2\r\n354 go", b"")
    assert script.client.next_event() == SendContent()
    script.client.end_content()
    script.answer(b"250 ok", b".\r\n")
    assert [one.status for one in script.outcomes()] == ["5.6.7", "2.0.0"]


def test_requiretls_needs_a_server_that_is_who_it_should_be() -> None:
    script = Script(b"REQUIRETLS", tls=True, verified=False)
    script.client.transact(transaction(asked=MailParameters(require_tls=True)))
    assert [one.status for one in script.outcomes()] == ["5.7.30"]


@pytest.mark.parametrize(
    ("reply", "fate", "status"),
    [
        (b"552 too many recipients", Fate.TEMPORARY, "4.0.0"),
        (b"552 5.5.3 too many recipients", Fate.TEMPORARY, "4.5.3"),
        (b"552 5.2.2 full", Fate.PERMANENT, "5.2.2"),
        (b"550 4.1.1 class and code differ", Fate.PERMANENT, "5.0.0"),
        (b"354 what?", Fate.TEMPORARY, "4.5.0"),
    ],
)
def test_answers_to_rcpt(reply: bytes, fate: Fate, status: str) -> None:
    script = Script()
    script.client.transact(transaction("bob"))
    script.said()
    script.client.receive_data(b"250 ok\r\n" + reply + b"\r\n")
    assert [(one.fate, one.status) for one in script.outcomes()] == [(fate, status)]


def test_helo_where_ehlo_is_unknown() -> None:
    client = OutboundSession("a.test", "mx")
    client.receive_data(b"220-one\r\n220 two\r\n")
    assert client.data_to_send() == b"EHLO a.test\r\n"
    client.receive_data(b"502 never heard of it\r\n")
    assert client.data_to_send() == b"HELO a.test\r\n"
    client.receive_data(b"250 mx\r\n")
    assert client.next_event() == Ready()
    client.transact(transaction())
    assert client.data_to_send() == b"MAIL FROM:<alice@a.test>\r\n"


@pytest.mark.parametrize("greeting", [b"554 no SMTP here\r\n", b"421 busy\r\n", b"354 go\r\n"])
def test_a_server_that_does_not_want_us(greeting: bytes) -> None:
    client = OutboundSession("a.test", "mx")
    assert client.step is Step.GREETING
    client.receive_data(greeting)
    event = client.next_event()
    assert isinstance(event, Closed)
    assert event.outcome is not None
    assert event.outcome.fate is (Fate.PERMANENT if greeting[:1] == b"5" else Fate.TEMPORARY)
    client.transact(transaction())
    assert isinstance(client.next_event(), TransactionEnd)


def test_starttls() -> None:
    script = Script(b"STARTTLS")
    assert script.client.offers.starttls
    script.client.start_tls()
    assert script.said() == b"STARTTLS\r\n"
    script.answer(b"220 go", b"")
    assert script.client.next_event() == BeginTls()
    inside = OutboundSession("a.test", "mx", tls=True, greeting=False)
    assert inside.data_to_send() == b"EHLO a.test\r\n"
    inside.receive_data(b"250-mx\r\n250-STARTTLS\r\n250 SIZE\r\n")
    assert inside.next_event() == Ready()
    assert not inside.offers.starttls


def test_starttls_refused_and_answers_slipped_in_behind_it() -> None:
    script = Script(b"STARTTLS")
    script.client.start_tls()
    script.client.receive_data(b"454 not now\r\n")
    assert script.client.next_event() == TlsRefused("454 not now")
    script.client.start_tls()
    script.client.receive_data(b"220 go\r\n250 slipped in\r\n")
    event = script.client.next_event()
    assert isinstance(event, Closed)
    assert event.outcome is not None
    assert "in the clear" in event.outcome.text


def test_auth_plain() -> None:
    server = Server(Service(mechanisms=("PLAIN",)))
    client = OutboundSession("a.test", "b.test")
    client.receive_data(server.session.data_to_send())
    client.receive_data(server.exchange(client.data_to_send()))
    assert client.next_event() == Ready()
    client.authenticate("alice", "wrong")
    client.receive_data(server.exchange(client.data_to_send()))
    event = client.next_event()
    assert isinstance(event, AuthRefused)
    assert (event.outcome.fate, event.outcome.status) == (Fate.TEMPORARY, "4.7.8")
    client.authenticate("alice", "wonderland")
    said = client.data_to_send()
    assert base64.b64decode(said.split()[2]) == b"\0alice\0wonderland"
    client.receive_data(server.exchange(said))
    assert client.next_event() == Ready()
    assert server.session.client.user == "alice"


def test_auth_where_it_is_not_offered() -> None:
    script = Script(b"AUTH CRAM-MD5")
    script.client.authenticate("alice", "wonderland")
    assert script.said() == b""
    assert isinstance(script.client.next_event(), AuthRefused)


def to_the_dot(script: Script) -> None:
    script.client.transact(transaction("bob", "carol"))
    script.client.receive_data(b"250 1\r\n250 2\r\n550 3\r\n354 4\r\n")
    assert script.client.next_event() == SendContent()
    script.client.send_content(CONTENT)


def lost(script: Script) -> None:
    script.client.connection_lost()


def says(reply: bytes) -> Callable[[Script], None]:
    return lambda script: script.client.receive_data(reply)


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize(
    ("happens", "words"),
    [
        (lost, "the connection was lost"),
        (says(b"421 stopping\r\n"), "421 stopping"),
        (says(b"garbage\r\n"), "no reply: garbage"),
        (says(b"250-a\r\n251 b\r\n"), "two codes"),
        (says(b"250 bare\n"), "bare LF"),
        (says(b"2" * 5000 + b"\r\n"), "too long"),
        (says(b"250-more\r\n" * 300), "more than 200 lines"),
    ],
)
def test_the_end_of_a_connection_settles_what_is_open(
    happens: Callable[[Script], None], words: str, ended: bool
) -> None:
    script = Script(b"PIPELINING")
    to_the_dot(script)
    if ended:
        script.client.end_content()
    happens(script)
    one, two = script.outcomes()
    assert one.fate is Fate.TEMPORARY
    assert words in one.text
    assert two.fate is Fate.PERMANENT
    event = script.client.next_event()
    assert isinstance(event, Closed)
    assert event.outcome is not None
    script.client.connection_lost()
    assert script.client.next_event() is NEED_DATA


@pytest.mark.parametrize(
    ("reply", "fate"), [(b"552 too big", Fate.PERMANENT), (b"250 ok", Fate.TEMPORARY)]
)
def test_an_answer_before_the_end_of_the_content_ends_it(reply: bytes, fate: Fate) -> None:
    """250 before the final dot is an answer to something else: the message is not taken."""
    script = Script(b"PIPELINING")
    to_the_dot(script)
    script.client.receive_data(reply + b"\r\n")
    assert script.outcomes()[0].fate is fate
    assert isinstance(script.client.next_event(), Closed)
    script.said()
    script.client.send_content(b"more")
    script.client.end_content()
    assert script.said() == b""


def test_a_reply_of_several_lines_has_its_status_once() -> None:
    reader = ReplyReader()
    reader.feed(b"550-5.7.1 Not from you.\r\n550-5.7.1\r\n550 5.7.1 See our rules.\r\n")
    reply = reader.next_reply()
    assert reply is not None
    assert reply.text == "550 5.7.1 Not from you. See our rules."


def test_an_answer_to_nothing_ends_the_connection() -> None:
    script = Script()
    script.client.receive_data(b"250 hello?\r\n")
    event = script.client.next_event()
    assert isinstance(event, Closed)
    assert event.outcome is not None
    assert event.outcome.text == "an answer to nothing: 250 hello?"


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_whatever_a_server_says_each_recipient_gets_one_outcome(chunks: list[bytes]) -> None:
    script = Script(b"PIPELINING", b"SIZE 18446744073709551616", b"AUTH=PLAIN", b"")
    script.client.transact(transaction("bob", "carol"))
    for chunk in chunks:
        script.client.receive_data(chunk)
    script.client.connection_lost()
    seen = []
    while (event := script.client.next_event()) is not NEED_DATA:
        seen.append(event)
    assert [len(e.outcomes) for e in seen if isinstance(e, TransactionEnd)] == [2]
    assert isinstance(seen[-1], Closed)
    for outcome in next(e for e in seen if isinstance(e, TransactionEnd)).outcomes:
        assert outcome.text.isprintable()

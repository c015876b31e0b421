"""What a session asks of its driver, and what it does with the answers."""

from __future__ import annotations

import re
import time

import pytest

from mailserver.message.envelope import Client, Envelope, MailParameters, Recipient
from mailserver.smtp import commands, replies, usage
from mailserver.smtp.commands import Auth, Bdat, Data, Ehlo, Helo, Mail, Rcpt, StartTls
from mailserver.smtp.events import (
    NEED_DATA,
    AuthResponse,
    AuthStart,
    Disconnect,
    MailFrom,
    MessageData,
    MessageEnd,
    MessageRefused,
    MessageStart,
    RcptTo,
    SendFirst,
)
from mailserver.smtp.events import StartTls as StartTlsEvent
from mailserver.smtp.service import EXTENSIONS, Limits, Service
from mailserver.smtp.session import OUTPUT_LIMIT, SmtpSession
from mailserver.smtp.states import TABLE, State
from mailserver.wire.address import ForwardPath, Mailbox, ReversePath


def session(
    said: bytes = b"", limits: Limits | None = None, service: Service | None = None
) -> SmtpSession:
    """A session that has heard this and has not said anything that matters."""
    made = SmtpSession("mailserver", "192.0.2.1", service or Service(limits or Limits()))
    made.receive_data(said)
    return made


def in_transaction(said: bytes) -> SmtpSession:
    """One sender and one recipient were accepted, and this follows."""
    made = session(b"HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n" + said)
    assert isinstance(made.next_event(), MailFrom)
    made.reply(replies.SENDER_OK)
    assert isinstance(made.next_event(), RcptTo)
    made.reply(replies.RECIPIENT_OK)
    made.data_to_send()
    return made


def test_the_envelope_is_built_step_by_step() -> None:
    made = session(b"EHLO c\r\nMAIL FROM:<a@b> SIZE=9 BODY=8BITMIME\r\nRCPT TO:<c@d>\r\nDATA\r\n")
    client = Client("192.0.2.1", "c", True)
    asked = MailParameters(octets=9, eight_bit=True)
    proposed = Envelope(client, ReversePath(Mailbox("a", "b")), asked)
    assert made.next_event() == MailFrom(proposed)
    assert made.envelope is None
    made.reply(replies.SENDER_OK)
    assert made.envelope == proposed
    to = Recipient(ForwardPath(Mailbox("c", "d")))
    assert made.next_event() == RcptTo(to)
    made.reply(replies.RECIPIENT_OK)
    assert made.next_event() == MessageStart(proposed.with_recipient(to))
    made.reply(replies.START_INPUT)
    assert made.state is State.CONTENT
    made.receive_data(b"hello\r\n.\r\n")
    assert made.next_event() == MessageData(b"hello\r\n")
    assert made.next_event() == MessageEnd(proposed.with_recipient(to))
    assert made.envelope is None
    made.reply(replies.message_ok("1"))
    assert made.next_event() is NEED_DATA
    assert made.state is State.READY


def test_later_commands_wait_until_the_event_is_answered() -> None:
    """RFC 2920 3.2: pipelined commands are answered in order."""
    made = session(b"HELO c\r\nMAIL FROM:<a@b>\r\nNOOP\r\nQUIT\r\n")
    assert isinstance(made.next_event(), MailFrom)
    assert b"nothing done" not in made.data_to_send()
    with pytest.raises(RuntimeError):
        made.next_event()
    made.reply(replies.DISK_FULL)
    assert made.next_event() == Disconnect()
    assert made.data_to_send() == (
        b"452 Not enough storage; try again later\r\n"
        b"250 OK nothing done\r\n"
        b"221 mailserver Service closing transmission channel\r\n"
    )


def test_an_answer_needs_a_question() -> None:
    with pytest.raises(RuntimeError):
        session().reply(replies.SENDER_OK)


def test_a_refused_sender_and_a_refused_recipient_change_nothing() -> None:
    made = session(b"HELO c\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
    assert isinstance(made.next_event(), MailFrom)
    made.reply(replies.DISK_FULL)
    assert made.state is State.READY
    assert isinstance(made.next_event(), MailFrom)
    made.reply(replies.SENDER_OK)
    assert isinstance(made.next_event(), RcptTo)
    made.reply(replies.NO_SUCH_USER)
    assert made.state is State.SENDER_GIVEN
    assert made.next_event() is NEED_DATA
    assert made.data_to_send().endswith(b"503 " + replies.RCPT_FIRST.text.encode() + b"\r\n")


def test_content_that_may_not_come_ends_the_transaction() -> None:
    made = in_transaction(b"DATA\r\nNOOP\r\n")
    assert isinstance(made.next_event(), MessageStart)
    made.reply(replies.STORAGE_FAILED)
    assert made.state is State.READY
    assert made.envelope is None
    assert made.next_event() is NEED_DATA
    assert made.data_to_send().endswith(b"250 OK nothing done\r\n")


def test_refused_content_is_told_at_its_end() -> None:
    made = in_transaction(b"DATA\r\na\nb\r\n.\r\nNOOP\r\n")
    assert isinstance(made.next_event(), MessageStart)
    made.reply(replies.START_INPUT)
    made.data_to_send()
    assert made.next_event() == MessageRefused()
    assert made.data_to_send().startswith(b"550 ")
    assert made.next_event() is NEED_DATA
    assert made.data_to_send() == b"250 OK nothing done\r\n"


def test_content_is_handed_on_as_it_comes() -> None:
    made = in_transaction(b"DATA\r\n")
    assert isinstance(made.next_event(), MessageStart)
    made.reply(replies.START_INPUT)
    for _ in range(3):
        made.receive_data(b"x" * 1000)
        assert made.next_event() == MessageData(b"x" * 1000)
        assert made.next_event() is NEED_DATA


def test_waiting_output_has_to_go_first() -> None:
    """Security row 42 and 43: a flood of commands neither fills the memory nor stops the others."""
    made = session(b"HELP\r\n" * 15_000 + b"QUIT\r\n")
    sent, turns = 0, 0
    while (event := made.next_event()) == SendFirst():
        waiting = len(made.data_to_send())
        assert OUTPUT_LIMIT < waiting < OUTPUT_LIMIT + 1000
        sent += waiting
        turns += 1
    assert event == Disconnect()
    sent += len(made.data_to_send())
    assert sent > 15_000 * len(usage.GENERAL.text)
    assert turns > 50


@pytest.mark.parametrize("command", [b"NOOP", b"RSET", b"HELP", b"VRFY x"])
def test_a_turn_of_a_flood_is_short(command: bytes) -> None:
    """Security row 43: 20 milliseconds, on each of fifty connections, keep a newcomer waiting for
    seconds."""
    made = session(b"EHLO c\r\n" + (command + b"\r\n") * 10_000)
    taken = []
    for _ in range(5):
        began = time.thread_time()
        assert made.next_event() == SendFirst()
        taken.append(time.thread_time() - began)
        made.data_to_send()
    assert min(taken) < 0.006


@pytest.mark.parametrize("command", [b"EHLO d", b"HELO d", b"RSET", b"QUIT"])
def test_what_ends_a_transaction_forgets_all_of_it(command: bytes) -> None:
    """RFC 5321 4.1.4 and 4.1.1.5: sender and recipients."""
    made = in_transaction(command + b"\r\n")
    assert made.envelope is not None
    made.next_event()
    assert made.envelope is None


def test_nothing_is_kept_after_the_end() -> None:
    made = session(b"QUIT\r\n")
    assert made.next_event() == Disconnect()
    made.receive_data(b"NOOP\r\n")
    made.data_to_send()
    assert made.next_event() == Disconnect()
    assert made.data_to_send() == b""


def test_the_server_can_end_a_session() -> None:
    """RFC 5321 3.8: 421 at any time."""
    made = in_transaction(b"DATA\r\n")
    made.close(replies.SHUTTING_DOWN)
    assert made.next_event() == Disconnect()
    assert made.data_to_send().startswith(b"421 ")
    assert made.envelope is None


@pytest.mark.parametrize(("errors", "closed"), [(18, False), (19, False), (20, True)])
def test_the_twentieth_error_is_the_last(errors: int, closed: bool) -> None:
    made = session(b"X\r\n" * errors)
    assert (made.next_event() == Disconnect()) is closed
    assert (b"421 " in made.data_to_send()) is closed


@pytest.mark.parametrize("octets", [99, 100, 101])
def test_declared_size_limit(octets: int) -> None:
    """RFC 1870 6.1."""
    made = session(b"HELO c\r\nMAIL FROM:<a@b> SIZE=%d\r\n" % octets, Limits(message_octets=100))
    assert isinstance(made.next_event(), MailFrom) is (octets <= 100)
    assert (b"552 " in made.data_to_send()) is (octets > 100)


@pytest.mark.parametrize("recipients", [1, 2, 3])
def test_recipient_limit(recipients: int) -> None:
    """RFC 5321 4.5.3.1.10."""
    said = b"HELO c\r\nMAIL FROM:<>\r\n" + b"RCPT TO:<c@d>\r\n" * recipients
    made = session(said, Limits(recipients=2))
    assert isinstance(made.next_event(), MailFrom)
    made.reply(replies.SENDER_OK)
    asked = 0
    while isinstance(made.next_event(), RcptTo):
        made.reply(replies.RECIPIENT_OK)
        asked += 1
    assert asked == min(recipients, 2)
    assert (b"452 " in made.data_to_send()) is (recipients > 2)


def test_every_command_has_its_row_and_every_row_its_clause() -> None:
    assert len(TABLE) == 14
    for row in TABLE.values():
        assert re.fullmatch(r"RFC \d{4} [\d.]+", row.clause)
        assert {reply.code for reply in row.refused.values()} <= {503}


IN_TRANSACTION = (State.SENDER_GIVEN, State.RECIPIENT_GIVEN, State.CHUNKS)


@pytest.mark.parametrize(
    ("command", "refused"),
    [
        (Ehlo, set()),
        (Helo, set()),
        (Auth, {State.CONNECTED, *IN_TRANSACTION}),
        (StartTls, {State.CONNECTED, *IN_TRANSACTION}),
        (Mail, {State.CONNECTED, *IN_TRANSACTION}),
        (Rcpt, {State.CONNECTED, State.READY, State.CHUNKS}),
        (Data, {State.CONNECTED, State.READY, State.SENDER_GIVEN, State.CHUNKS}),
        (Bdat, {State.CONNECTED, State.READY, State.SENDER_GIVEN}),
    ],
)
def test_the_order_of_commands(command: type, refused: set[State]) -> None:
    """RFC 5321 4.1.4."""
    assert TABLE[command].refused.keys() == refused


# -- STARTTLS ------------------------------------------------------------------------------------


TLS_POSSIBLE = Service(starttls=True, mechanisms=("SCRAM-SHA-256",), tls_mechanisms=("PLAIN",))


def test_starttls_ends_the_session() -> None:
    """RFC 3207 4.2: nothing that was said before counts behind it."""
    made = session(b"EHLO c\r\nSTARTTLS\r\n", service=TLS_POSSIBLE)
    assert made.next_event() == StartTlsEvent()
    assert b"250-STARTTLS\r\n" in made.data_to_send()
    made.reply(replies.START_TLS)
    assert made.state is State.CLOSED
    assert made.data_to_send() == b"220 2.0.0 Ready to start TLS\r\n"
    behind = SmtpSession(
        "mailserver", "192.0.2.1", Service(tls="TLS_AES_128_GCM_SHA256"), greeting=False
    )
    assert behind.data_to_send() == b""
    behind.receive_data(b"MAIL FROM:<>\r\nEHLO c\r\n")
    assert behind.next_event() is NEED_DATA
    said = behind.data_to_send()
    assert said.startswith(b"503 ")
    assert b"STARTTLS" not in said
    assert b"250-REQUIRETLS\r\n" in said


def test_starttls_that_is_not_possible_changes_nothing() -> None:
    """RFC 3207 4: 454, and the session goes on in the clear."""
    made = session(b"EHLO c\r\nSTARTTLS\r\n", service=TLS_POSSIBLE)
    assert made.next_event() == StartTlsEvent()
    made.reply(replies.TLS_UNAVAILABLE)
    assert made.state is State.READY
    made.receive_data(b"MAIL FROM:<>\r\n")
    assert isinstance(made.next_event(), MailFrom)


@pytest.mark.parametrize("behind", [b"NOOP\r\n", b"\x16\x03\x01", b"x"])
def test_nothing_in_the_clear_may_follow_starttls(behind: bytes) -> None:
    """CVE-2011-0411: it would be obeyed as if it had come inside TLS."""
    made = session(b"EHLO c\r\nSTARTTLS\r\n" + behind, service=TLS_POSSIBLE)
    assert made.next_event() == Disconnect()
    assert b"\r\n421 4.7.0 STARTTLS has to be the last" in made.data_to_send()


# -- AUTH ------------------------------------------------------------------------------------------


def test_an_exchange_in_steps() -> None:
    """RFC 4954 4."""
    made = session(b"EHLO c\r\nAUTH SCRAM-SHA-256 YQ==\r\n", service=TLS_POSSIBLE)
    assert made.next_event() == AuthStart("SCRAM-SHA-256", b"a")
    made.data_to_send()
    made.challenge(b"b")
    assert made.data_to_send() == b"334 Yg==\r\n"
    assert made.next_event() is NEED_DATA
    made.receive_data(b"\r\n")
    assert made.next_event() == AuthResponse(b"")
    made.challenge(b"")
    assert made.data_to_send() == b"334 \r\n"
    made.receive_data(b"Yw==\r\nMAIL FROM:<>\r\n")
    assert made.next_event() == AuthResponse(b"c")
    made.authenticated("alice")
    assert made.data_to_send().startswith(b"235 2.7.0 ")
    event = made.next_event()
    assert isinstance(event, MailFrom)
    assert event.envelope.client.user == "alice"


def test_a_mechanism_that_needs_tls_says_so() -> None:
    """RFC 4954 6: 538."""
    made = session(b"EHLO c\r\nAUTH PLAIN\r\n", service=TLS_POSSIBLE)
    assert made.next_event() is NEED_DATA
    assert b"\r\n538 5.7.11 " in made.data_to_send()


def test_nothing_secret_is_in_a_representation() -> None:
    assert "a" not in repr(AuthResponse(b"a")).removeprefix("AuthResponse(").rstrip(")")
    assert "secret" not in repr(AuthStart("PLAIN", b"secret"))
    assert "secret" not in repr(Auth("PLAIN", b"secret"))


# -- BDAT ------------------------------------------------------------------------------------------


def test_chunks_that_may_not_come_are_thrown_away_first() -> None:
    """RFC 3030 2: the answer comes behind the octets, and the transaction is over."""
    made = in_transaction(b"BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUI")
    assert isinstance(made.next_event(), MessageStart)
    made.reply(replies.STORAGE_FAILED)
    assert made.next_event() is NEED_DATA
    assert made.data_to_send() == b"451 " + replies.STORAGE_FAILED.text.encode() + b"\r\n"
    made.receive_data(b"T\r\nNOOP\r\n")
    assert made.next_event() is NEED_DATA
    assert made.data_to_send() == b"503 Say MAIL FROM first\r\n250 OK nothing done\r\n"


@pytest.mark.parametrize("command", [b"RSET", b"EHLO d"])
def test_chunks_that_were_given_up_are_forgotten_outside_too(command: bytes) -> None:
    made = in_transaction(b"BDAT 3\r\na\r\n" + command + b"\r\n")
    assert isinstance(made.next_event(), MessageStart)
    made.reply(replies.START_INPUT)
    assert made.next_event() == MessageData(b"a\r\n")
    assert made.next_event() == MessageRefused()
    assert made.envelope is None
    assert made.state is State.READY


def test_a_chunk_is_handed_on_as_it_comes() -> None:
    """No second copy of the message is in memory."""
    made = in_transaction(b"BDAT 3000 LAST\r\n")
    assert isinstance(made.next_event(), MessageStart)
    made.reply(replies.START_INPUT)
    for _ in range(2):
        made.receive_data(b"x" * 1000)
        assert made.next_event() == MessageData(b"x" * 1000)
        assert made.next_event() is NEED_DATA
    made.receive_data(b"x" * 1000 + b"NOOP\r\n")
    assert made.next_event() == MessageData(b"x" * 1000 + b"\r\n")
    assert isinstance(made.next_event(), MessageEnd)


def test_what_ehlo_names() -> None:
    """RFC 5321 4.1.1.1, RFC 9422 3, 4.1, 4.2."""
    service = Service(Limits(message_octets=9, recipients=8, messages=7), mechanisms=("A", "B"))
    assert {
        "SIZE 9",
        "LIMITS MAILMAX=7 RCPTMAX=8",
        "AUTH A B",
        "CHUNKING",
        "SMTPUTF8",
        "DSN",
    } <= set(service.extensions)
    assert not {"STARTTLS", "REQUIRETLS"} & set(service.extensions)
    assert not [word for word in Service().extensions if word.startswith("AUTH")]
    for _, clause in EXTENSIONS.values():
        assert re.fullmatch(r"RFC \d{4} [\d.]+", clause)
    boundless = Service(Limits(recipients=10**6, messages=10**9))
    assert "LIMITS MAILMAX=999999 RCPTMAX=999999" in boundless.extensions


def test_help_has_a_line_for_each_command() -> None:
    assert usage.USAGE.keys() == commands._READERS.keys()

"""What a session asks of its driver, and what it does with the answers."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from mailserver.pop3 import replies
from mailserver.pop3.commands import LINE_LIMIT
from mailserver.pop3.events import (
    NEED_DATA,
    ApopLogin,
    AuthResponse,
    AuthStart,
    Disconnect,
    Login,
    Retrieve,
    SendFirst,
    StartTls,
    Update,
)
from mailserver.pop3.offer import Offer, capabilities
from mailserver.pop3.session import OUTPUT_LIMIT, RESPONSE_LIMIT, Pop3Session
from mailserver.pop3.states import TABLE, State


@dataclass
class Mailbox:
    """A listing."""

    octets: list[int]
    unique_ids: list[str]


def logged_in(said: bytes = b"", messages: int = 3) -> Pop3Session:
    """A session with a maildrop, that has heard this."""
    session = Pop3Session("mailserver", Offer())
    session.receive_data(b"USER alice\r\nPASS wonder land\r\n" + said)
    assert session.next_event() == Login("alice", "wonder land")
    session.logged_in(Mailbox([10] * messages, [f"id-{n}" for n in range(messages)]))
    session.data_to_send()
    return session


def test_later_commands_wait_until_the_event_is_answered() -> None:
    session = Pop3Session("mailserver", Offer())
    session.receive_data(b"USER a\r\nPASS b\r\nSTAT\r\n")
    assert session.next_event() == Login("a", "b")
    with pytest.raises(RuntimeError):
        session.next_event()
    session.logged_in(Mailbox([7], ["x"]))
    assert session.state is State.TRANSACTION
    assert session.next_event() is NEED_DATA
    assert session.data_to_send().endswith(b"+OK maildrop has 1 message (7 octets)\r\n+OK 1 7\r\n")


def test_answers_must_fit_the_event() -> None:
    session = logged_in(b"RETR 1\r\n")
    with pytest.raises(RuntimeError):
        session.updated(0)
    assert session.next_event() == Retrieve(1, None)
    with pytest.raises(RuntimeError):
        session.updated(0)
    with pytest.raises(RuntimeError):
        session.logged_in(Mailbox([], []))


def test_a_message_is_sent_piece_by_piece() -> None:
    session = logged_in(b"RETR 2\r\nTOP 1 0\r\n")
    assert session.next_event() == Retrieve(2, None)
    assert not session.sending_message
    assert session.send_message(b"a\r\n\r\n")
    assert session.sending_message
    assert session.data_to_send() == b"+OK 10 octets\r\na\r\n\r\n"
    assert session.send_message(b".b\r\n")
    session.message_sent()
    assert session.data_to_send() == b"..b\r\n.\r\n"
    assert session.next_event() == Retrieve(1, 0)
    assert not session.send_message(b"S: x\r\n\r\nbody\r\n")
    session.message_sent()
    assert session.data_to_send() == b"+OK top of message\r\nS: x\r\n\r\n.\r\n"


def test_a_message_that_cannot_be_read_is_refused() -> None:
    session = logged_in(b"RETR 2\r\nNOOP\r\n")
    assert session.next_event() == Retrieve(2, None)
    session.refuse(replies.NO_LINES)
    assert session.next_event() is NEED_DATA
    assert session.data_to_send() == b"-ERR the message cannot be read any more\r\n+OK\r\n"


def test_quit_asks_for_an_update_even_without_deletions() -> None:
    session = logged_in(b"QUIT\r\n")
    assert session.next_event() == Update(())
    session.updated(0)
    assert session.data_to_send() == b"+OK bye\r\n"
    assert session.next_event() == Disconnect()


def test_a_failed_update_says_so_once_and_ends() -> None:
    """RFC 1939 6: -ERR, and never +OK after it."""
    session = logged_in(b"DELE 3\r\nDELE 1\r\nQUIT\r\n")
    assert session.next_event() == Update((1, 3))
    session.data_to_send()
    session.refuse(replies.UPDATE_FAILED)
    assert session.data_to_send() == replies.err(replies.UPDATE_FAILED)
    assert session.next_event() == Disconnect()


def test_other_refusals_of_a_login_do_not_count_as_wrong_passwords() -> None:
    session = Pop3Session("mailserver", Offer())
    session.receive_data(b"USER a\r\nPASS b\r\n" * 5)
    for _ in range(5):
        assert session.next_event() == Login("a", "b")
        session.refuse(replies.IN_USE)
    assert session.next_event() is NEED_DATA


def test_the_third_wrong_password_is_the_last() -> None:
    session = Pop3Session("mailserver", Offer())
    session.receive_data(b"USER a\r\nPASS b\r\n" * 5)
    for _ in range(3):
        assert session.next_event() == Login("a", "b")
        session.refuse(replies.BAD_LOGIN)
    assert session.next_event() == Disconnect()


def test_so_many_faulty_commands_are_allowed() -> None:
    session = Pop3Session("mailserver", Offer(errors=3))
    session.receive_data(b"FOO\r\n" * 5)
    assert session.next_event() == Disconnect()
    assert session.data_to_send().count(b"-ERR unknown command") == 3


def test_waiting_output_has_to_go_first() -> None:
    """LIST is six octets that ask for thousands; a flood of them may not fill the memory."""
    session = logged_in(b"LIST\r\n" * 10_000, messages=1000)
    waiting, turns = 0, 0
    while session.next_event() == SendFirst():
        waiting = max(waiting, len(session.data_to_send()))
        turns += 1
    assert turns > 1000
    assert waiting < OUTPUT_LIMIT + 20_000


@pytest.mark.parametrize("command", [b"USER x", b"LANG xx", b"CAPA", b"UTF8"])
def test_a_turn_of_a_flood_is_short(command: bytes) -> None:
    """Security row 43, before the login."""
    session = Pop3Session("mailserver", Offer())
    session.receive_data((command + b"\r\n") * 10_000)
    taken = []
    for _ in range(5):
        began = time.thread_time()
        assert session.next_event() == SendFirst()
        taken.append(time.thread_time() - began)
        session.data_to_send()
    assert min(taken) < 0.006


def test_lists_leave_out_what_is_deleted() -> None:
    session = logged_in(b"DELE 2\r\nLIST\r\nUIDL\r\nSTAT\r\n")
    assert session.next_event() is NEED_DATA
    assert session.data_to_send() == (
        b"+OK message 2 deleted\r\n"
        b"+OK scan listing follows\r\n1 10\r\n3 10\r\n.\r\n"
        b"+OK unique-id listing follows\r\n1 id-0\r\n3 id-2\r\n.\r\n"
        b"+OK 2 20\r\n"
    )


def test_the_server_can_end_a_session_without_an_update() -> None:
    session = logged_in(b"DELE 1\r\n")
    assert session.next_event() is NEED_DATA
    session.close(replies.TRY_LATER)
    assert session.next_event() == Disconnect()


def test_tls_is_begun_by_a_session_that_ends() -> None:
    """RFC 2595 4."""
    session = Pop3Session("mailserver", Offer(stls=True), greeting=False)
    assert session.data_to_send() == b""
    session.receive_data(b"STLS\r\n")
    assert session.next_event() == StartTls()
    assert session.data_to_send() == b"+OK begin TLS now\r\n"
    session.receive_data(b"CAPA\r\n")
    assert session.next_event() == Disconnect()
    assert session.data_to_send() == b""


@pytest.mark.parametrize("ahead", [b"C", b"USER mallory\r\n", b"\r\n"])
def test_what_comes_ahead_of_tls_is_never_obeyed(ahead: bytes) -> None:
    session = Pop3Session("mailserver", Offer(stls=True), greeting=False)
    session.receive_data(b"STLS\r\n" + ahead)
    assert session.next_event() == Disconnect()
    assert session.data_to_send() == replies.err(replies.BEHIND_STLS)


def test_a_challenge_waits_for_its_response() -> None:
    session = Pop3Session("mailserver", Offer(("PLAIN",)), greeting=False)
    session.receive_data(b"AUTH PLAIN\r\n" + b"A" * RESPONSE_LIMIT + b"\r\nAUTH PLAIN =\r\n")
    assert session.next_event() == AuthStart("PLAIN", None)
    session.challenge(b"who?")
    assert session.next_event() == AuthStart("PLAIN", b"")
    assert session.data_to_send() == b"+ d2hvPw==\r\n" + replies.err(replies.LINE_TOO_LONG)
    session.challenge(b"")
    session.receive_data(b"A" * (RESPONSE_LIMIT - 4) + b"\r\n")
    assert session.next_event() == AuthResponse(b"\0" * ((RESPONSE_LIMIT - 4) // 4 * 3))
    session.logged_in(Mailbox([], []))
    session.receive_data(b"NOOP" + b" " * (LINE_LIMIT - 5) + b"\r\n")
    assert session.next_event() is NEED_DATA
    assert session.data_to_send().endswith(b"octets)\r\n" + replies.err(replies.LINE_TOO_LONG))


def test_a_secret_is_not_in_what_is_logged_of_an_event() -> None:
    for event in (Login("a", "secret"), AuthStart("PLAIN", b"secret"), AuthResponse(b"secret")):
        assert "secret" not in repr(event)


def test_the_digest_of_the_standard() -> None:
    """RFC 1939 7 has this example."""
    digest = "c4c9334bac560ecc979e58001b3e22fb"
    login = ApopLogin("mrose", "<1896.697170952@dbc.mtview.ca.us>", digest)
    assert login.right("tanstaaf")
    assert not login.right("tanstaa")


@pytest.mark.parametrize(
    ("offer", "told"),
    [
        (Offer(clear_passwords=False), set()),
        (Offer(), {"USER"}),
        (Offer(("A", "B"), stls=True), {"USER", "SASL A B", "STLS"}),
        (Offer(login_delay=9), {"USER", "LOGIN-DELAY 9"}),
    ],
)
def test_capabilities_are_what_was_offered(offer: Offer, told: set[str]) -> None:
    always = set(capabilities(Offer(clear_passwords=False), logged_in=False))
    before = set(capabilities(offer, logged_in=False))
    assert before - always == told
    # RFC 2449 5 wants them after the login too, but RFC 2595 4 STLS only where it may come
    assert before - set(capabilities(offer, logged_in=True)) == told & {"STLS"}


def test_every_command_has_its_row_and_every_row_its_clause() -> None:
    assert len(TABLE) == 17
    assert all(
        row.clause.startswith(("RFC 1939 ", "RFC 2449 ", "RFC 2595 ", "RFC 5034 ", "RFC 6856 "))
        for row in TABLE.values()
    )

"""The client's mechanisms: the RFCs' own examples, and servers that lie."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable
from typing import Any

import pytest

from mailapp import outgoing
from mailapp.link import Link, Tls
from mailapp.outgoing import NotSent
from mailapp.pop3 import LoginRefused, MailboxInUse, ProtocolError, open_session
from mailapp.sasl import BadChallenge, Plain, ScramSha256, mechanisms, saslprep

# RFC 7677 3
NONCE = "rOprNGfwEbeRWgbNEkqO"
FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
PROOF = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def encoded(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def test_the_example_of_rfc_7677() -> None:
    scram = ScramSha256("user", "pencil", NONCE)
    assert scram.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert scram.next(FIRST) == PROOF
    assert not scram.accepted()
    assert scram.next(FINAL) == b""
    assert scram.accepted()


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        b"\xff",
        b"e=other-error",
        FIRST.replace(NONCE.encode(), b"x"),
        b"r=" + NONCE.encode() + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",  # nothing added to ours
        FIRST.replace(b"4096", b"4095"),
        FIRST.replace(b"4096", b"999999999"),
        FIRST.replace(b"4096", b"-1"),
        FIRST.replace(b"W22", b"!!!"),
        b"m=ext," + FIRST,
    ],
)
def test_challenges_that_make_no_sense(challenge: bytes) -> None:
    with pytest.raises(BadChallenge):
        ScramSha256("user", "pencil", NONCE).next(challenge)


@pytest.mark.parametrize("final", [b"v=AAAA", b"e=invalid-proof", b"", b"v=?"])
def test_a_server_that_does_not_know_the_password(final: bytes) -> None:
    scram = ScramSha256("user", "pencil", NONCE)
    scram.next(FIRST)
    with pytest.raises(BadChallenge):
        scram.next(final)
    assert not scram.accepted()


def test_plain() -> None:
    plain = Plain("tim", "tanstaaftanstaaf")  # RFC 4616 4
    assert plain.first() == b"\0tim\0tanstaaftanstaaf"
    with pytest.raises(BadChallenge):
        plain.next(b"")


def test_the_strongest_comes_first() -> None:
    offered = ["LOGIN", "plain", "SCRAM-SHA-256"]
    names = [one.name for one in mechanisms(offered, "a", "b", is_encrypted=True)]
    assert names == ["SCRAM-SHA-256", "PLAIN"]
    assert mechanisms(["GSSAPI"], "a", "b", is_encrypted=True) == []


def test_names_and_passwords_are_prepared() -> None:
    assert saslprep("I\u00adX") == "IX"  # RFC 4013 3
    assert saslprep("\u2168\u00a0") == "IX "
    assert ScramSha256("a=b,c", "x", "n").first() == b"n,,n=a=3Db=2Cc,r=n"


Start = Callable[..., Any]
PLAIN = encoded(b"\0a\0b")
OFFER = [b"+OK\r\n", "CAPA", b"+OK\r\nSASL SCRAM-SHA-256 PLAIN\r\n.\r\n"]


SCRAM = f"AUTH SCRAM-SHA-256 {encoded(b'n,,n=a,r=n')}"
EHLO = [f"ehlo {socket.gethostname()}", b"250-x\r\n250 AUTH SCRAM-SHA-256 PLAIN\r\n"]


@pytest.fixture
def _one_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailapp.sasl.secrets.token_urlsafe", lambda _: "n")


@pytest.mark.usefixtures("_one_nonce")
def test_plain_inside_tls_where_scram_has_no_keys(peer: Start, new_certificate: Any) -> None:
    refused = [*OFFER, SCRAM, b"-ERR [AUTH] no keys\r\n"]
    server = peer(new_certificate().context, *refused, f"AUTH PLAIN {PLAIN}", b"+OK\r\n")
    how = Link(Tls.IMPLICIT, trusts_first=True)
    open_session("127.0.0.1", server.port, how, "a", "b").close()
    server.finish()


@pytest.mark.usefixtures("_one_nonce")
@pytest.mark.parametrize("may_show_password", [False, True])
def test_a_pop3_server_that_refuses_scram_in_the_clear_gets_no_password(
    peer: Start, may_show_password: bool
) -> None:
    server = peer(*OFFER, SCRAM, b"-ERR [AUTH] no keys\r\n", "")
    how = Link(may_show_password=may_show_password)
    with pytest.raises(LoginRefused):
        open_session("127.0.0.1", server.port, how, "a", "b")
    server.finish()


@pytest.mark.usefixtures("_one_nonce")
@pytest.mark.parametrize("may_show_password", [False, True])
def test_an_smtp_server_that_refuses_scram_in_the_clear_gets_no_password(
    peer: Start, may_show_password: bool
) -> None:
    server = peer(b"220 x\r\n", *EHLO, SCRAM, b"535 no keys\r\n", "quit", b"221 x\r\n")
    how = Link(may_show_password=may_show_password)
    with pytest.raises(NotSent) as caught:
        outgoing.send("127.0.0.1", server.port, how, "a@x", ("b@x",), b"\r\n", ("a", "b"))
    assert caught.value.problems[0].is_login
    server.finish()


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"-ERR [AUTH] no\r\n", LoginRefused),
        (b"-ERR [IN-USE] no\r\n", MailboxInUse),
        (b"+ !\r\n", ProtocolError),
        (b"+ \r\n", ProtocolError),
    ],
)
def test_refusals(peer: Start, reply: bytes, kind: type[Exception]) -> None:
    offer = [*OFFER[:2], b"+OK\r\nSASL PLAIN\r\n.\r\n"]
    server = peer(*offer, f"AUTH PLAIN {PLAIN}", reply)
    with pytest.raises(kind):
        open_session("127.0.0.1", server.port, Link(), "a", "b")


@pytest.mark.usefixtures("_one_nonce")
def test_success_without_a_proof_is_not_believed(peer: Start) -> None:
    server = peer(*OFFER, SCRAM, b"+OK welcome\r\n")
    with pytest.raises(ProtocolError, match="without showing"):
        open_session("127.0.0.1", server.port, Link(), "a", "b")


def test_a_long_first_response_waits_to_be_asked_for(peer: Start) -> None:
    password = "x" * 230
    offer = [*OFFER[:2], b"+OK\r\nSASL PLAIN\r\n.\r\n"]
    server = peer(
        *offer, "AUTH PLAIN", b"+ \r\n", encoded(b"\0a\0" + password.encode()), b"+OK\r\n"
    )
    open_session("127.0.0.1", server.port, Link(), "a", password).close()
    server.finish()

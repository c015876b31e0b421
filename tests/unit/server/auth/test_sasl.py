"""SASL mechanisms: the standards' own examples, and everything that must fail."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.accounts.password import scram_keys
from mailserver.auth import sasl
from mailserver.auth.sasl import (
    MECHANISMS,
    Challenge,
    CheckPassword,
    Failure,
    FetchKeys,
    Mechanism,
    Step,
    Success,
    Surroundings,
)

# RFC 7677 3
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = (
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
)
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

KEYS = scram_keys("pencil", SALT, 4096)
BINDINGS = {"tls-exporter": b"e" * 32, "tls-server-end-point": b"p" * 32}


def start(name: str, bindings: Mapping[str, bytes] | None = None) -> Mechanism:
    return sasl.start(name, Surroundings(lambda: SERVER_NONCE, bindings or {}))


def proof(message: str, server_first: str, final: str, password: str = "pencil") -> bytes:
    """What a client makes of a password (RFC 5802 3)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, 4096)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    signed = f"{message},{server_first},{final}".encode()
    signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
    both = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return f"{final},p={base64.b64encode(both).decode()}".encode()


def scram(
    mechanism: Mechanism, header: str, bound: bytes, rest: str = "n=user,r=abc", extra: str = ""
) -> Step:
    """A whole exchange up to the server's answer to the proof."""
    asked = mechanism.step(header.encode() + rest.encode())
    if not isinstance(asked, FetchKeys):
        return asked
    challenge = mechanism.keys(KEYS)
    assert isinstance(challenge, Challenge)
    server_first = challenge.octets.decode()
    nonce = server_first.partition(",")[0]
    binding = base64.b64encode(header.encode() + bound).decode()
    return mechanism.step(proof(rest, server_first, f"c={binding},{nonce}{extra}"))


# -- PLAIN, RFC 4616 4 ---------------------------------------------------------


@pytest.mark.parametrize("said", [b"\0tim\0tanstaaftanstaaf", b"tim\0tim\0tanstaaftanstaaf"])
def test_plain(said: bytes) -> None:
    mechanism = start("PLAIN")
    assert mechanism.step(said) == CheckPassword("tim", "tanstaaftanstaaf")
    assert mechanism.checked("Tim") == Success("Tim")


def test_plain_without_an_initial_response() -> None:
    mechanism = start("PLAIN")
    assert mechanism.step(None) == Challenge(b"")
    assert mechanism.step(b"\0tim\0x y") == CheckPassword("tim", "x y")
    assert mechanism.checked(None) == Failure()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"tim",
        b"\0tim",
        b"\0\0x",
        b"\0tim\0",
        b"\0tim\0x\0y",
        b"Ursel\0Kurt\0xipj3plmq",  # RFC 4616 4: nobody acts for another here
        b"\0tim\0\xff",
    ],
)
def test_plain_that_is_none(said: bytes) -> None:
    assert start("PLAIN").step(said) == Failure()


# -- LOGIN ---------------------------------------------------------------------


def test_login() -> None:
    mechanism = start("LOGIN")
    assert mechanism.step(None) == Challenge(b"Username:")
    assert mechanism.step(b"tim") == Challenge(b"Password:")
    assert mechanism.step(b"p\xc3\xa4ss wort") == CheckPassword("tim", "päss wort")
    assert mechanism.checked("tim") == Success("tim")


def test_login_with_the_user_at_once() -> None:
    mechanism = start("LOGIN")
    assert mechanism.step(b"tim") == Challenge(b"Password:")
    assert mechanism.step(b"x") == CheckPassword("tim", "x")


@pytest.mark.parametrize(
    ("user", "password"), [(b"", b"x"), (b"tim", b""), (b"t\0m", b"x"), (b"tim", b"\xff")]
)
def test_login_that_is_none(user: bytes, password: bytes) -> None:
    mechanism = start("LOGIN")
    mechanism.step(user)
    assert mechanism.step(password) == Failure()


# -- SCRAM ---------------------------------------------------------------------


def test_the_example_of_rfc_7677() -> None:
    mechanism = start("SCRAM-SHA-256")
    assert mechanism.step(None) == Challenge(b"")
    assert mechanism.step(CLIENT_FIRST) == FetchKeys("user")
    assert mechanism.keys(KEYS) == Challenge(SERVER_FIRST)
    assert mechanism.step(CLIENT_FINAL) == Challenge(SERVER_FINAL)
    assert mechanism.step(b"") == Success("user")
    assert mechanism.step(b"") == Failure()


def test_scram_with_a_wrong_password() -> None:
    mechanism = start("SCRAM-SHA-256")
    mechanism.step(CLIENT_FIRST)
    mechanism.keys(scram_keys("pencil2", SALT, 4096))
    assert mechanism.step(CLIENT_FINAL) == Failure()


def test_an_exchange_has_one_proof() -> None:
    mechanism = start("SCRAM-SHA-256")
    mechanism.step(CLIENT_FIRST)
    mechanism.keys(KEYS)
    assert mechanism.step(b"c=biws") == Failure()
    assert mechanism.step(CLIENT_FINAL) == Failure()


@pytest.mark.parametrize("nonce", ["rOprNGfwEbeRWgbNEkqO", SERVER_NONCE, "another"])
def test_a_proof_with_another_nonce(nonce: str) -> None:
    """RFC 5802 5.1: it has to be the one that the server sent, even if the proof is right."""
    mechanism = start("SCRAM-SHA-256")
    mechanism.step(CLIENT_FIRST)
    mechanism.keys(KEYS)
    message, final = CLIENT_FIRST.decode().removeprefix("n,,"), f"c=biws,r={nonce}"
    assert mechanism.step(proof(message, SERVER_FIRST.decode(), final)) == Failure()


def test_an_exchange_cannot_be_played_again() -> None:
    mechanism = sasl.start("SCRAM-SHA-256", Surroundings(lambda: "another"))
    mechanism.step(CLIENT_FIRST)
    mechanism.keys(KEYS)
    assert mechanism.step(CLIENT_FINAL) == Failure()


@pytest.mark.parametrize(
    ("name", "header", "bound", "bindings", "good"),
    [
        ("SCRAM-SHA-256", "n,,", b"", {}, True),
        ("SCRAM-SHA-256", "n,,", b"", BINDINGS, True),
        ("SCRAM-SHA-256", "y,,", b"", {}, True),
        ("SCRAM-SHA-256", "y,,", b"", BINDINGS, False),  # somebody took -PLUS away (RFC 5802 6)
        ("SCRAM-SHA-256", "n,a=user,", b"", {}, True),
        ("SCRAM-SHA-256", "n,a=USER,", b"", {}, True),
        ("SCRAM-SHA-256", "n,a=root,", b"", {}, False),
        ("SCRAM-SHA-256", "n,,", b"x", {}, False),
        ("SCRAM-SHA-256", "p=tls-exporter,,", b"e" * 32, BINDINGS, False),
        ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", b"e" * 32, BINDINGS, True),
        ("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", b"p" * 32, BINDINGS, True),
        ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", b"p" * 32, BINDINGS, False),
        ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", b"", BINDINGS, False),
        ("SCRAM-SHA-256-PLUS", "p=tls-unique,,", b"", BINDINGS, False),
        ("SCRAM-SHA-256-PLUS", "n,,", b"", BINDINGS, False),
        ("SCRAM-SHA-256-PLUS", "y,,", b"", BINDINGS, False),
    ],
)
def test_channel_binding(
    name: str, header: str, bound: bytes, bindings: dict[str, bytes], good: bool
) -> None:
    step = scram(start(name, bindings), header, bound)
    assert isinstance(step, Challenge) if good else step == Failure()


def test_extensions_that_nobody_knows_are_signed_and_passed_over() -> None:
    step = scram(start("SCRAM-SHA-256"), "n,,", b"", "n=user,r=abc,x=1", extra=",y=2")
    assert isinstance(step, Challenge)


@pytest.mark.parametrize(
    ("written", "user"),
    [("a=2Cb", "a,b"), ("a=3Db", "a=b"), ("=3D2C", "=2C"), ("päul", "päul"), ("a b", "a b")],
)
def test_a_name_as_scram_writes_it(written: str, user: str) -> None:
    assert start("SCRAM-SHA-256").step(f"n,,n={written},r=abc".encode()) == FetchKeys(user)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"n",
        b"n,,",
        b"n,,n=,r=abc",
        b"n,,n=user",
        b"n,,n=user,r=",
        b"n,,r=abc,n=user",
        b"n,,m=x,n=user,r=abc",  # an extension that must be understood (RFC 5802 5.1)
        b"n,,n=us=er,r=abc",
        b"n,,n=us=2cer,r=abc",
        b"n,,n=user=,r=abc",
        b"n,,n=us\0er,r=abc",
        b"n,,n=user,r=a\x7fc",
        b"n,,n=user,r=a c",
        b"n,a=,n=user,r=abc",
        b"n,a=other,n=user,r=abc",  # nobody acts for another here
        b"p=,,n=user,r=abc",
        b"q,,n=user,r=abc",
        b"n,,n=\xff,r=abc",
        b"\0user\0pencil",
    ],
)
def test_a_first_message_that_is_none(said: bytes) -> None:
    assert start("SCRAM-SHA-256").step(said) == Failure()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        CLIENT_FINAL.replace(b"biws", b"eSws"),
        CLIENT_FINAL.replace(b"c=biws", b"c=biw"),
        CLIENT_FINAL.replace(b"k0,", b"k1,"),
        CLIENT_FINAL.replace(b",p=d", b",p=e"),
        CLIENT_FINAL.replace(b"dVQ=", b""),
        CLIENT_FINAL.partition(b",p=")[0],
        CLIENT_FINAL.partition(b",p=")[0] + b",p=",
        CLIENT_FINAL + b",x=1",
        CLIENT_FINAL + b"\xff",
    ],
)
def test_a_final_message_that_is_none(said: bytes) -> None:
    mechanism = start("SCRAM-SHA-256")
    mechanism.step(CLIENT_FIRST)
    mechanism.keys(KEYS)
    assert mechanism.step(said) == Failure()


def test_more_than_an_acknowledgement() -> None:
    mechanism = start("SCRAM-SHA-256")
    mechanism.step(CLIENT_FIRST)
    mechanism.keys(KEYS)
    mechanism.step(CLIENT_FINAL)
    assert mechanism.step(b"x") == Failure()


# -- all -----------------------------------------------------------------------


@pytest.mark.parametrize("name", MECHANISMS)
@given(responses=st.lists(st.binary(max_size=30) | st.sampled_from([CLIENT_FIRST, CLIENT_FINAL])))
def test_any_octets_end_in_a_step(name: str, responses: list[bytes]) -> None:
    mechanism = start(name, BINDINGS)
    for response in (None, *responses):
        step = mechanism.step(response)
        assert not isinstance(step, Success)
        if isinstance(step, FetchKeys):
            step = mechanism.keys(scram_keys("no password", SALT, 1))
        if isinstance(step, CheckPassword):
            step = mechanism.checked(None)
        assert isinstance(step, Challenge | Failure)


def test_what_was_not_asked_is_a_failure() -> None:
    assert start("SCRAM-SHA-256").checked("user") == Failure()
    assert start("PLAIN").keys(KEYS) == Failure()


def test_what_is_offered_where() -> None:
    assert sasl.offered(clear=False) == ("SCRAM-SHA-256",)
    assert sasl.offered(clear=True) == ("SCRAM-SHA-256", "PLAIN", "LOGIN")
    assert sasl.offered(clear=True, bindings=BINDINGS) == tuple(MECHANISMS)


def test_no_secret_is_shown() -> None:
    assert "pencil" not in repr(CheckPassword("user", "pencil"))
    assert repr(KEYS.stored_key) not in repr(KEYS)

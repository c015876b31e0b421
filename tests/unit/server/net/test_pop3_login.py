"""All ways into a maildrop: what the driver asks of accounts, TLS and the store."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar, cast

import pytest
from tests.contract.post import needs_to_know_what_is_in_memory
from tests.dialogs.machine import NONCE, Machine, in_thread

from mailserver.net.memory_stream import MemoryStream
from mailserver.net.tls import ServerTls

USERS = {"alice": "wonderland", "bob": "builder"}
BAD_LOGIN = b"-ERR [AUTH] unknown user or wrong password\r\n"
WELCOME = b"+OK maildrop has 0 messages (0 octets)\r\n"
LOGIN = b"USER alice\r\nPASS wonderland\r\n"
TLS = cast(ServerTls, object())
"""A MemoryStream needs none."""

T = TypeVar("T")
Says = Callable[[MemoryStream], Iterator[bytes]]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "data", USERS, tls=TLS, clear_passwords=False)
    yield made
    made.close()


def talk(machine: Machine, says: Says) -> bytes:
    """A connection whose client looks at what it is sent; the server's side of it."""
    chunks: list[Iterator[bytes]] = []
    stream = MemoryStream(chunk for one in chunks for chunk in one)
    chunks.append(says(stream))
    machine.lead_pop3(stream)
    return bytes(stream.sent)


def scram(user: str, password: str, binding: bytes = b"") -> Says:
    """A client of SCRAM-SHA-256, or of -PLUS when it has a binding (RFC 5802 3)."""
    name, header = ("-PLUS", b"p=tls-exporter,,") if binding else ("", b"n,,")

    def challenge(stream: MemoryStream) -> bytes:
        last = bytes(stream.sent).split(b"\r\n")[-2]
        assert last.startswith(b"+ "), last
        return base64.b64decode(last[2:], validate=True)

    def client(stream: MemoryStream) -> Iterator[bytes]:
        bare = f"n={user},r=client".encode()
        yield b"AUTH SCRAM-SHA-256%s %s\r\n" % (name.encode(), base64.b64encode(header + bare))
        server_first = challenge(stream)
        nonce, salt, count = (part[2:] for part in server_first.split(b","))
        assert nonce == b"client" + NONCE.encode()
        bound = b"c=" + base64.b64encode(header + binding) + b",r=" + nonce
        signed = b",".join((bare, server_first, bound))
        rounds = int(count)
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), rounds)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        yield base64.b64encode(bound + b",p=" + base64.b64encode(proof)) + b"\r\n"
        if not bytes(stream.sent).endswith(BAD_LOGIN):
            server_key = hmac.digest(salted, b"Server Key", "sha256")
            shown = base64.b64encode(hmac.digest(server_key, signed, "sha256"))
            assert challenge(stream) == b"v=" + shown
            yield b"\r\n"

    return client


def test_scram(machine: Machine) -> None:
    """RFC 5034 4: the server's last words are a challenge, answered by an empty response."""
    assert talk(machine, scram("Alice", "wonderland")).endswith(WELCOME)
    assert talk(machine, scram("alice", "Wonderland")).endswith(BAD_LOGIN)
    assert talk(machine, scram("nobody", "wonderland")).endswith(BAD_LOGIN)


def test_scram_bound_to_its_tls(machine: Machine) -> None:
    """RFC 5802 6: one who sits between two TLS connections has another binding."""

    def client(binding: bytes) -> Says:
        def says(stream: MemoryStream) -> Iterator[bytes]:
            yield b"STLS\r\n"
            yield from scram("alice", "wonderland", binding)(stream)

        return says

    assert talk(machine, client(b"exported".ljust(32))).endswith(WELCOME)
    assert talk(machine, client(b"another".ljust(32))).endswith(BAD_LOGIN)


def test_tls_begins_a_new_session(machine: Machine) -> None:
    """RFC 2595 4: nothing that was said before counts, and there is more to be had."""
    sent = machine.pop3(
        [b"CAPA\r\n", b"UTF8\r\n", b"STLS\r\n", b"CAPA\r\n", b"STLS\r\nPASS x\r\n" + LOGIN]
    ).sent
    before, begin, after = bytes(sent).partition(b"+OK begin TLS now\r\n")
    assert begin
    assert b"\r\nSTLS\r\n" in before
    assert b"\r\nSASL SCRAM-SHA-256\r\n" in before
    assert b"\r\nUSER\r\n" not in before
    assert after.startswith(b"+OK capabilities follow\r\nUSER\r\n")  # and no greeting
    assert b"\r\nSASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r\n" in after
    assert b"\r\nSTLS\r\n" not in after
    assert after.endswith(
        b".\r\n-ERR no STLS: TLS is there already, or cannot be had here\r\n"
        b"-ERR USER comes first\r\n+OK now PASS\r\n" + WELCOME
    )


def test_the_user_named_in_the_clear_is_forgotten(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "data", USERS, tls=TLS)
    sent = machine.pop3([b"USER alice\r\n", b"STLS\r\n", b"PASS wonderland\r\n"]).sent
    assert sent.endswith(b"+OK begin TLS now\r\n-ERR USER comes first\r\n")
    machine.close()


def test_what_was_sent_ahead_of_tls_ends_the_connection(machine: Machine) -> None:
    stream = machine.pop3([b"STLS\r\n" + LOGIN, LOGIN])
    assert stream.sent.endswith(
        b" ready\r\n-ERR nothing may come behind STLS before TLS begins; closing\r\n"
    )
    assert stream.encryption is None


APOP = b"APOP alice " + b"0" * 32 + b"\r\n"
PLAIN = b"AUTH PLAIN " + base64.b64encode(b"\0alice\0guess") + b"\r\n"
GUESSES = [b"USER alice\r\nPASS guess\r\n", APOP, PLAIN]


@pytest.mark.parametrize("guess", GUESSES)
def test_whoever_guesses_has_to_wait(tmp_path: Path, guess: bytes) -> None:
    """However he logs in; and three wrong passwords are a session's last."""
    machine = Machine(tmp_path / "data", USERS)
    for _ in range(4):
        machine.pop3([guess * 3])
    for way in GUESSES:
        answer = bytes(machine.pop3([way]).sent)
        assert b"\r\n-ERR [SYS/TEMP] too many failed logins; try again in " in answer
    answer = talk(machine, lambda stream: iter([b"AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPWE=\r\n"]))
    assert b"\r\n-ERR [SYS/TEMP] too many failed logins; try again in " in answer
    machine.close()


def test_whoever_guesses_by_scram_has_to_wait_too(machine: Machine) -> None:
    for _ in range(10):
        assert talk(machine, scram("alice", "guess")).endswith(BAD_LOGIN)
    with pytest.raises(AssertionError, match="too many failed logins; try again in "):
        talk(machine, scram("alice", "wonderland"))
    assert talk(machine, scram("bob", "builder")).endswith(WELCOME)


SCRAM_FIRST = b"AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPWE=\r\n"
TOO_MANY = b"; try again in "


@pytest.mark.parametrize("after", [b"*\r\n", b"", b"=\r\n", b"!\r\n", b"\n"])
@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_an_exchange_given_up_counts_as_a_failure(
    tmp_path: Path, protocol: str, after: bytes
) -> None:
    """Security row 37: keys are derived for each that begins, at a thousand times its price."""
    machine = Machine(tmp_path / "data", USERS)
    opening, lead = (b"EHLO c\r\n", machine.smtp) if protocol == "smtp" else (b"", machine.pop3)
    for _ in range(10):
        sent = bytes(lead([opening + SCRAM_FIRST + after]).sent)
        assert TOO_MANY not in sent.lower()
    assert TOO_MANY in bytes(lead([opening + SCRAM_FIRST]).sent).lower()
    machine.close()
    machine = Machine(tmp_path / "again", USERS)
    assert TOO_MANY in bytes(lead([opening + (SCRAM_FIRST + b"*\r\n") * 12]).sent).lower()
    machine.close()


@pytest.mark.parametrize("kept", ["gr\u00fcn\ufb01sch", "gru\u0308nfisch"])
@pytest.mark.parametrize("typed", ["gr\u00fcnfisch", "gru\u0308nfisch", "gr\u00fcn\u00adfisch"])
def test_passwords_are_compared_as_saslprep_makes_them(
    tmp_path: Path, kept: str, typed: str
) -> None:
    """RFC 6856 2.2; APOP's digest is made of the prepared form."""
    machine = Machine(tmp_path / "data", {"alice": kept, "bob": "\ufffd"})
    assert machine.pop3([f"USER alice\r\nPASS {typed}\r\n".encode()]).sent.endswith(WELCOME)
    digest = hashlib.md5(
        f"<{NONCE}@mailserver>gr\u00fcnfisch".encode(), usedforsecurity=False
    ).hexdigest()
    assert machine.pop3([f"APOP alice {digest}\r\n".encode()]).sent.endswith(WELCOME)
    assert machine.pop3(["USER bob\r\nPASS \ufffd\r\n".encode()]).sent.endswith(WELCOME)
    machine.close()


def test_logins_in_too_quick_succession(tmp_path: Path) -> None:
    """RFC 2449 6.5: the delay is kept by all processes, and counts from the last +OK."""
    machine = Machine(tmp_path / "data", USERS, login_delay=30)
    again = b"-ERR [LOGIN-DELAY] the last login was a moment ago; CAPA says how long to wait\r\n"
    assert machine.pop3([LOGIN + b"QUIT\r\n"]).sent.endswith(WELCOME + b"+OK bye\r\n")
    other = Machine(tmp_path / "data", USERS, login_delay=30)
    assert other.pop3([LOGIN]).sent.endswith(again)
    other.now += 29
    assert other.pop3([LOGIN]).sent.endswith(again)
    other.now += 1
    assert other.pop3([LOGIN]).sent.endswith(WELCOME)
    other.now -= 86_400  # the clock was wrong, and is set
    assert other.pop3([LOGIN]).sent.endswith(WELCOME)
    machine.close()
    other.close()


@pytest.mark.parametrize(("delay", "to_the_disk"), [(0, 1), (1, 3)])
def test_who_comes_again_needs_no_disk(tmp_path: Path, delay: int, to_the_disk: int) -> None:
    """Unless it has to be looked up, and written down, when that was."""
    needs_to_know_what_is_in_memory(tmp_path)
    calls = 0

    def opening(call: Callable[[], T]) -> Awaitable[T]:
        nonlocal calls
        calls += 1
        return in_thread(call)

    machine = Machine(tmp_path / "data", USERS, login_delay=delay, opening=opening)
    machine.deliver("alice", b"Subject: tea\r\n\r\n")
    (tmp_path / "data" / "alice" / ".index").unlink()
    for _ in range(3):
        sent = machine.pop3([LOGIN + b"STAT\r\nQUIT\r\n"]).sent
        assert sent.endswith(b"+OK 1 16\r\n+OK bye\r\n")
        machine.now += delay
    machine.close()
    assert calls == to_the_disk

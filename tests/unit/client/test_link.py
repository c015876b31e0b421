"""TLS, certificates and clear passwords, against scripted servers."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mailapp import actions, link, outgoing
from mailapp.link import (
    CertificateChanged,
    ClearPassword,
    Link,
    NoTls,
    Tls,
    UnknownCertificate,
    Unsafe,
    is_on_private_network,
    shown_fingerprint,
)
from mailapp.outgoing import NotSent
from mailapp.pop3 import ConnectionLost, Pop3Client, ProtocolError, open_session
from mailapp.trace import Line

Start = Callable[..., Any]
EHLO = f"ehlo {socket.gethostname()}"
STLS = [b"+OK\r\n", "CAPA", b"+OK\r\nSTLS\r\n.\r\n", "STLS", b"+OK go\r\n"]
LOGIN = ["CAPA", b"+OK\r\nUIDL\r\n.\r\n", "USER a", b"+OK\r\n", "PASS b", b"+OK\r\n"]
STARTTLS = [b"220 x\r\n", EHLO, b"250-x\r\n250 STARTTLS\r\n", "STARTTLS", b"220 go\r\n"]


def public(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if loopback were far away: there is no other network to try it on."""
    monkeypatch.setattr(link, "is_on_private_network", lambda _: False)


def login(server: Any, how: Link) -> Pop3Client:
    return open_session("127.0.0.1", server.port, how, "a", "b")


def test_tls_is_taken_where_it_is_offered(peer: Start, new_certificate: Any) -> None:
    certificate = new_certificate()
    server = peer(*STLS, certificate.context, *LOGIN)
    client = login(server, Link(ca_file=str(certificate.pem)))
    assert client.is_encrypted
    client.close()
    server.finish()


def test_implicit_tls(peer: Start, new_certificate: Any) -> None:
    certificate = new_certificate()
    server = peer(certificate.context, b"+OK\r\n", *LOGIN)
    client = login(server, Link(Tls.IMPLICIT, str(certificate.pem)))
    assert client.is_encrypted
    client.close()
    server.finish()


def test_the_first_certificate_of_a_private_network_is_remembered(
    peer: Start, new_certificate: Any
) -> None:
    first, second = new_certificate(), new_certificate()
    refused = [*STLS, first.context]
    server = peer(refused, [*STLS, first.context, *LOGIN], [*STLS, second.context])
    how = Link()
    login(server, how).close()
    assert how.state.fingerprint("127.0.0.1", server.port) == first.fingerprint
    with pytest.raises(CertificateChanged, match=second.fingerprint):
        login(server, how)


def test_on_a_public_address_the_person_is_asked(
    peer: Start, new_certificate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    public(monkeypatch)
    certificate = new_certificate()
    looked_at = [*STLS, certificate.context, "CAPA", b"-ERR\r\n", "QUIT", b"+OK\r\n"]
    server = peer([*STLS, certificate.context], looked_at, [*STLS, certificate.context, *LOGIN])
    how = Link()
    with pytest.raises(UnknownCertificate) as caught:
        login(server, how)
    there = actions.Server("127.0.0.1", 9, server.port, how)
    assert actions.fingerprint(there, caught.value.port) == certificate.fingerprint
    how.state.trust(caught.value.host, caught.value.port, certificate.fingerprint)
    login(server, how).close()
    server.finish()


def test_a_server_that_stops_offering_tls_is_refused(peer: Start, new_certificate: Any) -> None:
    certificate = new_certificate()
    stripped = [b"+OK\r\n", "CAPA", b"+OK\r\nUIDL\r\n.\r\n"]
    server = peer([*STLS, certificate.context, *LOGIN], stripped, [b"+OK\r\n", *LOGIN])
    how = Link(ca_file=str(certificate.pem))
    login(server, how).close()
    with pytest.raises(NoTls, match="offered TLS before"):
        login(server, how)
    login(server, replace(how, tls=Tls.OFF)).close()
    server.finish()


def test_required_tls_that_is_not_offered(peer: Start) -> None:
    server = peer([b"+OK\r\n", "CAPA", b"-ERR\r\n"], [b"220 x\r\n", EHLO, b"250 x\r\n"])
    how = Link(Tls.REQUIRE)
    with pytest.raises(NoTls, match="require"):
        login(server, how)
    with pytest.raises(NoTls, match="require"):
        outgoing.check("127.0.0.1", server.port, how)


def test_clear_words_behind_the_go_ahead_are_an_attack(peer: Start) -> None:
    pop3 = peer(*STLS[:-1], b"+OK go\r\n+OK injected\r\n")
    with pytest.raises(ProtocolError, match="slipped in"):
        login(pop3, Link())
    smtp = peer(*STARTTLS[:-1], b"220 go\r\n250 injected\r\n")
    with pytest.raises(NotSent, match="clear words"):
        outgoing.check("127.0.0.1", smtp.port, Link())


def test_what_is_no_tls(peer: Start) -> None:
    server = peer(b"+OK this is not TLS at all, whatever it says\r\n")
    with pytest.raises(Unsafe, match="TLS could not be agreed on"):
        login(server, Link(Tls.IMPLICIT))


def test_no_password_in_the_clear_to_a_public_address(
    peer: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    public(monkeypatch)
    script = [b"+OK\r\n", *LOGIN]
    server = peer(script[:3], script)
    with pytest.raises(ClearPassword):
        login(server, Link())
    login(server, Link(may_show_password=True)).close()
    server.finish()
    assert server.heard.count("PASS b") == 1


@pytest.mark.parametrize("tls", [Tls.AUTO, Tls.IMPLICIT])
def test_sending_over_tls_with_a_login(peer: Start, new_certificate: Any, tls: Tls) -> None:
    certificate = new_certificate()
    secret = base64.b64encode(b"\0a\0b").decode()
    ehlo = [EHLO, b"250-x\r\n250 AUTH PLAIN LOGIN\r\n", f"AUTH PLAIN {secret}", b"235 ok\r\n"]
    start = (
        [*STARTTLS, certificate.context] if tls is Tls.AUTO else [certificate.context, b"220 x\r\n"]
    )
    mail = ["mail FROM:<a@x>", b"250 1\r\n", "rcpt TO:<b@x>", b"251 2\r\n", "data", b"354 3\r\n"]
    mail = [
        step.replace(step[:4], step[:4].upper()) if isinstance(step, str) else step for step in mail
    ]
    server = peer(
        *start, *ehlo, *mail, *("S: s", "", "Hi", "."), b"250 kept\r\n", "quit", b"221\r\n"
    )
    seen: list[Line] = []
    how = Link(tls, str(certificate.pem), watch=seen.append)
    content = b"S: s\r\n\r\nHi\r\n"
    receipt = outgoing.send("127.0.0.1", server.port, how, "a@x", ["b@x"], content, ("a", "b"))
    assert receipt.is_encrypted
    assert [(one.recipient, one.code, one.is_taken) for one in receipt.answers] == [
        ("b@x", 251, True)
    ]
    assert receipt.text == "250 kept"
    server.finish()
    said = [line.text for line in seen]
    assert "AUTH PLAIN ********" in said
    assert not [line for line in said if secret in line]
    assert [line.text for line in seen if line.state == "mail data"][:5] == [
        "S: s",
        "",
        "Hi",
        ".",
        "250 kept",
    ]


def test_a_login_that_is_refused(peer: Start) -> None:
    secret = base64.b64encode(b"\0a\0b").decode()
    ehlo = [EHLO, b"250-x\r\n250 AUTH PLAIN\r\n", f"AUTH PLAIN {secret}", b"535 5.7.8 no\r\n"]
    server = peer(b"220 x\r\n", *ehlo)
    with pytest.raises(NotSent) as caught:
        outgoing.send("127.0.0.1", server.port, Link(), "a@x", ["b@x"], b"\r\n", ("a", "b"))
    assert caught.value.problems[0].is_login
    assert "MAIL" not in " ".join(server.heard)


def test_cancelling_from_another_thread(peer: Start) -> None:
    server = peer(b"+OK\r\n", *LOGIN, "RETR 1", b"+OK\r\nhalf", "never")
    client = login(server, Link())

    def cancel(_: bytes) -> None:
        client.cancel()

    with pytest.raises(ConnectionLost, match="cancelled"):
        client.retrieve(1, cancel)
    server.finish_quietly()


@pytest.mark.parametrize(
    ("peer_name", "is_private"),
    [
        (("127.0.0.1", 1), True),
        (("10.1.2.3", 1), True),
        (("192.168.1.1", 1), True),
        (("8.8.8.8", 1), False),
        (("::1", 1, 0, 0), True),
        (("fe80::1%eth0", 1, 0, 2), True),
        (("fd00::1", 1, 0, 0), True),
        (("::ffff:8.8.8.8", 1, 0, 0), False),
        (("::ffff:10.0.0.1", 1, 0, 0), True),
        (("2001:4860:4860::8888", 1, 0, 0), False),
        (("", 1), False),
    ],
)
def test_which_networks_are_private(peer_name: tuple[Any, ...], is_private: bool) -> None:
    class At(socket.socket):
        def getpeername(self) -> tuple[Any, ...]:
            return peer_name

    with At() as connection:
        assert is_on_private_network(connection) is is_private


def test_fingerprints_are_taken_as_they_are_written() -> None:
    shown = ":".join(["AB"] * 32)
    for text in (shown, shown.lower(), "SHA256:" + "ab" * 32, "AB" * 32):
        assert shown_fingerprint(text) == shown
    for text in ("", "ab", "zz" * 32, "ab" * 33):
        with pytest.raises(ValueError, match="hexadecimal"):
            shown_fingerprint(text)

"""Bad input over real connections: the reply of the RFC, nothing stored is touched, and everybody
else goes on (the `mail` fixture has two other connections open meanwhile)."""

from __future__ import annotations

import base64
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sockets.conftest import Mail, Raw, transaction

MEGABYTE = 1024 * 1024
TLS_HELLO = b"\x16\x03\x01\x00\xca\x01\x00\x00\xc6\x03\x03" + bytes(range(190))


def test_unknown_command(mail: Mail) -> None:
    with mail.raw_smtp() as smtp, mail.raw_pop3() as pop3:
        assert smtp.ask(b"WIZ") == b"500 Unknown command; HELP lists those there are"
        assert pop3.ask(b"WIZ") == b"-ERR unknown command; CAPA lists what there is"


def test_bad_syntax(mail: Mail) -> None:
    with mail.raw_smtp(b"HELO c") as smtp, mail.raw_pop3(mail.new_user()) as pop3:
        assert smtp.ask(b"MAIL FROM:sender").startswith(b"501 MAIL FROM:<user@domain>: expected ")
        assert pop3.ask(b"RETR one") == b"-ERR a message number expected"


def test_wrong_order(mail: Mail) -> None:
    with mail.raw_smtp() as smtp, mail.raw_pop3() as pop3:
        assert smtp.ask(b"DATA") == b"503 Say EHLO or HELO first"
        assert pop3.ask(b"RETR 1") == b"-ERR log in first: USER, then PASS"


def test_a_line_that_ends_in_a_bare_lf_gets_advice(mail: Mail) -> None:
    with mail.raw_smtp() as smtp, mail.raw_pop3() as pop3:
        smtp.say(b"HELO client\n")
        assert smtp.reply().startswith(b"500 Lines end with CRLF")
        pop3.say(b"CAPA\n")
        assert pop3.line().startswith(b"-ERR lines end with CRLF")


@pytest.mark.parametrize("server", ["smtp", "pop3"])
def test_an_endless_line_takes_no_memory(mail: Mail, server: str) -> None:
    process = getattr(mail, server)
    with Raw(process.port) as raw:
        raw.line()
        before = process.resident_octets()
        raw.say(b"x" * MEGABYTE)
        assert raw.ask(b"").lower().endswith(b"line too long")
        with pytest.raises(ConnectionError):  # noqa: PT012 # it is cut off somewhere on the way
            for _ in range(2048):
                raw.say(b"x" * MEGABYTE)
        assert process.resident_octets() < before + 8 * MEGABYTE


def test_an_endless_header_takes_no_memory(mail: Mail) -> None:
    user = mail.new_user()
    with mail.raw_smtp(*transaction(user)) as smtp:
        before = mail.smtp.resident_octets()
        for _ in range(40):
            smtp.say(b"X-Field: of a header that does not end\r\n" * 26_000)
        assert mail.smtp.resident_octets() < before + 16 * MEGABYTE
        reply = smtp.ask(b"\r\n.")
        assert reply.startswith(b"552 5.6.0 The header is over the limit")
        assert smtp.ask(b"NOOP") == b"250 2.0.0 OK nothing done"
    assert mail.messages(user) == []


def test_a_slow_header_stops_nobody(mail: Mail) -> None:
    """One line of 256 KB where a header should be: read in linear time."""
    user = mail.new_user()
    with mail.raw_smtp(*transaction(user)) as smtp, mail.raw_smtp() as other:
        start = time.monotonic()
        smtp.say(b"From " + b"a" * 262_000 + b"\r\nSubject: x\r\n\r\n.\r\n")
        assert other.ask(b"NOOP") == b"250 OK nothing done"
        assert smtp.reply()[:3] in (b"250", b"552")
        assert time.monotonic() - start < 5


def test_octets_that_are_not_ascii(mail: Mail) -> None:
    with mail.raw_smtp() as smtp, mail.raw_pop3() as pop3:
        assert smtp.ask(b"HELO \xc3\xbc") == b"500 Commands are ASCII"
        assert pop3.ask(b"USER \xff\xfe") == b"-ERR commands are UTF-8"


def test_nul(mail: Mail) -> None:
    user = mail.new_user()
    with mail.raw_smtp() as smtp, mail.raw_pop3() as pop3:
        assert smtp.ask(b"NOOP\0") == b"500 Commands hold no control characters"
        assert pop3.ask(b"USER a\0b") == b"-ERR commands hold no control characters"
        assert smtp.ask(b"\0" * 100) == b"500 Commands hold no control characters"
    with mail.raw_smtp(*transaction(user)) as smtp:
        assert smtp.ask(b"a\0b\r\n.") == b"550 5.6.0 The message has a NUL octet"
    assert mail.messages(user) == []


def test_a_tls_hello(mail: Mail) -> None:
    for port, said in (
        (mail.smtp.port, b"421 This port speaks SMTP in the clear; closing transmission channel"),
        (
            mail.pop3.port,
            b"-ERR this port speaks POP3 in the clear; STLS starts TLS, where there is any",
        ),
    ):
        with Raw(port) as raw:
            raw.line()
            raw.say(TLS_HELLO)
            assert raw.to_end() == said + b"\r\n"


def test_an_http_request(mail: Mail) -> None:
    request = b"POST / HTTP/1.1\r\nHost: mailserver\r\nContent-Length: 6\r\n\r\nQUIT\r\n"
    for port, said in (
        (mail.smtp.port, b"421 This port speaks SMTP, not HTTP; closing transmission channel"),
        (mail.pop3.port, b"-ERR this port speaks POP3, not HTTP"),
    ):
        with Raw(port) as raw:
            raw.line()
            raw.say(request)
            assert raw.to_end() == said + b"\r\n"


PHASES: dict[str, tuple[bytes, ...]] = {
    "greeting": (),
    "half a command": (b"HEL",),
    "hello": (b"EHLO c\r\n",),
    "sender": (b"EHLO c\r\n", b"MAIL FROM:<a@mailserver>\r\n"),
    "recipient": (b"EHLO c\r\n", b"MAIL FROM:<a@mailserver>\r\n", b"RCPT TO:<%s@mailserver>\r\n"),
    "content": (
        b"EHLO c\r\n",
        b"MAIL FROM:<a@mailserver>\r\n",
        b"RCPT TO:<%s@mailserver>\r\n",
        b"DATA\r\n",
        b"Subject: half\r\n\r\n" + b"x" * 400_000,
    ),
    "the end of the content": (
        b"EHLO c\r\n",
        b"MAIL FROM:<a@mailserver>\r\n",
        b"RCPT TO:<%s@mailserver>\r\n",
        b"DATA\r\n",
        b"Subject: half\r\n\r\nx\r\n.\r",
    ),
}


@pytest.mark.parametrize("how", ["close", "drop"])
@pytest.mark.parametrize("phase", PHASES)
def test_smtp_connection_lost(mail: Mail, phase: str, how: str) -> None:
    user = mail.new_user()
    raw = mail.raw_smtp()
    for said in PHASES[phase]:
        raw.say(said.replace(b"%s", user.encode()))
        if said.endswith(b"\r\n") and len(said) < 100:
            assert raw.reply()[:1] in b"23"
    getattr(raw, how)()
    assert mail.messages(user) == []


def fill(mail: Mail, user: str) -> None:
    mail.send(user, b"Subject: one\r\n\r\n" + b"text\r\n" * 100_000)
    mail.send(user, b"Subject: two\r\n\r\ntext\r\n")


@pytest.mark.parametrize("how", ["close", "drop"])
@pytest.mark.parametrize("said", [b"", b"DELE 1\r\n", b"RETR 1\r\n" * 20, b"DELE 1\r\nQUIT"])
def test_pop3_connection_lost_frees_the_maildrop_at_once(mail: Mail, said: bytes, how: str) -> None:
    """RFC 1939 3: no UPDATE; and the next login need not wait for a timeout."""
    user = mail.new_user()
    fill(mail, user)
    raw = mail.raw_pop3(user)
    raw.say(said)
    if said:
        assert raw.line().startswith(b"+OK")
    getattr(raw, how)()
    start, reply = time.monotonic(), b"-ERR [IN-USE]"
    while reply.startswith(b"-ERR [IN-USE]"):  # until the server has seen the end
        assert time.monotonic() - start < 2
        with mail.raw_pop3() as again:
            again.ask(b"USER " + user.encode())
            reply = again.ask(b"PASS secret")
    assert reply.startswith(b"+OK maildrop has 2 messages")


def test_a_second_session_is_told_that_the_maildrop_is_in_use(mail: Mail) -> None:
    user = mail.new_user()
    with mail.raw_pop3(user) as first, mail.raw_pop3() as second:
        second.ask(b"USER " + user.encode())
        assert second.ask(b"PASS secret").startswith(b"-ERR [IN-USE] ")
        assert first.ask(b"QUIT") == b"+OK bye"
        second.ask(b"USER " + user.encode())
        assert second.ask(b"PASS secret").startswith(b"+OK ")


def test_ten_thousand_recipients(mail: Mail) -> None:
    user = mail.new_user()
    with mail.raw_smtp(b"HELO c", b"MAIL FROM:<>") as smtp:
        smtp.say(b"RCPT TO:<%s@mailserver>\r\n" % user.encode() * 10_000)
        replies = [smtp.reply()[:3] for _ in range(10_000)]
        assert replies == [b"250"] * 1000 + [b"452"] * 9000
        assert smtp.ask(b"DATA").startswith(b"354 ")
        assert smtp.ask(b"Subject: x\r\n.").startswith(b"250 ")
    assert len(mail.messages(user)) == 1


def test_the_recipients_of_all_messages_have_a_bound(tmp_path: Path) -> None:
    """Whoever holds many takes nobody's ten; they are free when the message is stored, is given up,
    or its connection ends."""
    mail = Mail(tmp_path, "--recipients-at-once", "30", "--workers", "1")
    rcpt = b"RCPT TO:<first+%s@mailserver>" % (b"x" * 50)

    def accepted(raw: Raw) -> int:
        raw.ask(b"MAIL FROM:<>")
        return [raw.ask(rcpt)[:3] for _ in range(40)].count(b"250")

    with mail.raw_smtp(b"HELO c") as one, mail.raw_smtp(b"HELO c") as other:
        assert accepted(one) == 30
        assert accepted(other) == 10
        assert other.ask(b"RSET").startswith(b"250 ")
        assert one.ask(b"DATA").startswith(b"354 ")
        assert one.ask(b"Subject: x\r\n.").startswith(b"250 ")
        assert accepted(other) == 30
        assert accepted(one) == 10
    with mail.raw_smtp(b"HELO c") as again:
        while accepted(again) < 30:  # until the server has seen the end of the two
            again.ask(b"RSET")
    mail.stop()


def test_a_message_over_the_size_limit(mail: Mail) -> None:
    user = mail.new_user()
    with mail.raw_smtp(b"EHLO c") as smtp:
        too_big = b"552 5.3.4 The message is over the size limit"
        assert smtp.ask(b"MAIL FROM:<a@mailserver> SIZE=50000001") == too_big
        assert smtp.ask(b"MAIL FROM:<a@mailserver> SIZE=50000000").startswith(b"250 ")
        assert smtp.ask(b"RCPT TO:<%s@mailserver>" % user.encode()).startswith(b"250 ")
        assert smtp.ask(b"DATA").startswith(b"354 ")
        before = mail.smtp.resident_octets()
        line = b"x" * 998 + b"\r\n"
        for _ in range(51):
            smtp.say(line * 1000)
        assert mail.smtp.resident_octets() < before + 16 * MEGABYTE
        assert smtp.ask(b".") == too_big
        assert smtp.ask(b"NOOP") == b"250 2.0.0 OK nothing done"
    assert mail.messages(user) == []


@pytest.mark.parametrize("name", ["../alice", ".mailserver", "a/b", "..", "", "users.txt", "."])
def test_hostile_user_names_in_the_protocols(mail: Mail, name: str) -> None:
    octets = name.encode()
    before = sorted(p.name for p in mail.data.iterdir())
    with mail.raw_smtp(b"HELO c", b"MAIL FROM:<>") as smtp, mail.raw_pop3() as pop3:
        assert smtp.ask(b"RCPT TO:<%s@mailserver>" % octets)[:3] in (b"501", b"550")
        assert smtp.ask(b'RCPT TO:<"%s"@mailserver>' % octets) == b"550 No such user"
        assert smtp.ask(b"VRFY " + (octets or b'""')).startswith(b"252 ")
        assert smtp.ask(b"DATA").startswith(b"503 ")
        pop3.ask(b"USER " + (octets or b" "))
        assert pop3.ask(b"PASS secret") == b"-ERR [AUTH] unknown user or wrong password"
    assert sorted(p.name for p in mail.data.iterdir()) == before


def test_hostile_user_names_in_the_list_of_users(mail: Mail) -> None:
    """Such lines are reported with their number and used for nothing; the others work."""
    good = mail.new_user()
    lines = len((mail.data / "users.txt").read_text().splitlines())
    hostile = ["../up secret", ".mailserver secret", "a/b secret", "nopassword", "\x1b[2J secret"]
    with (mail.data / "users.txt").open("ab") as users:
        users.write("".join(f"{line}\n" for line in hostile).encode() + b"\xff\xfe secret\n")
    after = mail.new_user()
    for user in (good, after):
        mail.send(user, b"Subject: x\r\n\r\n")
        assert len(mail.messages(user)) == 1
    for number in range(lines + 1, lines + 7):
        mail.smtp.wait_for(rf"users\.txt: line {number}\b")
    assert not any("\x1b" in line for line in mail.smtp.log)
    assert not (mail.data.parent / "up").exists()
    with mail.raw_smtp(b"HELO c", b"MAIL FROM:<>") as smtp:
        for name in (b"a/b", b'"../up"', b'".mailserver"'):
            assert smtp.ask(b"RCPT TO:<%s@mailserver>" % name) == b"550 No such user"


def symbolic_link(mailbox: Path, victim: Path) -> None:
    mailbox.symlink_to(victim)


def hard_link(mailbox: Path, victim: Path) -> None:
    os.link(victim, mailbox)


def fifo(mailbox: Path, victim: Path) -> None:
    os.mkfifo(mailbox)


def directory(mailbox: Path, victim: Path) -> None:
    mailbox.mkdir()


@pytest.mark.parametrize("make", [symbolic_link, hard_link, fifo, directory])
def test_a_mailbox_that_is_no_plain_file(
    mail: Mail, make: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    """Security row 30: 451, a line in the log, and what the link leads to is untouched."""
    user, other = mail.new_user(), mail.new_user()
    victim = mail.data / f"{user}-victim"
    victim.write_text("precious\n")
    (mail.data / user).mkdir()
    make(mail.data / user / "mymailbox", victim)
    recipients = (b"RCPT TO:<%s@mailserver>" % name.encode() for name in (user, other))
    with mail.raw_smtp(b"HELO c", b"MAIL FROM:<>", *recipients, b"DATA") as smtp:
        reply = smtp.ask(b"Subject: x\r\n.")
        assert reply == b"451 Mailbox cannot be written; the server's log says why"
    mail.smtp.wait_for(f"mail for {user} is refused")
    with mail.raw_pop3() as pop3:
        pop3.ask(b"USER " + user.encode())
        assert pop3.ask(b"PASS secret").startswith(b"-ERR [SYS/PERM] ")
    assert victim.read_text() == "precious\n"
    assert mail.messages(other) == []  # all recipients get a message, or none


def test_a_folder_that_is_a_link(mail: Mail, tmp_path: Path) -> None:
    user = mail.new_user()
    (mail.data / user).symlink_to(tmp_path)
    recipient = b"RCPT TO:<%s@mailserver>" % user.encode()
    with mail.raw_smtp(b"HELO c", b"MAIL FROM:<>", recipient, b"DATA") as smtp:
        assert smtp.ask(b"Subject: x\r\n.").startswith(b"451 ")
    with mail.raw_pop3() as pop3:
        pop3.ask(b"USER " + user.encode())
        assert pop3.ask(b"PASS secret").startswith(b"-ERR [SYS/")
    assert list(tmp_path.iterdir()) == []


def test_a_flood_of_commands_stops_nobody(mail: Mail) -> None:
    """Security row 43: half a million NOOPs beside a normal client."""
    with mail.raw_smtp() as flood, mail.raw_smtp() as normal:
        before = mail.smtp.resident_octets()
        flood.socket.setblocking(False)
        waiting, sent, longest = memoryview(b"NOOP\r\n" * 500_000), 0, 0.0
        for _ in range(40):
            try:
                while sent < len(waiting):
                    sent += flood.socket.send(waiting[sent : sent + 65_536])
            except BlockingIOError:
                pass
            start = time.monotonic()
            assert normal.ask(b"NOOP") == b"250 OK nothing done"
            longest = max(longest, time.monotonic() - start)
        assert longest < 1
        assert mail.smtp.resident_octets() < before + 16 * MEGABYTE


def test_a_client_that_reads_nothing_takes_no_memory(mail: Mail) -> None:
    """Security row 42."""
    user = mail.new_user()
    mail.send(user, b"Subject: big\r\n\r\n" + (b"x" * 98 + b"\r\n") * 50_000)
    with mail.raw_pop3(user) as lazy:
        before = mail.pop3.resident_octets()
        lazy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.say(b"RETR 1\r\n" * 30)
        for _ in range(20):
            with mail.raw_pop3() as other:
                assert other.ask(b"CAPA").startswith(b"+OK")
        assert mail.pop3.resident_octets() < before + 16 * MEGABYTE


def test_log_lines_cannot_be_forged(mail: Mail) -> None:
    """Security row 56."""
    with mail.raw_pop3() as pop3:
        pop3.ask("USER a\u2028b\u0085c\u202e".encode())
        pop3.ask(b"PASS wrong")
    mail.pop3.wait_for("login failed for ")
    for line in mail.pop3.log:
        assert line.rstrip("\n").isprintable(), line
    assert not any("wrong" in line.split("login failed")[-1] for line in mail.pop3.log)


def test_the_log_says_who_could_not_log_in(mail: Mail) -> None:
    plain = b"AUTH PLAIN " + base64.b64encode(b"\0mallory\0wrong")
    with mail.raw_pop3() as pop3:
        assert pop3.ask(plain).startswith(b"-ERR [AUTH]")
    with mail.raw_smtp(b"HELO c") as smtp:
        smtp.ask(b"EHLO c")
        assert smtp.ask(plain).startswith(b"535")
    for server in (mail.pop3, mail.smtp):
        server.wait_for(r"login failed for 'mallory' from 127\.0\.0\.1")

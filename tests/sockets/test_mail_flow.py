"""Mail in by smtplib, out by poplib, over real connections."""

from __future__ import annotations

import os
import poplib
import re
import smtplib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.sockets.conftest import SECONDS, Mail

CORPUS = Path(os.environ.get("MAIL_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")


def without_added_lines(message: bytes) -> bytes:
    """A stored message as it was sent: Return-Path, the trace line and the stamp taken off."""
    added = re.compile(
        rb"Return-Path: <[^\r\n]*>\r\n"
        rb"Received: from [^\r\n]* by mailserver with E?SMTP id [^\r\n]*\r\n"
        rb"\tfor <[^\r\n]*>; [^\r\n]*\r\n"
    )
    found = added.match(message)
    assert found, message[:300]
    stamp = re.compile(rb'Received: "\d{4}-\d\d-\d\d : \d\d : \d\d"; [^\r\n]*\r\n')
    rest, count = stamp.subn(b"", message[found.end() :], count=1)
    assert count == 1
    return rest


def test_a_message_from_smtplib_to_poplib(mail: Mail) -> None:
    user = mail.new_user()
    content = "Subject: hello\r\n\r\n.\r\n..\r\nFrom here\r\n>From there\r\nlast\r\n"
    with smtplib.SMTP("127.0.0.1", mail.smtp.port, timeout=SECONDS) as client:
        code, _ = client.ehlo("client")
        assert code == 250
        assert client.esmtp_features.keys() == {
            "pipelining",
            "size",
            "8bitmime",
            "smtputf8",
            "chunking",
            "dsn",
            "auth",
            "starttls",
            "limits",
            "enhancedstatuscodes",
            "help",
        }
        assert client.esmtp_features["size"] == "50000000"
        refused = client.sendmail(
            "sender@mailserver", [f"{user}@mailserver", "nobody@mailserver"], content
        )
        assert refused == {"nobody@mailserver": (550, b"5.1.1 No such user")}
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            client.sendmail("sender@mailserver", ["bob@elsewhere.example"], content)
        assert caught.value.recipients["bob@elsewhere.example"][0] == 550
    client = mail.login(user)
    assert client.stat()[0] == 1
    _, lines, octets = client.retr(1)
    message = b"".join(line + b"\r\n" for line in lines)
    assert len(message) == octets
    assert without_added_lines(message) == content.encode()
    assert client.list(1) == b"+OK 1 %d" % octets
    assert {"TOP", "UIDL", "PIPELINING", "RESP-CODES"} <= client.capa().keys()
    _, top, _ = client.top(1, 1)
    assert top[-2:] == [b"", b"."]
    client.dele(1)
    client.quit()
    assert mail.messages(user) == []


def test_unique_ids_survive_deletions_and_are_not_used_again(mail: Mail) -> None:
    """RFC 1939 7."""
    user = mail.new_user()
    for number in range(4):
        mail.send(user, b"Subject: %d\r\n\r\nthe same\r\n" % number)
    client = mail.login(user)
    before = [line.split()[1] for line in client.uidl()[1]]
    client.dele(2)
    client.quit()
    mail.send(user, b"Subject: 1\r\n\r\nthe same\r\n")
    client = mail.login(user)
    after = [line.split()[1] for line in client.uidl()[1]]
    client.quit()
    assert after[:3] == [before[0], before[2], before[3]]
    assert after[3] not in before
    assert len(set(before)) == 4


def test_mail_that_comes_while_a_session_is_open_stays(mail: Mail) -> None:
    user = mail.new_user()
    mail.send(user, b"Subject: old\r\n\r\n")
    client = mail.login(user)
    client.dele(1)
    mail.send(user, b"Subject: new\r\n\r\n")
    assert client.stat()[0] == 0
    client.quit()
    (message,) = mail.messages(user)
    assert b"\r\nSubject: new\r\n" in message


def test_wrong_password(mail: Mail) -> None:
    client = poplib.POP3("127.0.0.1", mail.pop3.port, timeout=SECONDS)
    client.user(mail.new_user())
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        client.pass_("wrong")
    client.close()


def test_users_are_read_again_when_their_list_changes(mail: Mail) -> None:
    users = mail.data / "users.txt"
    user = mail.new_user()
    mail.send(user, b"Subject: x\r\n\r\n")
    kept = users.read_text()
    users.write_text(kept.replace(f"{user} secret\n", f"{user} other word\n"))
    client = poplib.POP3("127.0.0.1", mail.pop3.port, timeout=SECONDS)
    client.user(user)
    with pytest.raises(poplib.error_proto):
        client.pass_("secret")
    client.user(user)
    client.pass_("other word")
    assert client.stat()[0] == 1
    client.quit()
    without = mail.data / "without"
    without.write_text(kept.replace(f"{user} secret\n", ""))
    without.replace(users)
    with mail.raw_smtp(b"HELO c", b"MAIL FROM:<>") as smtp:
        assert smtp.ask(b"RCPT TO:<%s@mailserver>" % user.encode()) == b"550 No such user"
    users.write_text(kept)


def test_ten_users_at_once(mail: Mail) -> None:
    users = [mail.new_user() for _ in range(10)]
    each = 20

    def write(number: int) -> None:
        with smtplib.SMTP("127.0.0.1", mail.smtp.port, timeout=SECONDS) as client:
            for count in range(each):
                to = [f"{users[number]}@mailserver", f"{users[(number + 1) % 10]}@mailserver"]
                text = f"Subject: {number}-{count}\r\n\r\n" + "text\r\n" * count
                assert client.sendmail(f"{users[number]}@mailserver", to, text) == {}

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(write, range(10)))
    for number, user in enumerate(users):
        found = {re.search(rb"^Subject: (.*)\r$", m, re.M)[1] for m in mail.messages(user)}
        expected = {f"{n}-{c}".encode() for n in (number, (number - 1) % 10) for c in range(each)}
        assert found == expected


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no real mail in {CORPUS}")
def test_real_mail_comes_back_octet_by_octet(mail: Mail) -> None:
    files = sorted(CORPUS.rglob("*.eml"))
    assert files
    user = mail.new_user()
    sent = []
    for file in files:
        content = file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        sent.append(content if content.endswith(b"\r\n") else content + b"\r\n")
    replies = []
    with mail.raw_smtp(b"EHLO client") as raw:
        for content in sent:
            for command in (b"MAIL FROM:<s@mailserver>", b"RCPT TO:<%s@mailserver>", b"DATA"):
                assert raw.ask(command.replace(b"%s", user.encode()))[:1] in b"23"
            stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
            replies.append(raw.ask(stuffed + b"."))
    refused = [f for f, r in zip(files, replies, strict=True) if not r.startswith(b"250 ")]
    for reply, content in zip(replies, sent, strict=True):
        if not reply.startswith(b"250 "):  # for a reason that the content itself shows
            assert reply.startswith((b"554 5.6.0 The subject is too long", b"550 5.6.0 ")), reply
            assert (
                reply.startswith(b"554 ")
                or b"\r" in content.replace(b"\r\n", b"")
                or (b"\0" in content)
            )
    assert len(refused) < len(files) / 20, refused
    accepted = [c for c, r in zip(sent, replies, strict=True) if r.startswith(b"250 ")]
    received = mail.messages(user)
    assert len(received) == len(accepted)
    for content, message in zip(accepted, received, strict=True):
        assert without_added_lines(message) == content


def test_each_greeting_has_a_timestamp_of_its_own(mail: Mail) -> None:
    """RFC 1939 7: with which poplib makes its digest."""
    user = mail.new_user()
    greetings = set()
    for _ in range(3):
        client = poplib.POP3("127.0.0.1", mail.pop3.port, timeout=SECONDS)
        greetings.add(client.getwelcome())
        assert client.apop(user, "secret").startswith(b"+OK maildrop has 0 ")
        client.quit()
    assert len(greetings) == 3

"""What comes over the network: sessions, and what they are read with."""

from __future__ import annotations

import base64
from contextlib import ExitStack
from functools import cached_property
from zlib import crc32

from tests.dialogs import dialog as dialogs
from tests.fuzz import grammar
from tests.fuzz.inputs import POP3_WORDS, SMTP_WORDS, pieces
from tests.fuzz.target import Target

from mailserver.accounts import credential
from mailserver.accounts.password import prepared
from mailserver.auth import sasl
from mailserver.pop3 import commands as pop3_commands
from mailserver.smtp import commands as smtp_commands
from mailserver.smtp.replies import Refused
from mailserver.smtp.service import Limits, Service
from mailserver.wire import address
from mailserver.wire.cursor import Cursor, SyntaxProblem
from mailserver.wire.proxy import BLOCK_LIMIT, ProxyFault, read_header


class Smtp(Target):
    """A whole session, led by the real driver over a real store: RFC 5321 4.2's grammar."""

    share = 4.0
    seeds = tuple(one.client for one in dialogs.all_dialogs() if one.protocol == "smtp")
    words = SMTP_WORDS
    end = b"\r\n"
    batch = 200
    service = Service(Limits(message_octets=400, recipients=2), verifies=True)

    @cached_property
    def machine(self) -> grammar.Machine:
        return self.stack.enter_context(grammar.machine(self.service, self.hash_aside))

    def check(self, data: bytes) -> None:
        before = len(self.machine.mailbox("bob"))
        answer = grammar.check_smtp(self.machine, [data])
        stored = answer.count(b"OK message stored")
        grown = len(self.machine.mailbox("bob")) - before
        assert bool(grown) <= bool(stored), "stored, and no 250"


class SmtpInPieces(Smtp):
    """The same octets, whole and in pieces."""

    share = 0.5
    batch = 20

    def check(self, data: bytes) -> None:
        places = [crc32(data) % (len(data) + 1), len(data) // 2, len(data) - 1, len(data) - 3]
        # a login that failed counts: each has a machine of its own
        with ExitStack() as machines:
            with self.aside():
                one, other = (
                    machines.enter_context(grammar.machine(self.service, self.hash_aside))
                    for _ in range(2)
                )
            whole = grammar.check_smtp(one, [data])
            assert grammar.check_smtp(other, pieces(data, places)) == whole
            assert one.messages("bob") == other.messages("bob")
            with self.aside():
                machines.close()


class Pop3(Target):
    """A whole session, likewise: RFC 1939 3's grammar."""

    share = 4.0
    seeds = tuple(one.client for one in dialogs.all_dialogs() if one.protocol == "pop3")
    words = POP3_WORDS
    end = b"\r\n"
    batch = 200

    @cached_property
    def machine(self) -> grammar.Machine:
        return self.stack.enter_context(grammar.machine(hashing=self.hash_aside))

    def check(self, data: bytes) -> None:
        grammar.check_pop3(self.machine, pieces(data, [len(data) // 2]))


class Commands(Target):
    """Command lines of both protocols, addresses among them."""

    share = 16.0
    words = (
        *SMTP_WORDS,
        *POP3_WORDS,
        *(b"MAIL FROM:", b"RCPT TO:", b"<", b">", b"@", b".", b'"', b"\\", b"[", b"]", b"IPv6:"),
        *(b"a", b"example", b"192.0.2.1", b"::1", b"%", b"!", b",", b":", b"-", "é".encode()),
    )
    seeds = tuple(word for word in words if len(word) > 8)

    def check(self, data: bytes) -> None:
        line = data[:2000]
        try:
            smtp_commands.read_command(line)
        except Refused as refused:
            assert 400 <= refused.reply.code < 600  # noqa: PT017 # it may be raised, and then this holds
        try:
            pop3_commands.read_command(line)
        except pop3_commands.Refused as problem:
            assert problem.reply.isprintable()  # noqa: PT017 # it may be raised, and then this holds


class Addresses(Target):
    """Each rule of the grammar; what was read is written in a form that reads as the same."""

    share = 16.0
    words = (
        *(b"<", b">", b"@", b".", b'"', b"\\", b"[", b"]", b"IPv6:", b"a", b"example.org", b"-"),
        *(b"192.0.2.1", b"2001:db8::1", b"%", b"!", b",", b":", b" ", b"b" * 63, "é".encode()),
        *(b"@a,@b:", "bücher".encode(), "\u200b".encode(), b"xn--", b"postmaster"),
    )
    seeds = (
        *(
            b"<alice@example.org>",
            b"<@a.example,@b.example:c@d.example>",
            b'<"a b\\"c"@example.org>',
        ),
        *(b"<a@[192.0.2.1]>", b"<a@[IPv6:2001:db8::1]>", b"<>", b"<postmaster>", b"alice", b"a@b"),
        *("<é@bücher.example>".encode(), b"<a@xn--bcher-kva.example>", b"<a.b+c=d@e-f.example>"),
    )

    def check(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        if not text.isprintable():
            text = "".join(character for character in text if character.isprintable())
        for rule in (address.reverse_path, address.forward_path, address.user_or_mailbox):
            cursor = Cursor(text)
            try:
                found = rule(cursor)
            except SyntaxProblem as problem:
                assert 0 <= problem.position <= len(text)  # noqa: PT017 # it may be raised, and then this holds
                continue
            written = str(found)
            assert written.isprintable()
            assert not set(written) & set("\r\n\0")
            mailbox = getattr(found, "mailbox", found)
            if mailbox is not None and mailbox.domain:
                again = Cursor(str(mailbox))
                assert address.mailbox(again) == mailbox
                assert again.at_end()


class Proxy(Target):
    """PROXY headers: none, one, or a ProxyFault; the same for each beginning."""

    seeds = (
        *(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\nEHLO", b"PROXY UNKNOWN x\r\n"),
        b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 25\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\1\xdc\4\0\x19",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24" + bytes(36),
        b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0QUIT",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\1\0" + bytes(256),
    )
    words = (b"PROXY ", b"TCP4 ", b"TCP6 ", b"UNKNOWN", b"192.0.2.1 ", b"::1 ", b"25", b"\r\n")

    def check(self, data: bytes) -> None:
        try:
            found = read_header(data)
        except ProxyFault as fault:
            assert str(fault).isprintable()  # noqa: PT017 # it may be raised, and then this holds
            return
        if found is None:
            assert len(data) < BLOCK_LIMIT
            return
        assert 0 < found.octets <= len(data)
        assert read_header(data[: found.octets]) == found
        assert read_header(data[: found.octets - 1]) is None


class Sasl(Target):
    """Every mechanism, some responses (a line each): a step each time, success for no guess."""

    seeds = (
        b"\0alice\0wonderland\nx",
        b"alice\nwonderland",
        b"n,,n=alice,r=x\nc=biws,r=xNONCE,p=" + base64.b64encode(bytes(32)) + b"\n",
        b"p=tls-exporter,,n=alice,r=x\nc=eA==,r=xNONCE,p=eA==\n",
        b"\0alice\0" + "\ufdfa".encode() * 400,
        b"\0alice\0" + "\u0315\u0300".encode() * 400,
    )
    words = (
        b"n,,",
        b"y,,",
        b"p=tls-exporter,,",
        b"n=",
        b"alice",
        b",r=",
        b"x",
        b"=2C",
        b"=3D",
        b"\n",
    )
    keys = credential.scram_keys("another", b"salt")

    def check(self, data: bytes) -> None:
        for name in sasl.MECHANISMS:
            surroundings = sasl.Surroundings(lambda: "NONCE", {"tls-exporter": bytes(32)})
            mechanism = sasl.start(name, surroundings)
            for response in data.split(b"\n")[:5]:
                step = mechanism.step(response)
                if isinstance(step, sasl.FetchKeys):
                    step = mechanism.keys(self.keys)
                elif isinstance(step, sasl.CheckPassword):
                    prepared(step.password)
                    step = mechanism.checked(None)
                assert isinstance(step, sasl.Challenge | sasl.Failure), step

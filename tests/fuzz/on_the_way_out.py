"""What the relay reads: messages that it recodes, other domains' policies, senders' addresses."""

from __future__ import annotations

import http.client

from tests.fuzz.target import Target

from mailserver.delivery.rewriting import Rewriting
from mailserver.message.entities import HEAD_LIMIT, Head, TooMuch, walk
from mailserver.message.seven_bit import CannotRecode, recoded
from mailserver.net.policy_fetch import policy_in
from mailserver.relay.mta_sts import BadPolicy, read_policy, record_id
from mailserver.relay.sts_policies import NotFetched
from mailserver.wire.address import LOCAL_PART_LIMIT, Mailbox

_PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
_MULTIPART = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b c"\r\n\r\n'
_TEXT = (
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"
)


class Mime(Target):
    """Nothing of a message is lost, however it is cut; recoded it is ASCII, as long as was said,
    and needs no recoding any more."""

    share = 4.0
    words = (
        *(b"--b c\r\n", b"--b c--\r\n", b"--", b"\r\n", b"\r\n", b"\xff", b"=", b" ", b"x" * 80),
        *(b"Content-Type: ", b"multipart/mixed", b"; boundary=", b'"b c"', b"multipart/digest"),
        *(b"message/rfc822\r\n", b"Content-Transfer-Encoding: ", b"8bit\r\n", b"base64\r\n"),
        *(b"multipart/signed", b"text/plain\r\n", b"MIME-Version: 1.0\r\n", _MULTIPART, _TEXT),
    )
    seeds = (
        *(_TEXT, _MULTIPART + b"--b c\r\n" + _TEXT + b"--b c\r\n\r\n\xe9\r\n--b c--\r\n"),
        _MULTIPART + b"--b c\r\nContent-Type: message/rfc822\r\n\r\n" + _TEXT + b"--b c--\r\n",
    )

    def check(self, data: bytes) -> None:
        content = b"\r\n".join(data.replace(b"\r", b"").split(b"\n"))
        half = len(content) // 2
        try:
            pieces = list(walk([content]))
            assert list(walk([content[:half], content[half:]])) == pieces
            assert b"".join(piece.octets for piece in pieces) == content
            heads = [piece for piece in pieces if isinstance(piece, Head)]
            assert all(len(head.octets) <= HEAD_LIMIT for head in heads)
            again, octets = recoded(lambda: iter([content]))
        except (TooMuch, CannotRecode):
            return
        made = b"".join(again())
        assert made.isascii()
        assert len(made) == octets
        assert content.isascii() <= (made == content)
        assert b"".join(recoded(lambda: iter([made]))[0]()) == made


class Policies(Target):
    """MTA-STS: its record, its policy, and the web server's answer around it."""

    words = (
        *(b"version", b": ", b"STSv1", b"mode", b"enforce", b"testing", b"none", b"mx", b"max_age"),
        *(
            b"*.",
            b"b.test",
            b"86400",
            b"\r\n",
            b"\n",
            b"v=STSv1;",
            b"id=",
            b"; ",
            b"HTTP/1.1 200 OK",
        ),
        *(
            b"Content-Type: text/plain",
            b"Transfer-Encoding: chunked",
            b"Content-Length: ",
            b"5",
            b"0",
        ),
    )
    seeds = (
        b"version: STSv1\r\nmode: enforce\r\nmx: *.b.test\r\nmax_age: 86400\r\n",
        b"v=STSv1; id=20261129;",
        _PAGE + b"\r\nversion: STSv1\nmode: none\nmax_age: 1\n",
        _PAGE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nmode:\r\n0\r\n\r\n",
    )

    def check(self, data: bytes) -> None:
        found = record_id([data])
        assert found is None or found.isalnum()
        try:
            octets = policy_in(data)
        except (NotFetched, http.client.HTTPException, ValueError):
            octets = data
        try:
            policy = read_policy(octets)
        except BadPolicy as problem:
            assert str(problem).isprintable()  # noqa: PT017 # it may be raised, and then this holds
            return
        assert not any(policy.names(name) for name in ("", ".", "test"))
        for host in policy.hosts:
            assert policy.names(host.replace("*", "any").upper())


class Senders(Target):
    """Addresses that lead back: what was made leads back, what was not leads nowhere."""

    words = (
        *(b"SRS0=", b"srs1=", b"SRS0+", b"SRS1-", b"=", b"==", b"b.test", b"AAAAAA", b"JM", b"x"),
        *(b"alice", "ü".encode(), b" ", b'"', b"\\", b"@"),
    )
    seeds = (b"alice", b"SRS0=I35C6W=JM=b.test=Alice", b"SRS1=AAAAAA=b.test==I35C6W=JM=c.test=x")
    _rewriting = Rewriting((b"secret",), "a.test", 21, lambda: 1_795_442_709.0)

    def check(self, data: bytes) -> None:
        local = "".join(filter(str.isprintable, data.decode("utf-8", "replace")))[:200] or "x"
        found = self._rewriting.back(Mailbox(local, "a.test"))
        assert found is None or local.upper().startswith("SRS0=I35C6W=JM=B.TEST=ALICE")
        made = self._rewriting.forward(Mailbox(local, "b.test"))
        if made.domain == "b.test":
            assert made.local_part == local
            return
        assert len(str(made).encode()) - len("@a.test") <= LOCAL_PART_LIMIT
        back = self._rewriting.back(made)
        assert back is not None
        if not self._rewriting.is_ours(Mailbox(local, "")) and not local.upper().startswith("SRS"):
            assert back == Mailbox(local, "b.test")

"""Input for the fuzzers: what both protocols say, whole and with something wrong in it."""

from __future__ import annotations

import random
from collections.abc import Sequence

SMTP_WORDS = [
    *(b"EHLO c", b"HELO c", b"MAIL FROM:<alice@mailserver>", b"MAIL FROM:<>", b"DATA", b"QUIT"),
    *(b"BDAT 3", b"BDAT 12 LAST", b"BDAT 0 LAST", b"BDAT 99999999999999999999", b"bdat x"),
    *(b"BDAT ", b"STARTTLS", b"AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=", b"AUTH PLAIN"),
    *(b"AUTH LOGIN =", b"*", b"AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPXg=", b"YWxpY2U=", b"EXPN a"),
    *(b"VRFY bob SMTPUTF8", "MAIL FROM:<é@bücher.example> SMTPUTF8".encode()),
    *("RCPT TO:<bøb@mailserver>".encode(), b" RET=HDRS", b" ENVID=a+2B", b" NOTIFY=NEVER"),
    *(b" ORCPT=utf-8;\\x{E5}", b" REQUIRETLS", b" AUTH=<>", b" SIZE=1", b" BODY=8BITMIME"),
    *(b"RCPT TO:<bob@mailserver>", b"RCPT TO:<x@y>", b"RSET", b"NOOP", b"VRFY a", b"HELP"),
    *(b".", b"..", b"Subject: x", b"From a", b"\r\n.\r\n", b"<", b">"),
]
POP3_WORDS = [
    *(b"USER alice", b"PASS wonderland", b"PASS x", b"CAPA", b"STAT", b"LIST", b"UIDL", b"RETR 1"),
    *(b"TOP 1 0", b"TOP 2 1", b"DELE 1", b"RSET", b"NOOP", b"QUIT", b" 2", b"RETR 2", b"LIST 1"),
    *(b"APOP alice 0123456789abcdef0123456789abcdef", b"STLS", b"UTF8", b"LANG", b"LANG en"),
    *(b"AUTH", b"AUTH PLAIN", b"AUTH PLAIN =", b"AUTH LOGIN", b"AUTH SCRAM-SHA-256"),
    # PLAIN: alice and her password; LOGIN: the same; SCRAM: a first message
    *(b"AGFsaWNlAHdvbmRlcmxhbmQ=", b"YWxpY2U=", b"d29uZGVybGFuZA==", b"biwsbj1hbGljZSxyPWE="),
    *(b"*", b"=", b"AAAA"),
]
LINE_ENDS = [b"\r\n"] * 6
OCTETS = [b"\n", b"\r", b"\0", b" ", b"\xff", b"\x16", b"\x1b", b"9" * 30, b"a" * 300]


def pieces(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The octets cut at these places."""
    ends = sorted({min(place, len(data)) for place in places} | {len(data)})
    return [piece for a, b in zip([0, *ends], ends, strict=False) if (piece := data[a:b])]


def mutated(seed: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """A seed that has something wrong with it, or something of another one in it."""
    data = bytearray(seed)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(data) + 1)
        end = min(len(data), place + chance.choice((1, 1, 2, 10, 100)))
        match chance.randrange(6):
            case 0:
                del data[place:end]
            case 1:
                data[place:place] = data[place:end]
            case 2:
                data[place:place] = chance.choice(LINE_ENDS + OCTETS)
            case 3:
                data[place:end] = chance.randbytes(end - place)
            case 4:
                other = chance.choice(others)
                data[place:place] = other[chance.randrange(len(other) + 1) :][:200]
            case 5:
                data[place : place + 1] = bytes([data[place] ^ 0x20]) if place < len(data) else b""
    return bytes(data)


def composed(words: Sequence[bytes], end: bytes, chance: random.Random) -> bytes:
    """Sense and nonsense: whole lines, pieces of lines, octets."""
    parts = []
    for _ in range(chance.randint(1, 30)):
        choice = chance.random()
        if choice < 0.8:
            parts += [chance.choice(words), end]
        elif choice < 0.95:
            parts.append(chance.choice(words))
        else:
            parts.append(chance.choice(OCTETS))
    return b"".join(parts)

"""Passwords as SASLprep makes them (RFC 4013)."""

from __future__ import annotations

import time

import pytest

from mailserver.accounts.password import LONGEST_PREPARED, prepared


@pytest.mark.parametrize(
    ("typed", "form"),
    [
        ("wonderland", "wonderland"),
        ("I\u00adX", "IX"),  # RFC 4013 3: SOFT HYPHEN is left out,
        ("\u00aa", "a"),  # NFKC,
        ("\u2168", "IX"),  # NFKC,
        ("a\u00a0b", "a b"),  # 2.1: spaces are spaces
        ("u\u0308ber", "\u00fcber"),
        ("\u0007\u00fc", "\u0007\u00fc"),  # forbidden: it stays
        ("\u00ad", "\u00ad"),  # nothing would be left of it
    ],
)
def test_forms(typed: str, form: str) -> None:
    assert prepared(typed) == form


def test_so_many_characters_and_no_more() -> None:
    assert prepared("\u2168" * LONGEST_PREPARED) == "IX" * LONGEST_PREPARED
    assert prepared("\u2168" * (LONGEST_PREPARED + 1)) == "\u2168" * (LONGEST_PREPARED + 1)


@pytest.mark.parametrize("length", [LONGEST_PREPARED, 4000])
@pytest.mark.parametrize(
    "characters",
    [
        "\ufdfa",  # eighteen letters each
        "\u0315\u0300",  # marks in the wrong order
        "".join(map(chr, range(0x4E00, 0x4E00 + 4000))),
        "".join(chr(one) * 40 for one in range(0x36F, 0x2FF, -1)),
    ],
)
def test_nobody_makes_it_slow(characters: str, length: int) -> None:
    """It is done in the event loop, for a password that anybody may send: AUTH takes 9 KB."""
    password = "\u00fc" + (characters * length)[: length - 1]
    taken = []
    for _ in range(3):
        began = time.thread_time()
        prepared(password)
        taken.append(time.thread_time() - began)
    assert min(taken) < 0.02

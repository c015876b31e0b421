"""Each command has its sentence, with a section that is written as everywhere."""

from __future__ import annotations

import re

import pytest

from mailapp import rfc


@pytest.mark.parametrize("table", [rfc._POP3, rfc._SMTP])
def test_every_sentence_ends_with_its_section(table: dict[str, str]) -> None:
    for word, text in table.items():
        assert re.search(r"[.] RFC \d{4} \d+(\.\d+)*(, (RFC \d{4} )?\d+(\.\d+)*)?$", text), word
        assert len(text) <= 100, word


@pytest.mark.parametrize(
    ("protocol", "line", "section"),
    [
        ("POP3", "RETR 1", "RFC 1939 5"),
        ("POP3", "stat", "RFC 1939 5"),
        ("POP3", "+OK 3 messages", "RFC 1939 3"),
        ("POP3", "-ERR [IN-USE] no", "RFC 2449 8"),
        ("POP3", ".", "RFC 1939 3"),
        ("SMTP", "RCPT TO:<a@x>", "RFC 5321 4.1.1.3"),
        ("SMTP", "250-SIZE 1000", "RFC 5321 4.2.2"),
        ("SMTP", "550 5.1.1 no", "RFC 5321 4.2.1"),
        ("SMTP", "452", "RFC 5321 4.2.1"),
    ],
)
def test_sentences(protocol: str, line: str, section: str) -> None:
    assert section in rfc.sentence(protocol, line)


@pytest.mark.parametrize("line", ["", "Hello", "25 apples", "2500", "4", "\x1b[2J"])
def test_what_is_no_line_of_a_protocol(line: str) -> None:
    assert rfc.sentence("SMTP", line) == ""
    assert rfc.sentence("POP3", line) == ""

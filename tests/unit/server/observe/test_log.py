"""The log, as a process writes it to standard error."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys
from mailserver.observe import log
log.start("smtpmail")
word = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
logging.getLogger("x").info("said %s", word)
try:
    raise ValueError(word)
except ValueError:
    logging.getLogger("x").exception("a fault at %s", word)
"""


@pytest.mark.parametrize(
    "word",
    [
        "\n2026-11-23T14:05:09Z smtpmail INFO login of root",
        "a\r\nb",
        "\x1b[2J\x9b",
        "\u2028\u202e\x85\x0b\x1c",
    ],
)
def test_nothing_from_outside_makes_a_line_or_drives_a_terminal(word: str) -> None:
    """Security row 56: not in the text, and not in a traceback."""
    command = [sys.executable, "-c", PROGRAM]
    run = subprocess.run(command, input=word.encode(), capture_output=True, check=True, timeout=30)
    said, fault, *traceback = run.stderr.decode().removesuffix("\n").split("\n")
    assert " smtpmail INFO said " in said
    assert " smtpmail ERROR a fault at " in fault
    assert traceback[0] == "  Traceback (most recent call last):"
    assert traceback[-1].startswith("  ")
    assert all(line.isprintable() for line in (said, fault, *traceback))
    assert all(line.startswith("  ") for line in traceback)

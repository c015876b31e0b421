"""Security row 64: no regular expression of the server takes long for any text."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

import mailserver

PUMPS = [
    *("a", " ", "\t", "\n", ">", "=", "-", ".", ",", ";", ":", '"', "\\", "(", "<", "?", "0", "+"),
    *("a ", "a.", "a-", "a,", "a:", "a=", "a\n", " \n", "a: b\n", "\\a", '\\"', "=?", "=?a", "?= "),
    *(
        "From ",
        ">From ",
        "Status: x\n",
        "=?a?q?b?= ",
        ";a=",
        ';a="',
        "=2C",
        "+2B",
        "x=y ",
        "é",
        "(a",
    ),
]
BEGINNINGS = [
    "",
    "a",
    "From ",
    ">",
    "Subject:",
    "=?a?q?",
    ";a=",
    '"',
    "n,,n=a,r=",
    "c=a,r=a,p=",
    "PROXY TCP4 ",
]
ENDINGS = ["", "\0"]


def expressions() -> Iterator[tuple[str, re.Pattern[Any]]]:
    for found in pkgutil.walk_packages(mailserver.__path__, "mailserver."):
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                yield f"{found.name}.{name}", value


EXPRESSIONS = dict(expressions())
SEARCHED = {"mailserver.message.downgrade._PARAMETER"}
"""They are looked for in a text; nobody asks whether they are the whole of one."""


def slowest(name: str, pattern: re.Pattern[Any], octets: int) -> tuple[float, str]:
    """Processor seconds, and for which text."""
    worst = 0.0, ""
    read = pattern.findall if name in SEARCHED else pattern.fullmatch
    for pump in PUMPS:
        for beginning in BEGINNINGS:
            for ending in ENDINGS:
                text = beginning + pump * (octets // len(pump)) + ending
                subject: Any = text.encode() if isinstance(pattern.pattern, bytes) else text
                began = time.process_time()
                read(subject)
                worst = max(worst, (time.process_time() - began, repr(beginning + pump + ending)))
    return worst


def is_linear(name: str, pattern: re.Pattern[Any]) -> bool:
    """It takes 4 KiB in no time, or 16 KiB not much longer than four times that."""
    short, text = slowest(name, pattern, 4096)
    if short < 0.005:
        return True
    long, text = slowest(name, pattern, 16384)
    print(short, long, text)
    return long < 8 * short


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_no_text_takes_long(name: str) -> None:
    assert is_linear(name, EXPRESSIONS[name])


def test_one_that_takes_long_is_found() -> None:
    assert len(EXPRESSIONS) >= 40
    assert not is_linear("evil", re.compile(r" *a* *\b!"))

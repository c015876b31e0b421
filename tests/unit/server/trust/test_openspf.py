"""The openspf test suite for RFC 7208, all of its cases (openspf/README.md says whose it is)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.server.trust.zone import Zone

from mailserver.trust import spf

SUITE = json.loads((Path(__file__).parent / "openspf" / "rfc7208-tests.json").read_text())
CASES = [
    pytest.param(part["zonedata"], case, id=f"{part['description']}: {name}")
    for part in SUITE
    for name, case in part["tests"].items()
]


def test_the_suite_is_whole() -> None:
    assert (len(SUITE), len(CASES)) == (16, 203)


@pytest.mark.parametrize(("zone", "case"), CASES)
def test_case(zone: dict[str, list[Any]], case: dict[str, Any]) -> None:
    asked = spf.question(case["host"], case["mailfrom"], case["helo"])
    outcome = asyncio.run(spf.check(asked, Zone(zone), lambda: 1.0))
    allowed = case["result"] if isinstance(case["result"], list) else [case["result"]]
    assert outcome.result.value in allowed
    explanation = case.get("explanation")
    if explanation is not None and outcome.result is spf.Result.FAIL:
        # DEFAULT: the domain gives none, and the receiver may say what it likes
        assert outcome.explanation == ("" if explanation == "DEFAULT" else explanation)

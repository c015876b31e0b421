"""For all tests."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings

# On a busy machine a slow example is no fault, and looking for a smaller one takes minutes.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many calls of the operating system the tests of faults let fail, each by itself."""
    points = Counter[str]()
    for report in terminalreporter.getreports("passed"):
        for what, count in (found for name, found in report.user_properties if name == "points"):
            points[what] += count
    if points:
        each = ", ".join(f"{what} {count}" for what, count in points.items())
        terminalreporter.write_line(f"{points.total()} points of failing calls: {each}")

"""Where the tests of faults work."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_MEMORY = "/dev/shm"

Count = Callable[[str, int], None]
"""Told what happened, and at how many calls, one after the other: `tests/conftest.py` adds up."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """What is synced is known (`calls.Disk`); it need not be waited for."""
    if not os.access(_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY) as name:
        yield Path(name)


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Count:
    return lambda what, points: record_property("points", [what, points])


@pytest.fixture
def no_log() -> Iterator[None]:
    """pytest keeps what is logged, and with the errors in it the descriptors on their stacks."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)

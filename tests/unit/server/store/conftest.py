"""What several tests of the store need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailserver import durable


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    """A descriptor of `tmp_path`."""
    fd = durable.open_folder(str(tmp_path))
    yield fd
    os.close(fd)
